"""Comets: activity told from point sources, nucleus and coma apart."""

import numpy as np

from ...ladder.rungs import FIXED, ORDER, REFERENCE
from .foms import ACTIVITY_EDGES, DISTANCE_EDGES, DM_EDGES, SHARE_EDGES
from .moving import by_galaxies
from .photometry import BRIGHT_SNR, MAG, TRUE_RUNGS, common_of
from .places import SUPERNOVAE

LEAST_SHARE = 0.2
"""Of the light: a nucleus or coma with less has no meaningful relative error."""


def add(scores, targets, objects, recovered, sure):
    """Add CO-D1, CO-B1 and CO-M1; the parameters are those of `moving.add` of the same names."""
    comet = (targets["class"] == "comet").to_numpy()
    for rung, got in recovered.items():
        rows, lost = targets[comet & sure], ~got[comet & sure]
        scores.add_fractions("CO-D1.lost", rung, rows, lost, "distance", rows["near"], DISTANCE_EDGES)
        by_galaxies(scores, "CO-D1.lost", "CO-D1.dense", rung, rows, lost)
    rows = objects[objects["class"].isin((*SUPERNOVAE, "comet")) & (objects["snr"] >= BRIGHT_SNR)].copy()
    rows["light"] = -MAG * (rows["flux_ap"] / rows["alone_ap"] - 1)
    measurable = np.isfinite(rows["activity"])
    common = common_of(rows, measurable & np.isfinite(rows["flux_ap"]))
    for rung in ORDER:
        here = common[common["rung"] == rung]
        _curves(scores, "CO-D1", rung, here, "common")
        scores.add_curves("CO-D1.curve", rung, here, "activity", ACTIVITY_EDGES, here["class"] == "comet")
        active = here[here["class"] == "comet"]
        scores.add_histograms("CO-M1", rung, active, "light", DM_EDGES)
        if rung == REFERENCE or rung in FIXED:
            here = rows[(rows["rung"] == rung) & measurable]
            _curves(scores, "CO-D1.forced", rung, here, "all")
    # The nucleus of a real coma is not known.
    _split(scores, rows[(rows["class"] == "comet") & np.isfinite(rows["nucleus_fraction"])])


def _curves(scores, fom, rung, rows, population):
    """Histograms of the activity of points and comets: by distance, and by the share of the nucleus."""
    active = (rows["class"] == "comet").to_numpy()
    for name, values, edges in (("distance", rows["near"], DISTANCE_EDGES),
                                ("nucleus", rows["nucleus_fraction"], SHARE_EDGES)):
        scores.add_curves(fom, rung, rows, "activity", ACTIVITY_EDGES, active, name, values, edges, population,
                          whole=name == "distance")


def _split(scores, rows):
    """CO-B1: fluxes of nucleus and coma over the true ones, at true places, of comets that are split on all of them."""
    share = {"nucleus": rows["nucleus_fraction"].to_numpy(float)}
    share["coma"] = 1 - share["nucleus"] - np.nan_to_num(rows["tail_fraction"].to_numpy(float))
    rows = rows.copy()
    for part in share:
        with np.errstate(invalid="ignore", divide="ignore"):
            rows[part] = rows[f"{part}_flux"] / (rows["true_flux"] * share[part]) - 1
        rows[f"{part}_share"] = share[part]
    split = np.isfinite(rows["nucleus_flux"] + rows["coma_flux"])
    common = common_of(rows, split, TRUE_RUNGS)
    for rung in (REFERENCE, *FIXED):
        here = rows["rung"] == rung
        scores.add_fractions("CO-B1.failed", rung, rows[here], ~split[here])
        for fom, part in (("CO-B1", "nucleus"), ("CO-B1.afrho", "coma")):
            kept = common[(common["rung"] == rung) & (common[f"{part}_share"] >= LEAST_SHARE)]
            scores.add_histograms(fom, rung, kept, part, DM_EDGES, "distance", kept["near"], DISTANCE_EDGES,
                                  population="all")
