"""Sufficient statistics of crowded stellar fields, per block of sky: detection."""

import numpy as np
import pandas as pd

from ...config.settings import visits_of
from ...data.children import BITS as DEBLEND_BITS
from ...ladder.neighbours import nearest_neighbour
from ...ladder.objects import by_source, wide
from ...ladder.rungs import ORDER, REAL, RUNGS
from ...stats.figures_of_merit import Scores, strata
from . import curve, false, field, photometry, repeats
from .foms import BRIGHT_SNR, FOUND_DM, FOUND_RADIUS, MAGNITUDE_EDGES, MAGNITUDE_STRATA

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
    blocks = pd.DataFrame(facts.patches, columns=["patch", "block", "twin"]).groupby("patch")["block"].first()
    field.add_artificial(scores, truth, settings)
    pipeline = _detected(objects, tables["detections"].to_pandas(), blocks)
    false.add(scores, pipeline, truth if simulated else targets, settings, facts, simulated)
    if simulated:
        curve.add(scores, rows, truth, settings, facts)
        # A field in which all targets are of the red clump is no point of a curve against density.
        if (settings.get("inject") or {}).get("red_clump", 0) < 1:
            field.add(scores, pipeline, truth, blocks, settings, facts)
    return scores


def _detected(objects, detections, blocks):
    """Return the detections inside the border as the pipeline measures them, with their ``block``."""
    ids = ["patch", "twin", "det_id"]
    pipeline = objects[objects["rung"] == "pipeline"].merge(detections.loc[detections["inside"], ids], on=ids)
    return pipeline.assign(block=pipeline["patch"].map(blocks))


def recovered(links, objects, band):
    """Return which targets each rung recovers, {rung: (N,) bool array}, and the detector on empty sky ("alone").

    With a real detector: the detection that holds the star lies within 0.5 arcsec, and its magnitude is within 0.75
    mag of the true one. With true centres only the magnitude counts. So a star whose light the deblender gives to its
    neighbours is lost by deblending, and one that is taken for part of a brighter star by detection.
    """
    out = {"alone": links["found_alone"].eq(1).to_numpy()}
    made = set(objects["rung"])
    for rung in (rung for rung in ORDER if rung in made):
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
    by = list(strata("magnitude", magnitude[sure], MAGNITUDE_STRATA))
    for rung in found.keys() - {"alone"}:
        scores.add_fractions("CF-D1", rung, links["block"][sure], ~found[rung][sure], by)
    by = list(strata("magnitude", magnitude, MAGNITUDE_STRATA))
    for rung in ("alone", "deblended", "pipeline"):
        if rung in found:
            scores.add_fractions("CF-D1.all", rung, links["block"], found[rung], by)
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
