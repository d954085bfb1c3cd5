"""Comets: activity told from point sources, nucleus and coma apart."""

import numpy as np

from ...ladder.rungs import DIFFERENCE_FIXED, DIFFERENCE_ORDER, REFERENCE
from ...stats.figures_of_merit import strata
from .comet_foms import ACTIVITY_EDGES, SHARE_EDGES
from .foms import DISTANCE_EDGES, DM_EDGES
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
        scores.add_fractions("CO-D1.lost", rung, rows["block"], lost, strata("distance", rows["near"], DISTANCE_EDGES))
        by_galaxies(scores, "CO-D1.lost", "CO-D1.dense", rung, rows, lost)
    rows = objects[objects["class"].isin((*SUPERNOVAE, "comet")) & (objects["snr"] >= BRIGHT_SNR)].copy()
    rows["light"] = -MAG * (rows["flux_ap"] / rows["alone_ap"] - 1)
    measurable = np.isfinite(rows["activity"])
    common = common_of(rows, measurable & np.isfinite(rows["flux_ap"]))
    for rung in DIFFERENCE_ORDER:
        here = common[common["rung"] == rung]
        _curves(scores, "CO-D1", rung, here, "common")
        _told(scores, "CO-D1.curve", rung, here)
        scores.add_histogram("CO-M1", rung, here["block"], here["light"], DM_EDGES, [("all", here["class"] == "comet")])
        if rung == REFERENCE or rung in DIFFERENCE_FIXED:
            here = rows[(rows["rung"] == rung) & measurable]
            _curves(scores, "CO-D1.forced", rung, here, "all")
    # The nucleus of a real coma is not known.
    _split(scores, rows[(rows["class"] == "comet") & np.isfinite(rows["nucleus_fraction"])])


def _curves(scores, fom, rung, rows, population):
    """Histograms of the activity of points and comets: by distance, and by the share of the nucleus."""
    for by in (
        strata("distance", rows["near"], DISTANCE_EDGES),
        strata("nucleus", rows["nucleus_fraction"], SHARE_EDGES, whole=False),
    ):
        _told(scores, fom, rung, rows, by, population)


def _told(scores, fom, rung, rows, by=(("all", True),), population="common"):
    """Add histograms of the activity of points (first sum) and of comets (second), for the detection curves.

    All points enter each stratum of the comets: a threshold is the same for all comets of a rung.
    """
    comet = (rows["class"] == "comet").to_numpy()
    activity = rows["activity"].to_numpy(float)
    scores.add_histogram(
        fom,
        rung,
        rows["block"],
        [np.where(kept, activity, np.nan) for kept in (~comet, comet)],
        ACTIVITY_EDGES,
        ((stratum, ~comet | inside) for stratum, inside in by),
        population,
    )


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
    for rung in (REFERENCE, *DIFFERENCE_FIXED):
        here = [("all", rows["rung"] == rung)]
        scores.add_fractions("CO-B1.failed", rung, rows["block"], ~split, here)
        for fom, part in (("CO-B1", "nucleus"), ("CO-B1.afrho", "coma")):
            kept = common[(common["rung"] == rung) & (common[f"{part}_share"] >= LEAST_SHARE)]
            scores.add_histogram(
                fom, rung, kept["block"], kept[part], DM_EDGES, strata("distance", kept["near"], DISTANCE_EDGES), "all"
            )
