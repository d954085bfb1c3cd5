"""Fluxes and positions of supernovae: of those that are measured on all rungs, and all at true places."""

import numpy as np

from ...ladder.objects import samples
from ...ladder.paired import add_paired
from ...ladder.rungs import FIXED, ORDER, REFERENCE
from ...stats.figures_of_merit import classes, strata
from .foms import BOUND, CONTRAST_EDGES, DM_EDGES, MAGNITUDE_EDGES, MAS_EDGES, PLACES, PULL_EDGES, SB_EDGES
from .places import SUPERNOVAE

BRIGHT_SNR = 10.0
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
    for rung in ORDER:
        here = objects[(objects["rung"] == rung) & (objects["class"] != "beside")]
        scores.add_fractions("TR-M1.failed", rung, here["block"], ~np.isfinite(here["flux_psf"]), population="own")
    points = objects[objects["class"].isin(SUPERNOVAE) & (objects["snr"] >= BRIGHT_SNR)].copy()
    true = points["true_flux"]
    points["dm"] = -MAG * (points["flux_psf"] / true - 1)
    points["pull"] = (points["flux_psf"] - true) / points["flux_psf_err"]
    measured, twins = np.isfinite(points["flux_psf"]), sorted(points["twin"].unique())

    def by(rows):
        yield from strata("magnitude", rows[f"mag_{band}"], MAGNITUDE_EDGES)
        yield from strata("contrast", rows["contrast"], CONTRAST_EDGES, whole=False)
        yield from classes("place", rows["class"], PLACES)

    both = samples(points, measured, twins)
    add_paired(scores, "TR-M1.median", both, "dm", DM_EDGES, by)
    for population, rows in both.items():
        for rung, here in rows.groupby("rung"):
            scores.add_mean("TR-M1", rung, here["block"], here["dm"], BOUND, by(here), population)
            if rung != REFERENCE:
                places = [("all", True), *classes("place", here["class"], PLACES)]
                scores.add_histogram("TR-M1.pull", rung, here["block"], here["pull"], PULL_EDGES, places, population)
    fitted = measured & np.isfinite(points["x_psf"]) & np.isfinite(points["y_psf"])
    for population, rows in samples(points, fitted, twins).items():
        for rung, here in rows.groupby("rung"):
            positions(scores, "TR-M1.astrometry", rung, here, facts.pixel_scale, population=population)
    for rung in FIXED:
        here = points[points["rung"] == rung]
        for strata_of in (
            strata("host_sb", here["host_sb"], SB_EDGES),
            strata("contrast", here["contrast"], CONTRAST_EDGES, whole=False),
            classes("place", here["class"], PLACES),
        ):
            scores.add_histogram("TR-M1.forced_pull", rung, here["block"], here["pull"], PULL_EDGES, strata_of, "all")


def positions(scores, fom, rung, rows, pixel_scale, by=(("all", True),), population="common"):
    """Add offsets of fitted positions in mas: both axes of each source enter."""
    by = list(by)
    for axis in ("x", "y"):
        offset = 1000 * pixel_scale * (rows[f"{axis}_psf"] - rows[axis])
        scores.add_histogram(fom, rung, rows["block"], offset, MAS_EDGES, by, population, copies=2)
