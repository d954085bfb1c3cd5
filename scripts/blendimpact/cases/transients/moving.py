"""Asteroids: trails that are lost, what that does to linking, fluxes, lengths and positions."""

import numpy as np
import pandas as pd

from ...ladder.rungs import DIFFERENCE_FIXED, DIFFERENCE_ORDER, REFERENCE
from ...stats.figures_of_merit import strata
from .asteroid_foms import ARCSEC_EDGES
from .foms import DENSE, DISTANCE_EDGES, DM_EDGES, GALAXY_EDGES, SNR_EDGES
from .photometry import BRIGHT_SNR, MAG, TRUE_RUNGS, common_of, positions
from .places import LEAST_SNR, TRAILS

BESIDE = 1.0
"""FWHM of the visit: a trail whose line passes a static source within this is near it."""


def add(scores, targets, objects, recovered, sure, found, facts):
    """Add MO-D1, MO-D2, MO-B1 and MO-M1.

    Parameters
    ----------
    scores : Scores
    targets, objects : pandas.DataFrame
        As `places.transients` and `places.by_rung` make them.
    recovered : dict of str to (N,) bool array
        Which targets each rung recovers.
    sure : (N,) bool array
        Which are bright enough and found on empty sky.
    found : dict of str to (N,) bool array
        Which have a candidate, on the rungs that are searched.
    facts : data.facts.Facts
    """
    trail, lines = (targets["class"] == "trail").to_numpy(), targets["class"].isin(TRAILS).to_numpy()
    for rung, got in recovered.items():
        rows, here = targets[trail & sure], got[trail & sure]
        scores.add_fractions("MO-D1", rung, rows["block"], ~here, strata("snr", rows["snr"], SNR_EDGES))
        both, gone = targets[lines & sure], ~got[lines & sure]
        scores.add_fractions(
            "MO-D1", rung, both["block"], gone, strata("distance", both["near"], DISTANCE_EDGES, whole=False)
        )
        scores.add_fractions("MO-D2", rung, rows["block"], here, strata("galaxies", rows["galaxies"], GALAXY_EDGES))
        by_galaxies(scores, "MO-D1", "MO-D1.dense", rung, rows, ~here)
    for rung, got in found.items():
        rows, here = targets[trail], got[trail]
        scores.add_fractions("MO-D1.efficiency", rung, rows["block"], here, strata("snr", rows["snr"], SNR_EDGES))
        scores.add_fractions("MO-D2.all", rung, rows["block"], here, [("all", rows["snr"] >= LEAST_SNR)])
    rows = objects[objects["class"].isin(TRAILS) & (objects["snr"] >= BRIGHT_SNR)].copy()
    rows["dm"] = -MAG * (rows["trail_flux"] / rows["true_flux"] - 1)
    rows["stretch"] = rows["found_trail_length"] - rows["trail_length"]
    fitted = np.isfinite(rows["dm"]) & np.isfinite(rows["stretch"])
    common = common_of(rows, fitted, TRUE_RUNGS)
    for rung in (REFERENCE, *DIFFERENCE_FIXED):
        here = common[common["rung"] == rung]
        by = [("all", here["class"] == "trail"), *strata("distance", here["near"], DISTANCE_EDGES, whole=False)]
        for fom, column, bins in (("MO-B1", "dm", DM_EDGES), ("MO-B1.length", "stretch", ARCSEC_EDGES)):
            scores.add_histogram(fom, rung, here["block"], here[column], bins, [("all", here["near"] < BESIDE)], "all")
            every = {"MO-B1": "MO-B1.all"}.get(fom, f"{fom}_all")
            scores.add_histogram(every, rung, here["block"], here[column], bins, by, "all")
        mine = rows["rung"] == rung
        here = rows[mine]
        by = [("all", here["class"] == "trail"), *strata("distance", here["near"], DISTANCE_EDGES, whole=False)]
        scores.add_fractions("MO-B1.failed", rung, here["block"], ~fitted[mine], by)
    common = _placed(rows[rows["class"] == "trail"])
    for rung in DIFFERENCE_ORDER:
        here = common[common["rung"] == rung]
        positions(scores, "MO-M1", rung, here, facts.pixel_scale, strata("snr", here["snr"], SNR_EDGES))


def by_galaxies(scores, fom, contrast, rung, rows, lost):
    """Add what is lost by the density of galaxies around it, and where they are dense minus where they are not.

    Parameters
    ----------
    scores : Scores
    fom, contrast : str
        Figures of merit: of the strata, and of the difference.
    rung : str
    rows : pandas.DataFrame
        N targets, with ``galaxies``.
    lost : (N,) bool array
    """
    density = rows["galaxies"].to_numpy(float)
    scores.add_fractions(fom, rung, rows["block"], lost, strata("galaxies", density, GALAXY_EDGES, whole=False))
    dense = density >= DENSE
    scores.add_sums(
        contrast, rung, rows["block"], [lost & dense, dense, lost & ~dense, ~dense], [("all", np.isfinite(density))]
    )


def _placed(rows):
    """Return the trails that have a place on all rungs but raw pixels, in ``x_psf`` and ``y_psf``.

    That of the trail's fit if all these rungs have it, else of a point's: the same kind for a trail on every rung. A
    search fits a line to what the filter of a trail found, so short trails have a point's.
    """
    if "trail_x" in rows:  # products of a run before it have a point's alone
        lines = common_of(rows, np.isfinite(rows["trail_x"]) & np.isfinite(rows["trail_y"]))
        lines = lines.assign(x_psf=lines["trail_x"], y_psf=lines["trail_y"])
        rows = rows.drop(index=lines.index)
    else:
        lines = rows[:0]
    return pd.concat([lines, common_of(rows, np.isfinite(rows["x_psf"]) & np.isfinite(rows["y_psf"]))])
