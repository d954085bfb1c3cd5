"""The ladder on images: sources are detected on a patch, and a deblender parts their light."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from astropy.table import Table

from ..data.children import Children
from ..data.matching import assign, match
from ..deblend import DEBLENDERS
from ..detect import DETECTORS
from ..detect.base import detect_on_stamps
from ..measure.correlated import noise_of
from ..measure.objects import columns_of, made, measure_arrays
from ..measure.sky import estimate_sky, known_sky, sky_options
from ..sky.true_scene import TruthScene, injects_photons
from .assignment import classified
from .base import ID_COLUMNS, Found, Ladder, detectable, stamp_size
from .image_panel import blend_panel
from .rungs import REAL, REFERENCE, rungs_of
from .swapped import CARRIED, lists_of, swapped_columns, swapped_rows

CENTRES = ("truth", "real")
"""Whose centres children have: those of the true sources, or of the detections."""


class ImageLadder(Ladder):
    """A detector and a deblender on images of any number of bands."""

    families = {"find": DETECTORS, "separate": DEBLENDERS}

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._before = None, None  # patch and twin; as it was before anything was injected, and its sky
        self._shared = None, {}, {}  # patch and twin; stamps and noiseless measurements of their sources

    @cached_property
    def measurements(self):
        """What is measured on child images: list of `measure.base.Measurement`."""
        return made(self.settings["measure"]["measurements"])

    @cached_property
    def tables(self):
        """Columns of the table of measurements, and of that of swapped lists if there are any."""
        tables = {"measurements": {**ID_COLUMNS, **columns_of(self.measurements)}}
        return tables | ({"swapped": swapped_columns(self.settings)} if self.settings.get("swapped") else {})

    def detect(self, data):
        """Return the detections of a patch and the assignment of its truth sources to them."""
        patch, settings = data.patch, self.settings
        detection = self.finder.detect(patch, data.sky, data.truth)
        table = detection.table
        scale = patch.pixel_scale
        radius = settings["match_radius"] / scale
        kept = data.truth[detectable(data.truth, settings["truth_snr"])]
        true_xy, found_xy = np.c_[kept["x"], kept["y"]], np.c_[table["x"], table["y"]]
        pairs = assign(
            true_xy,
            np.asarray(kept[f"flux_{settings['shape_band']}"], float),
            found_xy,
            detection.segmentation,
            radius,
            det_id=np.asarray(table["det_id"]),
        )
        # A source is on its footprint out to twice its half-light radius: there a second detection is a piece.
        reach = np.maximum(radius, 2 * np.nan_to_num(np.asarray(kept["hlr"], float)) / scale)
        alone, before = self._found_alone(patch, kept), self._found_before(data, found_xy, radius)
        return Found(*classified(patch, detection, kept, pairs, reach, alone, settings, before), {})

    def _found_before(self, data, found_xy, radius):
        """Return which detections on a real image the detector has before injection too; None on a simulated one.

        Each of those before injection stands for one detection: a second one beside it is new.
        """
        if self.finder.name == "truth" or not (before := self._before_injection(data)):
            return None
        there = np.column_stack(self.finder.positions(*before))
        known = np.zeros(len(found_xy), bool)
        known[match(there, found_xy, radius)["detection"]] = True
        return known

    def _before_injection(self, data):
        """Return the patch of a real image and its sky as they were before injection; None of a simulated one."""
        if not any("BASE" in image.planes for image in data.patch.bands.values()):
            return None
        key = data.patch.index, data.patch.twin
        if self._before[0] != key:
            bands = {b: replace(image, science=image.planes["BASE"]) for b, image in data.patch.bands.items()}
            patch = replace(data.patch, bands=bands)
            self._before = key, (patch, estimate_sky(patch, self.settings["measure"].get("sky")))
        return self._before[1]

    def _found_alone(self, patch, kept):
        """Return whether the detector finds each target on empty sky, with the same noise: 1, 0, or -1 (not tried)."""
        if not patch.first_twin:
            return np.full(len(kept), -1, np.int8)
        if self.finder.name == "truth":
            return np.where(np.asarray(kept["role"]) == "target", 1, -1).astype(np.int8)
        settings = self.settings
        scene = TruthScene(patch, kept, self.seed, settings["case"], photons=injects_photons(settings))
        size = stamp_size(settings, patch)
        targets = kept[np.asarray(kept["role"]) == "target"]
        children = scene.isolated([int(i) for i in targets["source_id"]], size)
        radius = settings["match_radius"] / patch.pixel_scale
        sky_variance = {
            band: np.full((size, size), np.median(image.variance - image.planes["MODEL"] / image.gain), np.float32)
            for band, image in patch.bands.items()
        }
        stamps = {band: children.stamps[:, b] for b, band in enumerate(patch.bands)}
        alone = detect_on_stamps(
            self.finder, patch, stamps, children.x0, children.y0, targets["x"], targets["y"], radius, sky_variance
        )
        found = {int(i): int(yes) for i, yes in zip(targets["source_id"], alone)}
        return np.array([found.get(int(i), -1) for i in kept["source_id"]], np.int8)

    def separate(self, data, group):
        """Deblend a patch on true and on detected centres; write the children that will be measured.

        Where lists are swapped, also on the centres that were detected on the opposite twin.
        """
        swapped = "pipeline" in self.settings.get("swapped", ())
        for centres, rung in zip(CENTRES, ("deblended", "pipeline")):
            if rung in rungs_of(self.settings) or (swapped and rung == "pipeline"):
                table = self.centres(data, centres)
                self._deblend(data, table, wanted(table, data.patch, centres), group.create_group(centres))
        if swapped:
            table = lists_of(data)[1].centres
            self._deblend(data, table, table["inside"], group.create_group(CARRIED))

    def _deblend(self, data, table, chosen, group):
        """Deblend a patch on the centres of a table; write the chosen children."""
        children = self.separator.deblend(
            data.patch,
            data.sky,
            table["det_id", "x", "y"],
            stamp_size(self.settings, data.patch),
            **self.known(self.separator, data),
        )
        children.select(np.asarray(chosen)).write(group)

    @staticmethod
    def known(deblender, data):
        """Return what a deblender is given of the truth: nothing, unless it is a bound and not one for the sky."""
        return {"truth": data.truth} if getattr(deblender, "needs_truth", False) else {}

    def centres(self, data, centres):
        """Return the centres that are deblended, "truth" or "real": ``det_id``, ``x``, ``y``."""
        return true_centres(data.truth, self.settings["truth_snr"]) if centres == "truth" else data.detections

    def measure(self, data):
        """Yield (rung, table, rows) of a patch: one row per object and band."""
        stored = {centres: Children.read(data.separated[centres]) for centres in CENTRES if centres in data.separated}
        for rung, rows in self.measured(data, stored):
            yield rung, "measurements", rows
        if self.settings.get("swapped"):
            for rung, rows in swapped_rows(self.settings, data, self.scene):
                yield rung, "swapped", rows

    def panel(self, chunk):
        """Return one blend through the rungs, `panels.BlendPanel`."""
        return blend_panel(self, chunk)

    def scene(self, data):
        """Return the `TruthScene` of a patch; twins of opposite noise, which have the same light, share its stamps."""
        key = data.patch.index, data.patch.twin.removesuffix("flip")
        if self._shared[0] != key:
            self._shared = key, {}, {}
        return TruthScene(
            data.patch, data.truth, self.seed, self.settings["case"], self._shared[1], injects_photons(self.settings)
        )

    def children(self, data, scene, stored):
        """Return how the child images of every rung are made.

        Parameters
        ----------
        data : PatchData
        scene : TruthScene
            Of the patch.
        stored : dict of str to Children
            Children of the real deblender on "truth" and "real" centres.

        Returns
        -------
        dict of str to (callable, str)
            By rung: a function without arguments that returns `Children`, and whose centres they have, of `CENTRES`.
        """
        size = stamp_size(self.settings, data.patch)
        true, found = (self.measured_centres(data)[centres] for centres in CENTRES)
        targets = [int(i) for i in true["det_id"]]
        members = {}
        for source_id, det_id in zip(data.assignments["source_id"], data.assignments["det_id"]):
            members.setdefault(int(det_id), []).append(int(source_id))
        each = [[i] for i in targets]
        merged = [members.get(int(d), []) for d in found["det_id"]]

        def exact(table, members, **sky):
            return scene.deblended(table["det_id"], table["x"], table["y"], members, size, **sky)

        made = {
            REFERENCE: lambda: scene.noiseless(targets, size),
            "isolated": lambda: scene.isolated(targets, size),
            "exact": lambda: exact(true, each, sky=known_sky(data.patch)),
            "oracle": lambda: exact(true, each, **self.estimated(data)),
            "undeblended": lambda: DEBLENDERS.create("none").deblend(
                data.patch, data.sky, true["det_id", "x", "y"], size
            ),
            "deblended": lambda: stored["truth"],
            "merged": lambda: exact(found, merged, **self.estimated(data)),
            "pipeline": lambda: stored["real"],
        }
        rungs = rungs_of(self.settings)
        return {
            rung: (made[rung], "real" if rung in REAL else "truth") for rung in ((REFERENCE, *rungs) if rungs else ())
        }

    def estimated(self, data):
        """Return what `TruthScene.deblended` is told of an estimated sky: ``sky``, ``faint``, ``base_sky``."""
        if sky_options(self.settings["measure"].get("sky"))["known"]:
            return {"sky": data.sky}
        if before := self._before_injection(data):
            return {"sky": data.sky, "base_sky": before[1]}
        faint = ~detectable(data.truth, self.settings["truth_snr"])
        return {"sky": data.sky, "faint": [int(i) for i in data.truth["source_id"][faint]]}

    def measured_centres(self, data):
        """Return the centres that are measured, {"truth": targets, "real": detections in the border}."""
        tables = {centres: self.centres(data, centres) for centres in CENTRES}
        return {centres: table[wanted(table, data.patch, centres)] for centres, table in tables.items()}

    def measured(self, data, stored, rungs=None):
        """Yield (rung, {column: array}) for all rungs of a patch, or for the ``rungs`` that are named.

        The other parameters are those of `children`; the columns are ``det_id`` and those of
        `measure.objects.columns_of` what is measured.
        """
        scene, settings = self.scene(data), self.settings
        references = self._shared[2]
        options = {
            **settings["measure"],
            "noise_correlation": noise_of(
                settings["measure"].get("noise_correlation", 1.0), data.truth.meta, data.patch.bands
            ),
        }
        where = {
            name: {int(d): (float(x), float(y)) for d, x, y in zip(t["det_id"], t["x"], t["y"])}
            for name, t in self.measured_centres(data).items()
        }
        for rung, (make, centres) in self.children(data, scene, stored).items():
            if rungs is not None and rung not in rungs:
                continue
            if rung in references:
                yield rung, references[rung]
                continue
            children = make()
            x, y = np.array([where[centres][int(d)] for d in children.det_id]).reshape(-1, 2).T
            rows = measure_arrays(
                children,
                x,
                y,
                data.patch,
                self.measurements,
                options,
                settings["shape_band"],
                noiseless=rung == REFERENCE,
            )
            if rung == REFERENCE:
                references[rung] = rows
                for values in rows.values():
                    values.flags.writeable = False  # twins share them
            yield rung, rows


def true_centres(truth, cut):
    """Return the centres of the truth detector in one patch; ``det_id`` is the source_id."""
    use = detectable(truth, cut)
    return Table(
        {
            "det_id": np.asarray(truth["source_id"], np.int64)[use],
            "x": np.asarray(truth["x"], float)[use],
            "y": np.asarray(truth["y"], float)[use],
            "role": np.asarray(truth["role"])[use],
        },
        copy=False,
    )


def wanted(table, patch, centres):
    """Return which centres are measured, a bool array: targets, or detections that lie inside the border."""
    if centres == "truth":
        return np.asarray(table["role"]) == "target"
    return patch.inside_unsheared(table["x"], table["y"])
