"""Candidates that nothing explains: how many, how many noise makes, and beside which static sources they lie."""

import numpy as np
import pandas as pd

from ...ladder.rungs import REFERENCE
from ...sky.blends import ARCSEC2_PER_DEG2, false_alarm_density
from ...stats.figures_of_merit import bin_names
from .foms import BESIDE_EDGES, THRESHOLDS
from .places import NEAR, SKY, apart, free_pixels, inside, ladder_of, visit_fwhm

NAMES = bin_names("beside", BESIDE_EDGES)
"""Strata by the magnitude of the static source."""
OPEN = "beside:24-99"
"""Stratum of what lies beside no static source that is bright enough to be told."""


def add(scores, rows, injected, truth, settings, facts):
    """Add TR-D2, its variants and TR-Q1.

    Parameters
    ----------
    scores : Scores
    rows : dict of str to pandas.DataFrame
        The tables "peaks", "candidates" and "fields".
    injected, truth : pandas.DataFrame
        What was injected (`places.transients`), and the truth.
    settings : dict
    facts : data.facts.Facts
    """
    changed = pd.concat([injected, _variable(truth, settings, facts)], ignore_index=True)
    areas = _Areas(changed, _static(truth, settings, facts), settings)
    levels = {"all": facts.threshold, **{f"threshold:{t:g}": t for t in THRESHOLDS}}
    for fom, kind in (("TR-D2", "peaks"), ("TR-D2.bank", "candidates")):
        candidates = rows[kind][np.abs(rows[kind]["snr"]) > min(levels.values())].reset_index(drop=True)
        candidates["explained"] = explained(candidates, changed, facts.pixel_scale)
        candidates["beside"] = areas.of(candidates)
        there = candidates[~candidates["explained"]].groupby([*SKY, "rung"])
        groups = {key: group for key, group in there}
        for field in rows["fields"].itertuples():
            key = field.patch, field.twin
            here = groups.get((*key, field.rung), candidates[:0])
            if kind == "peaks":
                _peaks(scores, field, here, areas.shares(key), levels, facts)
            else:
                number = int((np.abs(here["snr"]) > facts.threshold).sum())
                area = field.area * areas.shares(key)["all"] / ARCSEC2_PER_DEG2
                for rung in ladder_of(field.rung):
                    scores.add(fom, rung, field.block, [number, area])
    _density(scores, truth, settings, facts)


def _peaks(scores, field, here, shares, levels, facts):
    """Add the peaks of one field that nothing explains."""
    snr, area = here["snr"].to_numpy(float), field.area * shares["all"] / ARCSEC2_PER_DEG2

    def add(fom, sums, stratum):
        for rung in ladder_of(field.rung):
            scores.add(fom, rung, field.block, sums, stratum=stratum)

    for stratum, level in levels.items():
        number = int((np.abs(snr) > level).sum())
        add("TR-D2", [number, area], stratum)
        add("TR-D2.positive", [int((snr > level).sum()), number], stratum)
        if field.alarm_sigma > 0:
            rate = 2 * false_alarm_density(level, field.alarm_sigma * facts.pixel_scale)
            add("TR-D2.kaiser", [rate * ARCSEC2_PER_DEG2 * area, area, 1], stratum)
    for stratum, share in shares.items():
        if stratum != "all" and share:
            number = int(((np.abs(snr) > facts.threshold) & (here["beside"] == stratum)).sum())
            add("TR-D2", [number, field.area * share / ARCSEC2_PER_DEG2], stratum)


class _Areas:
    """Which part of a patch is away from all that changes, and of that which lies beside static sources how bright.

    A place is beside the brightest source within whose reach it lies.
    """

    def __init__(self, changed, static, settings):
        self.changed, self.static, self.settings = changed, static, settings
        self._rows = {name: rows.groupby(SKY).indices for name, rows in (("changed", changed), ("static", static))}
        self._made = {}

    def _here(self, name, key):
        return getattr(self, name).iloc[self._rows[name].get(key, [])]

    def _zones(self, key):
        """Return the stratum of each pixel inside the border, as its number, and the names of strata."""
        if key not in self._made:
            free = free_pixels(self._here("changed", key), self.settings)
            zone = np.full(free.shape, -1)
            static = self._here("static", key)
            for number in range(len(BESIDE_EDGES) - 1)[::-1]:  # the brightest last: it covers the others
                zone[~free_pixels(static[static["bin"] == number], self.settings)] = number
            self._made[key] = (
                zone,
                {"all": free.mean(), OPEN: (free & (zone < 0)).mean()}
                | {name: (free & (zone == number)).mean() for number, name in enumerate(NAMES)},
            )
        return self._made[key]

    def shares(self, key):
        """Return {stratum: part of the area inside the border} of a patch and twin."""
        return self._zones(key)[1]

    def of(self, candidates):
        """Return the stratum that each candidate lies in, (N,) array of names."""
        out = np.full(len(candidates), OPEN, dtype="U32")
        border, size = self.settings["patch"]["border"], self.settings["patch"]["size"]
        for key, mine in candidates.groupby(SKY).indices.items():
            row, column = (np.rint(candidates[k].to_numpy(float)[mine]).astype(int) - border for k in ("y", "x"))
            zone = self._zones(key)[0][np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)]
            out[mine] = np.array([*NAMES, OPEN])[zone]
        return out


def _reach(rows, settings, facts):
    return np.maximum(NEAR[0], NEAR[1] * visit_fwhm(rows["block"], settings, facts)) / facts.pixel_scale


def _static(truth, settings, facts):
    """Return the static sources beside which candidates are looked at, as rows like those of `places.transients`."""
    band = settings["shape_band"]
    rows = truth[truth["injection_id"] < 0] if "injection_id" in truth else truth
    rows = rows.assign(bin=np.digitize(rows[f"mag_{band}"], BESIDE_EDGES) - 1)
    rows = rows[(rows["bin"] >= 0) & (rows["bin"] < len(NAMES))]
    return rows.assign(half=0.0, angle=0.0, reach=_reach(rows, settings, facts))


def _variable(truth, settings, facts):
    """Return the stars that vary as rows like those of `places.transients`."""
    stars = truth[truth["variable"].astype(bool)] if "variable" in truth else truth[:0]
    return stars.assign(half=0.0, angle=0.0, reach=_reach(stars, settings, facts))


def _density(scores, truth, settings, facts):
    """Add TR-Q1."""
    static = (truth["injection_id"] < 0 if "injection_id" in truth else True) & (truth["snr"] >= settings["truth_snr"])
    number = truth[inside(truth, settings) & static].groupby("block").size()
    area = (settings["patch"]["size"] * facts.pixel_scale / 60) ** 2
    for _, block, _ in facts.patches:
        count = int(number.get(block, 0))
        scores.add("TR-Q1", REFERENCE, block, [count, area, count], "truth")


def explained(candidates, changed, scale):
    """Return which candidates, or peaks, lie within the reach of something that changes, (M,) bool array.

    A trail is a line: it is explained if any part of it is.
    """
    out = np.zeros(len(candidates), bool)
    there = changed.groupby(SKY).indices
    x, y = (candidates[k].to_numpy(float) for k in ("x", "y"))
    lines = candidates if "length" in candidates else candidates.assign(length=0.0, angle=0.0)
    length, angle = (lines[k].to_numpy(float) for k in ("length", "angle"))
    for key, mine in candidates.groupby(SKY).indices.items():
        if key not in there:
            continue
        them = changed.iloc[there[key]]
        for along in np.linspace(-0.5, 0.5, 9) if length[mine].any() else (0.0,):
            step = along * length[mine] / scale
            distance = apart(them, x[mine] + step * np.cos(angle[mine]), y[mine] + step * np.sin(angle[mine]))
            out[mine] |= (distance <= them["reach"].to_numpy(float)[:, None]).any(axis=0)
    return out
