"""The ladder on differences: a template is subtracted, and what is left of the visit is found and measured."""

import numpy as np

from ..data.facts import THRESHOLD_META
from ..data.matching import assign
from ..search import FINDERS
from ..subtract import SUBTRACTORS
from ..subtract.store import read, write
from .assignment import classified
from .base import ID_COLUMNS, Found, Ladder
from .difference_panel import transient_panel
from .difference_rows import TABLES, measure_differences
from .differences import Differences, injected

ALONE = "alone"
"""Kept table: what the finder finds on the transients alone."""
MADE = "real", "clean"
"""HDF5 groups of the differences that an engine makes."""


class DifferenceLadder(Ladder):
    """A subtraction engine and a difference finder on one band of a visit and its template."""

    families = {"find": FINDERS, "separate": SUBTRACTORS}
    tables = {name: {**ID_COLUMNS, **columns} for name, columns in TABLES.items()}

    def separate(self, data, group):
        """Subtract the template of a patch and write what came of it: detection and measurement read it."""
        differences = Differences(self.scene(data), data.sky, self.settings)
        for name, by in zip(MADE, (differences.made_by, differences.clean_by)):
            write(by(self.separator), group.create_group(name))

    def differences(self, data):
        """Return the `Differences` of a patch, with those that were stored."""
        made = [read(data.separated[name]) for name in MADE]
        return Differences(self.scene(data), data.sky, self.settings, made)

    def detect(self, data):
        """Return the detections on the difference of a patch, and the assignment of what changes to them.

        What changes is every transient, and the variable stars whose change has a S/N of ``truth_snr`` alone. Each
        belongs to a detection of the sign of its change, within the match radius or, for trails, on its line.
        """
        differences, settings, patch = self.differences(data), self.settings, data.patch
        scale, band = differences.image.pixel_scale, settings["shape_band"]
        radius = settings["match_radius"] / scale
        kept, change = varying(data.truth, band, settings["truth_snr"])
        detection = self.finder.find(differences.real, scale)
        pairs = assign_by_sign(kept, change, detection, radius)
        alone = np.full(len(kept), -1, np.int8)
        empty_sky = self.finder.find(differences.isolated, scale)
        target = np.asarray(kept["role"]) == "target"
        if patch.first_twin and target.any():
            found = assign_by_sign(kept, change, empty_sky, radius)
            alone[target] = np.asarray(found["det"])[target] >= 0
        reach = radius + extent(kept) / scale
        return Found(*classified(patch, detection, kept, pairs, reach, alone, settings), {ALONE: empty_sky.table})

    def measure(self, data):
        """Yield (rung, table, rows) of the differences of a patch, as `difference_rows.measure_differences`."""
        yield from measure_differences(
            self.differences(data), data.detections, data.kept[ALONE], self.settings, self.finder
        )

    def notes(self):
        """Return the threshold of the search."""
        return {THRESHOLD_META: self.finder.threshold}

    def panel(self, chunk):
        """Return transients and their differences, `panels.TransientPanel`."""
        return transient_panel(self, chunk)


def varying(truth, band, cut):
    """Return the truth rows that differ between visit and template, and by what flux.

    Every injected source whose light is in the visit; of the others those whose change has an isolated S/N of ``cut``.
    """
    flux = np.asarray(truth[f"flux_{band}"], float)
    before = np.asarray(truth[f"template_flux_{band}"], float) if f"template_flux_{band}" in truth.colnames else flux
    new = injected(truth, band)
    change = np.where(new, flux, flux - before)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.abs(change) / flux * np.asarray(truth["snr"], float) >= cut
    rows = new | (seen & (change != 0))
    return truth[rows], change[rows]


def extent(rows):
    """Return how far truth rows reach from their places in arcsec: half of a trail, or a coma or tail; 0 for points."""
    own = [
        np.asarray(rows[n], float) * f
        for n, f in (("trail_length", 0.5), ("coma_radius", 1), ("tail_length", 1))
        if n in rows.colnames
    ]
    return np.maximum.reduce([np.zeros(len(rows)), *map(np.nan_to_num, own)])


def assign_by_sign(kept, change, detection, radius):
    """Return `data.matching.assign` of what varies to detections, rises and falls each for themselves.

    Parameters
    ----------
    kept : Table
        N truth rows, from `varying`.
    change : (N,) array
        Their change of flux.
    detection : Detection
    radius : float
        Pixels.
    """
    table = detection.table
    out = None
    height, ids = np.asarray(table["peak_snr"], float), np.asarray(table["det_id"])
    xy, found_xy = np.c_[kept["x"], kept["y"]], np.c_[table["x"], table["y"]]
    for sign in (1, -1):
        mine = np.where(sign * height > 0)[0]
        pairs = assign(xy, np.abs(change), found_xy[mine], detection.segmentation, radius, det_id=ids[mine])
        pairs["det"] = np.append(mine, -1)[np.asarray(pairs["det"])]
        if out is None:
            out = pairs
        else:
            falls = np.asarray(change) < 0
            out[falls] = pairs[falls]
    return out
