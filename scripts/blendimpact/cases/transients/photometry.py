"""Fluxes and positions of supernovae: the common sample, and all at true places."""

import numpy as np

from ...ladder.objects import COMMON_RUNGS, common_sources, select
from ...ladder.rungs import DIFFERENCE_FIXED, DIFFERENCE_ORDER, REFERENCE
from ...stats.figures_of_merit import classes, strata
from .foms import DM_EDGES, MAGNITUDE_EDGES, MAS_EDGES, PLACES, PULL_EDGES, SB_EDGES
from .places import SUPERNOVAE

BRIGHT_SNR = 10.0
TRUE_RUNGS = tuple(rung for rung in COMMON_RUNGS if rung == REFERENCE or rung in DIFFERENCE_FIXED)
MAG = 2.5 / np.log(10)  # magnitudes per relative error, to first order: also of fluxes that are not positive


def add(scores, objects, settings, facts):
    """Add TR-M1 and its variants.

    Parameters
    ----------
    scores : Scores
    objects : pandas.DataFrame
        One row per target and rung (`places.by_rung`).
    settings : dict
    """
    band = settings["shape_band"]
    for rung in DIFFERENCE_ORDER:
        here = objects[(objects["rung"] == rung) & (objects["class"] != "beside")]
        scores.add_fractions("TR-M1.failed", rung, here["block"], ~np.isfinite(here["flux_psf"]), population="own")
    points = objects[objects["class"].isin(SUPERNOVAE) & (objects["snr"] >= BRIGHT_SNR)].copy()
    true = points["true_flux"]
    points["dm"] = -MAG * (points["flux_psf"] / true - 1)
    points["pull"] = (points["flux_psf"] - true) / points["flux_psf_err"]
    measured = np.isfinite(points["flux_psf"])
    common = common_of(points, measured)
    placed = common_of(points, measured & np.isfinite(points["x_psf"]) & np.isfinite(points["y_psf"]))
    for rung in DIFFERENCE_ORDER:
        here = common[common["rung"] == rung]
        for by in (
            strata("magnitude", here[f"mag_{band}"], MAGNITUDE_EDGES),
            strata("host_sb", here["host_sb"], SB_EDGES, whole=False),
            classes("place", here["class"], PLACES),
        ):
            scores.add_histogram("TR-M1", rung, here["block"], here["dm"], DM_EDGES, by)
        positions(scores, "TR-M1.astrometry", rung, placed[placed["rung"] == rung], facts.pixel_scale)
        if rung == REFERENCE:
            continue
        for by in (None, classes("place", here["class"], PLACES)):
            scores.add_histogram("TR-M1.pull", rung, here["block"], here["pull"], PULL_EDGES, by)
        if rung in DIFFERENCE_FIXED:
            here = points[points["rung"] == rung]
            for by in (strata("host_sb", here["host_sb"], SB_EDGES), classes("place", here["class"], PLACES)):
                scores.add_histogram("TR-M1.forced_pull", rung, here["block"], here["pull"], PULL_EDGES, by, "all")


def common_of(rows, good, rungs=COMMON_RUNGS):
    """Return the rows of those sources that are ``good`` on all ``rungs`` (but raw pixels), in all twins there are."""
    return select(rows, common_sources(rows, good, sorted(rows["twin"].unique()), rungs)).copy()


def positions(scores, fom, rung, rows, pixel_scale, by=(("all", True),)):
    """Add offsets of fitted positions in mas: both axes of each source enter."""
    by = list(by)
    for axis in ("x", "y"):
        offset = 1000 * pixel_scale * (rows[f"{axis}_psf"] - rows[axis])
        scores.add_histogram(fom, rung, rows["block"], offset, MAS_EDGES, by, copies=2)
