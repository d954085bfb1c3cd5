"""Supernovae that are lost, and the efficiency of the search for them."""

import numpy as np
import pandas as pd

from ...data.transient_geometry import REQUIRED_SNR
from ...ladder.rungs import ORDER, REAL, REFERENCE
from ...stats.figures_of_merit import classes, strata
from .foms import CONTRAST_EDGES, DEPTH_EDGES, PLACES, SB_EDGES, SNR_EDGES
from .places import KEY, LEAST_SNR, SUPERNOVAE, ladder_of

SURE_SNR = 6.0


def add(scores, targets, objects, recovered, found, settings, threshold):
    """Add TR-D1 and its variants.

    Parameters
    ----------
    scores : Scores
    targets, objects : pandas.DataFrame
        As `places.transients` and `places.by_rung` make them.
    recovered : dict of str to (N,) bool array
        Which targets have the flux that they should on each rung (`score.recovered`).
    found : dict of str to (N,) bool array
        Which have a candidate, on the rungs that are searched.
    settings : dict
    threshold : float
        Of the search, sigma.
    """
    lost = {rung: lost_on(rung, targets, objects, recovered, found, threshold) for rung in ORDER}
    point = targets["class"].isin(SUPERNOVAE).to_numpy()
    snr, rows = targets["snr"].to_numpy(float), targets[point]
    required = (snr >= REQUIRED_SNR[0]) & (snr < REQUIRED_SNR[1])
    for rung, gone in lost.items():
        scores.add_fractions("TR-D1", rung, rows["block"], gone[point], strata("snr", rows["snr"], SNR_EDGES, False))
        here = targets[point & required]
        for by in (
            strata("contrast", here["contrast"], CONTRAST_EDGES),
            strata("host_sb", here["host_sb"], SB_EDGES, whole=False),
            classes("place", here["class"], PLACES),
        ):
            scores.add_fractions("TR-D1", rung, here["block"], gone[point & required], by)
    for searched, got in found.items():
        for rung in ladder_of(searched):
            _efficiency(scores, rung, targets, got, point, required, settings["shape_band"])


def lost_on(rung, targets, objects, recovered, found, threshold):
    """Return which targets are lost on a rung, (N,) bool array.

    Where the place is known, those whose flux there is below the threshold, or not the one that it should be; with a
    real search those without a candidate, or whose candidate has not that flux.
    """
    if rung in REAL:
        return ~(found[rung] & recovered[rung])
    if rung == REFERENCE:
        return targets["snr"].to_numpy(float) < threshold
    here = objects[(objects["rung"] == rung) & (objects["found_snr"] >= threshold)]
    seen = pd.MultiIndex.from_frame(targets[KEY]).isin(pd.MultiIndex.from_frame(here[KEY]))
    return ~(seen & recovered[rung])


def _efficiency(scores, rung, targets, got, point, required, band):
    place, snr = targets["class"].to_numpy(), targets["snr"].to_numpy(float)
    for population in ("all", *PLACES):
        mine = point & ((place == population) | (population == "all"))
        rows, here = targets[mine], got[mine]
        by = strata("snr", rows["snr"], SNR_EDGES)
        scores.add_fractions("TR-D1.efficiency", rung, rows["block"], here, by, population)
        scores.add_curve("TR-D1.curve", rung, rows["block"], here, rows["snr"], SNR_EDGES, population)
        scores.add_curve("TR-D1.m", rung, rows["block"], here, rows[f"mag_{band}"], DEPTH_EDGES, population)
        scores.add_fractions(
            "TR-D1.bright", rung, targets["block"], got, [("all", mine & (snr >= SURE_SNR))], population
        )
        by = [("all", True), *strata("contrast", targets["contrast"], CONTRAST_EDGES, whole=False)]
        by = [(name, mine & required & inside) for name, inside in by]
        scores.add_fractions("TR-D1.at6", rung, targets["block"], got, by, population)
    both = [part for name in ("hosted", "hostless") for part in (got & (place == name), place == name)]
    compared = point & (snr >= LEAST_SNR) & np.isin(place, ("hosted", "hostless"))
    scores.add_sums("TR-D1.contrast", rung, targets["block"], both, [("all", compared)])
