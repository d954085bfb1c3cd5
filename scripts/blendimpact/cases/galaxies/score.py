"""Sufficient statistics of galaxy detection and photometry, per block of sky."""

import numpy as np

from ...ladder.neighbours import nearest_neighbour
from ...ladder.objects import by_source, common_sources, select, wide
from ...ladder.rungs import ORDER, REAL, REFERENCE, RUNGS
from ...stats.figures_of_merit import Scores, strata
from .foms import DM_EDGES, MAGNITUDE_EDGES, SEPARATION_EDGES

BRIGHT_SNR = 10.0
NEAR = 4.0  # arcsec: a brighter real source within this is a neighbour
BLENDEDNESS_EDGES = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0001)
MAGNITUDE_STRATA = (18.0, 22.0, 23.0, 24.0, 25.0, 28.0)


def score(tables, settings, facts):
    """Return the `Scores` of a chunk; see `blendimpact.cases.two_point.score.score`."""
    band = settings["shape_band"]
    truth = tables["truth"].to_pandas()
    truth["separation"], _ = nearest_neighbour(truth, band, facts.pixel_scale)
    # What lies on a brighter source is the worst blend: it counts as lost or merged, but has no photometry of its own.
    targets = truth[truth["role"] == "target"]
    links = tables["assignments"].to_pandas()
    links = targets.merge(
        links[["patch", "twin", "source_id", "det_id", "dominant", "found_alone", "outcome"]],
        on=["patch", "twin", "source_id"],
        how="left",
    )
    scores = Scores(settings["case"], settings["scenario"])
    _completeness(scores, links, band)
    _photometry(scores, tables, targets[~targets["ambiguous"].astype(bool)], settings)
    return scores


def _completeness(scores, links, band):
    """GA-D1 and GA-D2 of the real detector; the truth detector finds every source by construction."""
    found, alone = links["dominant"].eq(True), links["found_alone"].eq(1)
    sure = alone & (links["snr"] >= BRIGHT_SNR)
    outcome = links["outcome"].fillna("missed")
    block, magnitude, separation = links["block"], links[f"mag_{band}"], links["separation"]
    for rung in RUNGS:
        real = rung in REAL
        got = found[sure] if real else np.ones(sure.sum(), bool)
        for by in (
            strata("magnitude", magnitude[sure], MAGNITUDE_STRATA),
            strata("separation", separation[sure], SEPARATION_EDGES, whole=False),
        ):
            scores.add_fractions("GA-D1", rung, block[sure], got, by)
        scores.add_fractions("GA-D2.shred", rung, block, (outcome == "shredded") & real)
        scores.add_fractions("GA-D2.merge", rung, block, (outcome == "unrecognised") & real)
    for rung, got in (("alone", alone), ("pipeline", found)):
        blended = np.clip(1 - links[f"purity_{band}"], 0, None)
        for by in (
            strata("magnitude", magnitude, MAGNITUDE_STRATA),
            strata("blendedness", blended, BLENDEDNESS_EDGES, whole=False),
        ):
            scores.add_fractions("GA-D1.all", rung, block, got, by)
        scores.add_curve("GA-D1.m", rung, block, got, magnitude, MAGNITUDE_EDGES)


def _photometry(scores, tables, targets, settings):
    """GA-B1 (aperture, against isolated) and GA-M1 (Kron, against truth) of the common sample."""
    band = settings["shape_band"]
    objects = by_source(wide(tables["measurements"], settings["bands"], band), tables["assignments"])
    objects = objects.merge(
        targets[["patch", "twin", "source_id", "block", "snr", "separation", f"mag_{band}", f"flux_{band}"]],
        on=["patch", "twin", "source_id"],
        validate="many_to_one",
    )
    ap, kron = objects[f"flux_ap_{band}"], objects[f"flux_kron_{band}"]
    good = np.isfinite(ap) & np.isfinite(kron) & (ap > 0) & (kron > 0) & (objects["snr"] >= BRIGHT_SNR)
    twins = sorted(targets["twin"].unique())
    common = select(objects[good], common_sources(objects, good, twins)).copy()
    # Against the noiseless source: a real image's own noise and the draw of the isolated rung differ.
    alone = common.loc[common["rung"] == REFERENCE, ["patch", "twin", "source_id", f"flux_ap_{band}"]]
    common = common.merge(alone, on=["patch", "twin", "source_id"], suffixes=("", "_alone"))
    common["leak"] = -2.5 * np.log10(common[f"flux_ap_{band}"] / common[f"flux_ap_{band}_alone"])
    common["error"] = -2.5 * np.log10(common[f"flux_kron_{band}"] / common[f"flux_{band}"])
    for rung in ORDER:
        rows = common[common["rung"] == rung]
        scores.add_histogram(
            "GA-B1.all",
            rung,
            rows["block"],
            rows["leak"],
            DM_EDGES,
            strata("separation", rows["separation"], SEPARATION_EDGES),
        )
        scores.add_histogram("GA-B1", rung, rows["block"], rows["leak"], DM_EDGES, [("all", rows["separation"] < NEAR)])
        scores.add_histogram(
            "GA-M1",
            rung,
            rows["block"],
            rows["error"],
            DM_EDGES,
            strata("magnitude", rows[f"mag_{band}"], MAGNITUDE_STRATA),
        )
