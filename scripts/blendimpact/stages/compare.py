"""Run one deblender on the patches of one chunk and compare its children with the exact ones."""

import json
import os
import resource
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy as np

from ..cases.base import load_case
from ..data import catalogues, missing_inputs
from ..data.images import PatchFile
from ..data.progress import progress
from ..data.sky_maps import SkyFile
from ..deblend import DEBLENDERS
from ..errors import MissingPackage, StudyError
from ..ladder.rungs import REFERENCE
from ..measure.objects import MEASUREMENT_COLUMNS
from ..report.comparison.pixels import correlation, residual_chi2
from ..report.comparison.sources import FOUND, RUNGS, TRUE, source_table
from ..report.example_blend import choose
from ..sky.true_scene import TruthScene, injects_photons
from .deblend import true_centres, wanted_centres
from .detect import stamp_size
from .measure import ID_COLUMNS, measure_patch, measured_centres, rung_children, with_ids
from .score import facts_of

OWN = tuple(real for real, _ in RUNGS.values())
"""Rungs that depend on the deblender."""
COLUMNS = {**ID_COLUMNS, **MEASUREMENT_COLUMNS}
SHARED = (REFERENCE, "isolated", "oracle", "undeblended", "merged")
"""Rungs that do not: measured once for all deblenders."""


def reference(settings, seed, images, truth, detections, assignments, sky, measurements_out, meta=None):
    """Measure the rungs that no deblender changes; the parameters are those of `stages.measure.run`."""
    tables = []
    for patch, scene, background, here in _patches(settings, seed, images, truth, detections, assignments, sky):
        for rung, objects in measure_patch(scene, background, here["detections"], here["assignments"], None, settings,
                                           SHARED):
            tables.append(with_ids(objects, settings, patch, rung))
    catalogues.write(catalogues.join(tables, COLUMNS), measurements_out, meta)


def run_apart(**arguments):
    """Do what `run` does in a process of its own, so that memory and CPU time are one deblender's.

    It starts as a copy of this one, with all that is imported: what that took counts as each deblender's.

    Raises
    ------
    StudyError
        If that process is killed.
    """
    deblender = arguments["deblender"]
    print(f"deblender {deblender}", flush=True)
    try:
        with ProcessPoolExecutor(1, get_context("fork"), end_with, (os.getpid(),)) as pool:
            pool.submit(run, **arguments, cpu_before=time.process_time()).result()
    except BrokenProcessPool:
        raise StudyError(f"the process of the deblender {deblender} was killed, perhaps for want of memory",
                         "comparison.deblenders", "raise MEMORY_MB in its module, or make chunk_size smaller") from None


def end_with(parent):
    """End this process soon after its ``parent`` (process number) has ended: nobody waits for what it makes."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run(settings, seed, deblender, images, truth, detections, assignments, sky, measured, sources_out, scores_out,
        stamps_out, cost_out, options=None, meta=None, cpu_before=0.0):
    """Deblend, measure and compare.

    Parameters
    ----------
    settings : dict
        Of a sky of the comparison.
    seed : int
    deblender : str
        Which one; the settings' own is not used.
    images, truth, detections, assignments, sky : path-like
        As for `stages.measure.run`.
    measured : path-like
        From `reference`.
    sources_out, scores_out, stamps_out, cost_out : path-like
        Table of sources (`report.comparison.sources.SOURCE_COLUMNS`), sufficient statistics of the case's own
        deblending figures of merit, stamps of one blend (NumPy archive), and CPU seconds and memory (JSON): the
        only one that is not the same every time. All say why if the deblender's package is not installed.
    options : dict, optional
        Of the deblender.
    cpu_before : float
        CPU seconds that another process spent on this one's imports.
    """
    settings = {**settings, "deblender": deblender}
    try:
        _run(settings, seed, images, truth, detections, assignments, sky, measured,
             (sources_out, scores_out, stamps_out, cost_out), options, meta, cpu_before)
    except MissingPackage as error:
        print(error)
        missing_inputs.mark((sources_out, scores_out, stamps_out, cost_out), error.what)


def _run(settings, seed, images, truth, detections, assignments, sky, measured, outputs, options, meta,
         cpu_before):
    clock = Clock(DEBLENDERS.create(settings["deblender"], options), cpu_before)
    shared = catalogues.read(measured)
    chosen = choose(catalogues.read(truth), settings)
    pixels, tables, stamps = [], [shared], {}
    for patch, scene, background, here in _patches(settings, seed, images, truth, detections, assignments, sky):
        index, twin = patch.index, patch.twin
        children = {}
        for kind in RUNGS:
            table = (true_centres(here["truth"], index, twin, settings["truth_snr"]) if kind == TRUE
                     else here["detections"])
            known = {"truth": here["truth"]} if getattr(clock.deblender, "needs_truth", False) else {}
            made, canvas = clock.deblend(patch, background, table["det_id", "x", "y"], stamp_size(settings, patch),
                                         kind, **known)
            keep = np.asarray(wanted_centres(table, patch, kind), bool)
            children[kind] = made.select(keep)
            pixels += _pixels(scene, children[kind], canvas, table[keep], here, settings, kind)
        for rung, own in measure_patch(scene, background, here["detections"], here["assignments"], children, settings,
                                       OWN):
            tables.append(with_ids(own, settings, patch, rung))
        if chosen and chosen[:2] == (index, twin):
            stamps = _stamps(scene, background, children[TRUE], here, settings, chosen[2])
    sources_out, scores_out, stamps_out, cost_out = outputs
    ids = {name: settings[name] for name in ("case", "scenario", "deblender")}
    tables = {"truth": catalogues.read(truth), "detections": catalogues.read(detections),
              "assignments": catalogues.read(assignments), "measurements": catalogues.join(tables, COLUMNS)}
    facts = facts_of(tables["truth"])
    sources = source_table(tables["truth"], tables["assignments"], tables["measurements"], pixels,
                           {**settings, **facts}, **ids)
    catalogues.write(sources, sources_out, meta)
    catalogues.write(_scores(tables, {**settings, **facts}), scores_out, meta)
    with open(f"{stamps_out}.part", "wb") as file:
        np.savez(file, **stamps)
    os.replace(f"{stamps_out}.part", stamps_out)
    with open(f"{cost_out}.part", "w", encoding="utf-8") as file:
        json.dump({**ids, **clock.cost()}, file, indent=1)
    os.replace(f"{cost_out}.part", cost_out)


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
        return {"cpu_start": round(self.start, 3), "sources": [n for _, n, _ in self.calls],
                "centres": [kind for kind, _, _ in self.calls], "cpu": [round(cpu, 4) for _, _, cpu in self.calls],
                "peak_mb": round(peak, 1)}


def _patches(settings, seed, images, truth, detections, assignments, sky):
    """Yield (patch, its TruthScene, sky, its rows of the tables)."""
    tables = {"truth": catalogues.read(truth), "detections": catalogues.read(detections),
              "assignments": catalogues.read(assignments)}
    with PatchFile(images) as file, SkyFile(sky) as skies:
        for index, twin in progress(file.keys(), "compare"):
            patch = file.read(index, twin)
            here = {name: t[(t["patch"] == index) & (t["twin"] == twin)] for name, t in tables.items()}
            scene = TruthScene(patch, here["truth"], seed, settings["case"], photons=injects_photons(settings))
            yield patch, scene, skies.read(patch), here


def _pixels(scene, children, canvas, table, here, settings, kind):
    """Return (patch, twin, kind, det_id, kappa, chi2) of the children of one patch."""
    patch, size, band = scene.patch, children.size, settings["shape_band"]
    image, place = patch.bands[band], list(patch.bands).index(band)
    radius = 0.5 * settings["measure"].get("aperture_diameter", 2.0) / image.pixel_scale
    chi2 = residual_chi2(canvas, table["x"], table["y"], radius)
    ids = [int(d) for d in children.det_id]
    main = {int(s["det_id"]): int(s["source_id"]) for s in here["assignments"] if s["dominant"]}
    source = ids if kind == TRUE else [main.get(d, 0) for d in ids]
    role = dict(zip(here["truth"]["source_id"].tolist(), here["truth"]["role"].tolist()))
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


def _stamps(scene, background, children, here, settings, source_id):
    """Return the arrays that the panel of one blend shows."""
    patch = scene.patch
    made = rung_children(scene, background, here["detections"], here["assignments"], {TRUE: children, FOUND: children},
                         settings)
    out = {"bands": np.array(list(patch.bands)), "source_id": np.array(source_id), "patch": np.array(patch.index),
           "noise": np.array([float(np.sqrt(np.median(i.variance))) for i in patch.bands.values()]),
           "scale": np.array(next(iter(patch.bands.values())).pixel_scale),
           "shape_band": np.array(list(patch.bands).index(settings["shape_band"]))}
    for name, rung in (("truth", REFERENCE), ("exact", "oracle"), ("scene", "undeblended"), ("child", "deblended")):
        found = made[rung][0]()
        out[name] = found.stamps[np.flatnonzero(found.det_id == source_id)[0]]
    row = here["truth"][here["truth"]["source_id"] == source_id][0]
    band = settings["shape_band"]
    out["facts"] = np.array([row[f"mag_{band}"], row[f"snr_{band}"], 1 - row[f"purity_{band}"]], float)
    centres = measured_centres(scene, here["detections"], settings)[TRUE]
    child = np.flatnonzero(children.det_id == source_id)[0]
    out["centres"] = np.c_[centres["x"] - children.x0[child], centres["y"] - children.y0[child]]
    return out


def _scores(tables, settings):
    """Return the sums of the case's own figures of merit of deblending."""
    case = load_case(settings["case"])
    scores = case.score(tables, settings).table()
    wanted = {fom.source for fom in case.figures_of_merit if fom.stage == "deblending"}
    return scores[np.isin(np.asarray(scores["fom"]), sorted(wanted))]
