"""Sufficient statistics of crowded stellar fields, per block of sky: detection."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ...config.settings import visits_of
from ...data.children import BITS as DEBLEND_BITS
from ...ladder.neighbours import nearest_neighbour
from ...ladder.objects import by_source, wide
from ...ladder.rungs import ORDER, REAL, RUNGS
from ...stats.crowding import crowding_error
from ...stats.figures_of_merit import Scores, strata
from . import field, photometry, repeats
from .foms import BRIGHT_SNR, MAGNITUDE_EDGES, MAGNITUDE_STRATA

FOUND_RADIUS, FOUND_DM = 0.5, 0.75  # arcsec, mag: the usual test of artificial stars
COMPARABLE = 0.3  # of a star's flux: a neighbour that is as bright counts
NEIGHBOURS = 64  # nearest stars that are looked at
KEY = ["patch", "twin", "source_id"]


def score(tables, settings, facts):
    """Return the `Scores` of a chunk; see `blendimpact.cases.two_point.score.score`.

    ``settings`` also holds ``sky``, "simulate" or "adopt": what needs the truth of all stars or the noise of the
    isolated rung is not there for a real image.
    """
    band, simulated = settings["shape_band"], settings.get("sky", "simulate") == "simulate"
    fwhm, scale = facts.psf_fwhm[band], facts.pixel_scale
    truth = tables["truth"].to_pandas()
    truth["brighter"], _ = nearest_neighbour(truth, band, scale, most=NEIGHBOURS)
    apart, truth["ratio"] = nearest_neighbour(truth, band, scale, COMPARABLE, NEIGHBOURS)
    truth["apart"], truth["brighter"] = apart / fwhm, truth["brighter"] / fwhm
    truth["sigma_c"] = _analytic(truth, band, fwhm, settings, facts) if simulated else np.nan
    objects = by_source(wide(tables["measurements"], settings["bands"], band), tables["assignments"])
    with np.errstate(invalid="ignore", divide="ignore"):
        objects["mag"] = facts.zero_point - 2.5 * np.log10(objects[f"flux_psf_{band}"])
    targets = truth[truth["role"] == "target"]
    scores = Scores(settings["case"], settings["scenario"], copies=visits_of(settings))  # visits are of the same stars
    links = targets.merge(
        tables["assignments"].to_pandas()[[*KEY, "det_id", "distance", "found_alone"]], on=KEY, how="left"
    )
    _completeness(scores, links, objects, band)
    _splits(scores, objects, targets)
    rows = photometry.with_truth(objects, targets, settings)
    photometry.add(scores, rows, sorted(targets["twin"].unique()), settings, facts, simulated)
    repeats.add(scores, rows, settings, facts)
    if simulated:
        detections = tables["detections"].to_pandas()
        pipeline = objects[objects["rung"] == "pipeline"].merge(
            detections.loc[detections["inside"], ["patch", "twin", "det_id"]], on=["patch", "twin", "det_id"]
        )
        blocks = pd.DataFrame(facts.patches, columns=["patch", "block", "twin"]).groupby("patch")["block"].first()
        pipeline["block"] = pipeline["patch"].map(blocks)
        _false(scores, pipeline, truth, settings, facts)
        # A field in which all targets are of the red clump is no point of a curve against density.
        if (settings.get("inject") or {}).get("red_clump", 0) < 1:
            field.add(scores, pipeline, truth, blocks, settings, facts)
    return scores


def _analytic(truth, band, fwhm, settings, facts):
    """Return the analytic crowding error of each source, in magnitudes, from the stars of its own patch."""
    out = np.full(len(truth), np.nan)
    stars = (truth["role"] != "target").to_numpy() & field.inside(truth, settings)
    magnitudes = truth[f"mag_{band}"].to_numpy(float)
    for rows in truth.groupby(["patch", "twin"]).indices.values():
        out[rows] = (
            2.5
            / np.log(10)
            * crowding_error(magnitudes[rows], magnitudes[rows[stars[rows]]], field.area(settings, facts), fwhm)
        )
    return out


def recovered(links, objects, band):
    """Return which targets each rung recovers, {rung: (N,) bool array}, and the detector on empty sky ("alone").

    With a real detector: the detection that holds the star lies within 0.5 arcsec, and its magnitude is within 0.75
    mag of the true one. With true centres only the magnitude counts. So a star whose light the deblender gives to its
    neighbours is lost by deblending, and one that is taken for part of a brighter star by detection.
    """
    out = {"alone": links["found_alone"].eq(1).to_numpy()}
    for rung in ORDER:
        real = rung in REAL
        measured = objects.loc[objects["rung"] == rung, ["patch", "twin", "det_id", "mag"]]
        own = links[[*KEY, "det_id"]].assign(det_id=links["det_id"] if real else links["source_id"])
        mag = own.merge(measured, on=["patch", "twin", "det_id"], how="left", validate="many_to_one")["mag"]
        near = np.abs(mag.to_numpy() - links[f"mag_{band}"].to_numpy()) < FOUND_DM
        out[rung] = near & (links["distance"].to_numpy() <= FOUND_RADIUS) if real else near
    return out


def _completeness(scores, links, objects, band):
    """CF-D1 on every rung; CF-D1.all and its crossing for the pipeline, at true centres, and on empty sky."""
    found = recovered(links, objects, band)
    sure = found["alone"] & (links["snr"] >= BRIGHT_SNR).to_numpy()
    magnitude = links[f"mag_{band}"]
    for rung in ORDER:
        scores.add_fractions(
            "CF-D1",
            rung,
            links["block"][sure],
            found[rung][sure],
            strata("magnitude", magnitude[sure], MAGNITUDE_STRATA),
        )
    for rung in ("alone", "deblended", "pipeline"):
        scores.add_fractions(
            "CF-D1.all", rung, links["block"], found[rung], strata("magnitude", magnitude, MAGNITUDE_STRATA)
        )
        scores.add_curve("CF-D1.m", rung, links["block"], found[rung], magnitude, MAGNITUDE_EDGES)


def _splits(scores, objects, targets):
    """CF-D2 and CF-B1.failed: parents that are too large to be fitted at once, and objects without a flux."""
    rows = objects.merge(targets[[*KEY, "block"]], on=KEY)
    for rung in RUNGS:
        here = rows[rows["rung"] == rung]
        scores.add_fractions(
            "CF-D2", rung, here["block"], (here["child_status"] & DEBLEND_BITS.SPLIT) != 0, population="own"
        )
        scores.add_fractions("CF-B1.failed", rung, here["block"], ~np.isfinite(here["mag"]), population="own")


def _false(scores, pipeline, truth, settings, facts):
    """CF-D1.false: detections that no true star explains."""
    true = is_true(pipeline, truth, settings["shape_band"], FOUND_RADIUS / facts.pixel_scale)
    scores.add_fractions("CF-D1.false", "pipeline", pipeline["block"], ~true, population="own")


def is_true(found, truth, band, radius, dm=FOUND_DM):
    """Return which detections have a true star within ``radius`` (pixels) and ``dm`` (mag).

    Parameters
    ----------
    found, truth : pandas.DataFrame
        ``patch``, ``twin``, ``x``, ``y``; ``mag`` (NaN: not true), and ``mag_<band>``.

    Returns
    -------
    (N,) bool array
    """
    out = np.zeros(len(found), bool)
    stars = truth[np.isfinite(truth[f"mag_{band}"])].groupby(["patch", "twin"])
    places = stars.indices
    known = truth[np.isfinite(truth[f"mag_{band}"])]
    for key, rows in found.groupby(["patch", "twin"]).indices.items():
        if key not in places:
            continue
        here = known.iloc[places[key]]
        near = cKDTree(here[["x", "y"]].to_numpy(float)).query_ball_point(
            found[["x", "y"]].to_numpy(float)[rows], radius
        )
        magnitudes = here[f"mag_{band}"].to_numpy(float)
        out[rows] = [
            bool(np.any(np.abs(magnitudes[k] - m) < dm)) for k, m in zip(near, found["mag"].to_numpy(float)[rows])
        ]
    return out
