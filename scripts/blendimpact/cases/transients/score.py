"""Sufficient statistics of difference imaging, per block of sky."""

import numpy as np
import pandas as pd

from ...ladder.rungs import ORDER, REFERENCE, SEARCHED, rungs_of
from ...stats.figures_of_merit import Scores
from . import comets, hosts, moving, photometry, spurious, supernovae
from .places import KEY, MEASURED, SUPERNOVAE, TRAILS, by_rung, inside, strongest, transients
from .supernovae import SURE_SNR

FOUND_DM = 0.75  # mag, as for artificial stars


def score(tables, settings, facts):
    """Return the `Scores` of a chunk.

    Parameters
    ----------
    tables : dict of str to Table
        ``truth``, and those of `ladder.difference_rows.TABLES`.
    settings : dict
        Of the case and scenario.
    facts : data.facts.Facts
        Of the images, of the visits among them, and of the search.
    """
    truth = tables["truth"].to_pandas()
    scale = facts.pixel_scale
    radius = settings["match_radius"] / scale
    blocks = {(patch, twin): block for patch, block, twin in facts.patches}
    rows = {name: tables[name].to_pandas() for name in MEASURED}
    for name in ("static", "fields"):
        rows[name]["block"] = [blocks[key] for key in zip(rows[name]["patch"], rows[name]["twin"])]
    injected = transients(truth, settings, facts)
    # What was found is known inside the border only: the candidate of a target at its edge may lie beyond.
    targets = injected[(injected["role"] == "target") & inside(injected, settings, radius)].reset_index(drop=True)
    objects = by_rung(rows["transients"], rows["found"], targets, radius)
    objects = _with_reference(objects)
    threshold = facts.threshold
    alone = _found(targets, rows, "isolated", radius, threshold)
    recovered = {rung: _recovered(targets, objects[objects["rung"] == rung]) for rung in ORDER}
    sure = alone & (targets["snr"] >= SURE_SNR).to_numpy()
    found = {rung: _found(targets, rows, rung, radius, threshold) for rung in SEARCHED}
    scores = Scores(settings["case"], settings["scenario"])
    supernovae.add(scores, targets, objects, recovered, found, settings, threshold)
    spurious.add(scores, rows, injected, truth, settings, facts)
    hosts.add(scores, rows, truth, targets, settings, facts)
    photometry.add(scores, objects, settings, facts)
    points = {rung: strongest(targets, _above(rows["peaks"], rung, threshold), radius) >= 0 for rung in SEARCHED}
    moving.add(scores, targets, objects, recovered, sure, found, points, facts, rungs_of(settings))
    comets.add(scores, targets, objects, recovered, sure, rungs_of(settings))
    return scores


def _with_reference(objects):
    """Return objects with the fluxes of the noiseless source alone: ``alone_psf``, ``alone_ap``."""
    names = {"flux_psf": "alone_psf", "flux_ap": "alone_ap"}
    alone = objects.loc[objects["rung"] == REFERENCE, [*KEY, *names]].rename(columns=names)
    return objects.merge(alone, on=KEY, how="left", validate="many_to_one")


def _found(targets, rows, rung, radius, threshold):
    """Return which targets have a positive candidate above the threshold: of points, for others of the whole bank."""
    points = _above(rows["peaks"], rung, threshold)
    bank = pd.concat([points, _above(rows["candidates"], rung, threshold)], ignore_index=True)
    is_point = targets["class"].isin(SUPERNOVAE).to_numpy()
    return np.where(is_point, strongest(targets, points, radius) >= 0, strongest(targets, bank, radius) >= 0)


def _above(candidates, rung, threshold):
    return candidates[(candidates["rung"] == rung) & (candidates["snr"] >= threshold)].reset_index(drop=True)


def _recovered(targets, here):
    """Return which targets have, on one rung, a flux within `FOUND_DM` of that of the noiseless source alone.

    In the filter of the point source, or in the fit of a trail. With a real search a target without a detection has no
    row, so it is lost.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        near = np.abs(2.5 * np.log10(here["flux_psf"] / here["alone_psf"])) < FOUND_DM
        line = np.abs(2.5 * np.log10(here["trail_flux"] / here["true_flux"])) < FOUND_DM
        near |= line & here["class"].isin(TRAILS)
    good = pd.MultiIndex.from_frame(here.loc[near, KEY])
    return pd.MultiIndex.from_frame(targets[KEY]).isin(good)
