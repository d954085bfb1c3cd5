"""Sufficient statistics of galaxy detection and photometry, per block of sky."""

from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from ...ladder.rungs import REAL, REFERENCE, RUNGS
from ...score.foms import Scores, strata
from ...score.objects import by_source, common_sources, select, wide
from .foms import DM_EDGES, MAGNITUDE_EDGES, SEPARATION_EDGES

BRIGHT_SNR = 10.0
NEAR = 4.0  # arcsec: a brighter real source within this is a neighbour
BLENDEDNESS_EDGES = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0001)
MAGNITUDE_STRATA = (18.0, 22.0, 23.0, 24.0, 25.0, 28.0)


def score(tables, settings):
    """Return the `Scores` of a chunk; see `blendimpact.cases.two_point.score.score`."""
    band = settings["shape_band"]
    truth = tables["truth"].to_pandas()
    truth["separation"] = nearest_brighter(truth, band, settings["pixel_scale"])
    # What lies on a brighter source is the worst blend: it counts as lost or merged, but has no photometry of its own.
    targets = truth[truth["role"] == "target"]
    links = tables["assignments"].to_pandas()
    links = targets.merge(links[["patch", "twin", "source_id", "det_id", "dominant", "found_alone",
                                 "outcome"]], on=["patch", "twin", "source_id"], how="left")
    scores = Scores(settings["case"], settings["scenario"])
    _completeness(scores, links, band)
    _photometry(scores, tables, targets[~targets["ambiguous"].astype(bool)], settings)
    return scores


def nearest_brighter(truth, band, pixel_scale):
    """Return the distance in arcsec from each source to the nearest brighter one (inf if none)."""
    out = np.full(len(truth), np.inf)
    flux = truth[f"flux_{band}"].to_numpy(float)
    for rows in truth.groupby(["patch", "twin"]).indices.values():
        xy = truth[["x", "y"]].to_numpy(float)[rows]
        tree = cKDTree(xy)
        distance, other = tree.query(xy, k=min(len(rows), 12))
        brighter = (flux[rows][other.reshape(len(rows), -1)] > flux[rows][:, None])
        out[rows] = np.where(brighter, distance.reshape(len(rows), -1), np.inf).min(axis=1) * pixel_scale
    return out


def _completeness(scores, links, band):
    """GA-D1 and GA-D2 of the real detector; the truth detector finds every source by construction."""
    found = links["dominant"].eq(True)
    alone = links["found_alone"].eq(1)
    sure = alone & (links["snr"] >= BRIGHT_SNR)
    outcome = links["outcome"].fillna("missed")
    for rung in RUNGS:
        real = rung in REAL
        got = found if real else np.ones(len(links), bool)
        for name, edges in (("magnitude", MAGNITUDE_STRATA), ("separation", SEPARATION_EDGES)):
            values = links[f"mag_{band}"] if name == "magnitude" else links["separation"]
            for stratum, inside in strata(name, values, edges):
                if name == "separation" and stratum == "all":
                    continue
                for block, rows in links[inside & sure].groupby("block"):
                    scores.add("GA-D1", rung, block, [got[rows.index].sum(), len(rows)], stratum=stratum)
        for block, rows in links.groupby("block"):
            scores.add("GA-D2.shred", rung, block,
                       [(outcome[rows.index] == "shredded").sum() * real, len(rows)])
            scores.add("GA-D2.merge", rung, block,
                       [(outcome[rows.index] == "unrecognised").sum() * real, len(rows)])
    for rung, got in (("alone", alone), ("pipeline", found)):
        for name, values, edges in (("magnitude", links[f"mag_{band}"], MAGNITUDE_STRATA),
                                    ("blendedness", np.clip(1 - links[f"purity_{band}"], 0, None), BLENDEDNESS_EDGES)):
            for stratum, inside in strata(name, values, edges):
                if name == "blendedness" and stratum == "all":
                    continue
                for block, rows in links[inside].groupby("block"):
                    scores.add("GA-D1.all", rung, block, [got[rows.index].sum(), len(rows)], stratum=stratum)
        for block, rows in links.groupby("block"):
            for cell, (low, high) in enumerate(pairwise(MAGNITUDE_EDGES)):
                here = rows[(rows[f"mag_{band}"] >= low) & (rows[f"mag_{band}"] < high)]
                if len(here):
                    scores.add("GA-D1.m", rung, block, [got[here.index].sum(), len(here)], cell=cell)


def _photometry(scores, tables, targets, settings):
    """GA-B1 (aperture, against isolated) and GA-M1 (Kron, against truth) of the common sample."""
    band = settings["shape_band"]
    objects = by_source(wide(tables["measurements"], settings["bands"], band), tables["assignments"])
    objects = objects.merge(targets[["patch", "twin", "source_id", "block", "snr", "separation",
                                     f"mag_{band}", f"flux_{band}"]],
                            on=["patch", "twin", "source_id"], validate="many_to_one")
    ap, kron = objects[f"flux_ap_{band}"], objects[f"flux_kron_{band}"]
    good = np.isfinite(ap) & np.isfinite(kron) & (ap > 0) & (kron > 0) & (objects["snr"] >= BRIGHT_SNR)
    twins = sorted(targets["twin"].unique())
    common = select(objects[good], common_sources(objects, good, twins)).copy()
    # Against the noiseless source: a real image's own noise and the draw of the isolated rung differ.
    alone = common.loc[common["rung"] == REFERENCE, ["patch", "twin", "source_id", f"flux_ap_{band}"]]
    common = common.merge(alone, on=["patch", "twin", "source_id"], suffixes=("", "_alone"))
    common["leak"] = -2.5 * np.log10(common[f"flux_ap_{band}"] / common[f"flux_ap_{band}_alone"])
    common["error"] = -2.5 * np.log10(common[f"flux_kron_{band}"] / common[f"flux_{band}"])
    for rung in (REFERENCE, *RUNGS):
        rows = common[common["rung"] == rung]
        for stratum, inside in strata("separation", rows["separation"], SEPARATION_EDGES):
            for block, here in rows[inside].groupby("block"):
                scores.add_histogram("GA-B1.all", rung, block, here["leak"], DM_EDGES, "common", stratum)
        for block, here in rows[rows["separation"] < NEAR].groupby("block"):
            scores.add_histogram("GA-B1", rung, block, here["leak"], DM_EDGES, "common")
        for stratum, inside in strata("magnitude", rows[f"mag_{band}"], MAGNITUDE_STRATA):
            for block, here in rows[inside].groupby("block"):
                scores.add_histogram("GA-M1", rung, block, here["error"], DM_EDGES, "common", stratum)
