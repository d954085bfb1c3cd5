"""One deblender on the patches of a sky: its children beside the exact ones."""

import resource
import time

import numpy as np

from ...ladder.base import stamp_size
from ...ladder.example_blend import select_example_blend
from ...ladder.image import wanted
from ...ladder.rungs import ORDER, REFERENCE
from .pixels import correlation, residual_chi2
from .sources import FOUND, RUNGS, TRUE

OWN = tuple(real for real, _ in RUNGS.values())
"""Rungs that depend on the deblender."""
SHARED = tuple(rung for rung in ORDER if rung not in OWN)
"""Rungs that do not: measured once for all deblenders."""


class Clock:
    """A deblender, and what it takes of CPU time and memory.

    Parameters
    ----------
    deblender : member of DEBLENDERS
    cpu_before : float
        CPU seconds of another process that count as this one's.
    """

    def __init__(self, deblender, cpu_before=0.0):
        self.deblender, self.calls, self._fitted = deblender, [], []
        self.start = cpu_before + time.process_time()  # of this process, imports and all
        if hasattr(deblender, "fit"):  # one that has models: keep them for the residual
            fit = deblender.fit

            def kept(*arguments):
                self._fitted.append(fit(*arguments))
                return self._fitted[-1]

            deblender.fit = kept

    def deblend(self, patch, sky, centres, size, kind, **known):
        """Return the `Children` and, if there are models, the canvas that holds them."""
        begun = time.process_time()
        children = self.deblender.deblend(patch, sky, centres, size, **known)
        self.calls.append((kind, len(centres), time.process_time() - begun))
        canvas = getattr(self._fitted.pop(), "canvas", None) if self._fitted else None
        self._fitted.clear()
        return children, canvas

    def cost(self):
        """Return sources deblended, CPU seconds by call and before the first, and the peak memory of the process."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "cpu_start": round(self.start, 3),
            "sources": [n for _, n, _ in self.calls],
            "centres": [kind for kind, _, _ in self.calls],
            "cpu": [round(cpu, 4) for _, _, cpu in self.calls],
            "peak_mb": round(peak, 1),
        }


class DeblenderRun:
    """What one deblender leaves of the patches of a sky, one after the other.

    Parameters
    ----------
    ladder : ladder.image.ImageLadder
        Of the sky, with the deblender in place of its own.
    clock : Clock
        Of the deblender.
    truth : Table
        Of all patches: one of its blends is shown.

    Attributes
    ----------
    measured : list
        Rows of the rungs `OWN`, parts for `data.catalogues.join`.
    pixels : list of tuple
        (patch, twin, kind of centre, det_id, kappa, chi2) of the children.
    stamps : dict of str to array
        What the panel of the blend shows.
    """

    def __init__(self, ladder, clock, truth):
        self.ladder, self.clock = ladder, clock
        self.measured, self.pixels, self.stamps = [], [], {}
        self._chosen = select_example_blend(truth, ladder.settings)

    def add(self, data):
        """Deblend and measure one patch (`data.chunk.PatchData`)."""
        ladder, patch, children = self.ladder, data.patch, {}
        scene, size = ladder.scene(data), stamp_size(ladder.settings, patch)
        for kind in RUNGS:
            table = ladder.centres(data, kind)
            made, canvas = self.clock.deblend(
                patch, data.sky, table["det_id", "x", "y"], size, kind, **ladder.known(self.clock.deblender, data)
            )
            keep = np.asarray(wanted(table, patch, kind), bool)
            children[kind] = made.select(keep)
            self.pixels += _pixels(scene, children[kind], canvas, table[keep], data, ladder.settings, kind)
        for rung, rows in ladder.measured(data, children, OWN):
            self.measured.append(ladder.with_ids(rows, patch, rung, "measurements"))
        if self._chosen and self._chosen[:2] == (patch.index, patch.twin):
            self.stamps = _stamps(ladder, scene, children[TRUE], data, self._chosen[2])


def _pixels(scene, children, canvas, table, data, settings, kind):
    """Return (patch, twin, kind, det_id, kappa, chi2) of the children of one patch."""
    patch, size, band = scene.patch, children.size, settings["shape_band"]
    image, place = patch.bands[band], list(patch.bands).index(band)
    radius = 0.5 * settings["measure"]["aperture_diameter"] / image.pixel_scale
    chi2 = residual_chi2(canvas, table["x"], table["y"], radius)
    ids = [int(d) for d in children.det_id]
    main = {int(s["det_id"]): int(s["source_id"]) for s in data.assignments if s["dominant"]}
    source = ids if kind == TRUE else [main.get(d, 0) for d in ids]
    role = dict(zip(data.truth["source_id"].tolist(), data.truth["role"].tolist()))
    use = [k for k, s in enumerate(source) if role.get(s) == "target"]
    kappa = np.full(len(ids), np.nan)
    if use:
        # In the frame of the child: a detected centre may lie in another pixel than the true one.
        x, y = (np.asarray(table[name], float)[use] for name in ("x", "y"))
        chosen = [source[k] for k in use]
        alone, light = (scene.alone(chosen, x, y, size, noisy, band) for noisy in (True, False))
        noise = float(np.sqrt(np.median(image.variance)))
        kappa[use] = correlation(children.stamps[use, place], alone, light, noise)
    return [(patch.index, patch.twin, kind, d, float(k), float(c)) for d, k, c in zip(ids, kappa, chi2)]


def _stamps(ladder, scene, children, data, source_id):
    """Return the arrays that the panel of one blend shows."""
    patch, settings = data.patch, ladder.settings
    made = ladder.children(data, scene, {TRUE: children, FOUND: children})
    out = {
        "bands": np.array(list(patch.bands)),
        "source_id": np.array(source_id),
        "patch": np.array(patch.index),
        "noise": np.array([float(np.sqrt(np.median(i.variance))) for i in patch.bands.values()]),
        "scale": np.array(patch.pixel_scale),
        "shape_band": np.array(list(patch.bands).index(settings["shape_band"])),
    }
    for name, rung in (("truth", REFERENCE), ("exact", "oracle"), ("scene", "undeblended"), ("child", "deblended")):
        found = made[rung][0]()
        out[name] = found.stamps[np.flatnonzero(found.det_id == source_id)[0]]
    row = data.truth[data.truth["source_id"] == source_id][0]
    band = settings["shape_band"]
    out["facts"] = np.array([row[f"mag_{band}"], row[f"snr_{band}"], 1 - row[f"purity_{band}"]], float)
    centres = ladder.measured_centres(data)[TRUE]
    child = np.flatnonzero(children.det_id == source_id)[0]
    out["centres"] = np.c_[centres["x"] - children.x0[child], centres["y"] - children.y0[child]]
    return out
