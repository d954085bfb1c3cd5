"""Sufficient statistics of galaxy detection and photometry, per block of sky."""

import numpy as np

from ...ladder.neighbours import nearest_neighbour
from ...ladder.objects import KEY, by_source, samples, wide
from ...ladder.paired import add_paired
from ...ladder.rungs import REAL, REFERENCE, rungs_of
from ...stats.figures_of_merit import Scores, strata
from .foms import BOUND, BRIGHTER_EDGES, DM_EDGES, MAGNITUDE_EDGES, SEPARATION_EDGES

BRIGHT_SNR = 10.0
NEAR = 4.0  # arcsec: a brighter source within this is a neighbour
FAR = 1e8  # arcsec: of what has no brighter source around it
RESOLVED = 0.1  # least 1 - (PSF's size / size)^2 of the noiseless galaxy, for its size
BLENDEDNESS_EDGES = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0001)
MAGNITUDE_STRATA = (18.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 28.0)


def score(tables, settings, facts):
    """Return the `Scores` of a chunk; see `blendimpact.cases.two_point.score.score`."""
    band = settings["shape_band"]
    targets = _targets(tables["truth"].to_pandas(), settings, facts)
    links = tables["assignments"].to_pandas()
    links = targets.merge(
        links[["patch", "twin", "source_id", "det_id", "dominant", "found_alone", "outcome"]],
        on=["patch", "twin", "source_id"],
        how="left",
    )
    scores = Scores(settings["case"], settings["scenario"])
    _completeness(scores, links, band, rungs_of(settings))
    objects = by_source(wide(tables["measurements"], settings["bands"], band), tables["assignments"])
    _photometry(scores, _errors(objects, targets, band), sorted(targets["twin"].unique()), band, settings)
    return scores


def _targets(truth, settings, facts):
    """Return the targets, with distance and magnitude difference of the nearest brighter source, and their weight."""
    band = settings["shape_band"]
    target = truth["role"] == "target"
    # What is brighter than a target is above the cut as well; of the many below it none must hide a neighbour.
    truth = truth[target | (truth["snr"] >= settings["truth_snr"])].copy()
    separation, ratio = nearest_neighbour(truth, band, facts.pixel_scale)
    truth["separation"] = np.minimum(separation, FAR)
    truth["brighter_by"] = 2.5 * np.log10(ratio)
    truth["weight"] = 1.0 if "chance_weight" not in truth else truth["chance_weight"].fillna(1.0)
    return truth[truth["role"] == "target"]


def _around(rows, whole=True):
    """Return the strata of rows by their nearest brighter source."""
    near = rows["separation"] < NEAR
    by = list(strata("separation", rows["separation"], SEPARATION_EDGES, whole=False))
    by += [(name, here & near) for name, here in strata("brighter_by", rows["brighter_by"], BRIGHTER_EDGES, False)]
    return [("all", near), *by] if whole else by


def _completeness(scores, links, band, rungs):
    """GA-D1 and GA-D2 of the real detector; the truth detector finds every source by construction."""
    found, alone = links["dominant"].eq(True), links["found_alone"].eq(1)
    sure = links[alone & (links["snr"] >= BRIGHT_SNR)]
    lost = ~found[sure.index]
    outcome = links["outcome"].fillna("missed")
    block, magnitude, weight = links["block"], links[f"mag_{band}"], links["weight"]
    by = [*strata("magnitude", sure[f"mag_{band}"], MAGNITUDE_STRATA), *_around(sure, whole=False)]
    for rung in rungs:
        real = rung in REAL
        scores.add_mean("GA-D1", rung, sure["block"], lost & real, 1, by, weights=sure["weight"])
        for fom, what in (("GA-D2.shred", "shredded"), ("GA-D2.merge", "unrecognised")):
            scores.add_mean(fom, rung, block, (outcome == what) & real, 1, weights=weight)
    by = [
        *strata("magnitude", magnitude, MAGNITUDE_STRATA),
        *strata("blendedness", np.clip(1 - links[f"purity_{band}"], 0, None), BLENDEDNESS_EDGES, whole=False),
    ]
    for rung, got in (("alone", alone), ("pipeline", found)):
        scores.add_mean("GA-D1.all", rung, block, got, 1, by, weights=weight)
        for cell, (_, here) in enumerate(strata("", magnitude, MAGNITUDE_EDGES, whole=False)):
            scores.add_sums("GA-D1.m", rung, block, [got * weight, weight], [("all", here)], cell=cell)


def _errors(objects, targets, band):
    """Return measurements of the targets with their errors against the noiseless source and against the truth.

    ``leak``: aperture magnitude minus that of the noiseless source alone. ``error``: Kron magnitude minus the true
    total one. ``growth``: size without the PSF over that of the noiseless source alone, minus 1. NaN: not measured.
    """
    columns = ["block", "kind", "snr", "separation", "brighter_by", "weight", f"mag_{band}", f"flux_{band}"]
    objects = objects.merge(targets[[*KEY, *columns]], on=KEY, validate="many_to_one")
    measured = [f"flux_ap_{band}", "sigma", "sigma_psf"]
    alone = objects.loc[objects["rung"] == REFERENCE, [*KEY, *measured]]
    objects = objects.merge(alone, on=KEY, suffixes=("", "_alone"), how="left")
    objects["leak"] = magnitude_change(objects[f"flux_ap_{band}"], objects[f"flux_ap_{band}_alone"])
    objects["error"] = magnitude_change(objects[f"flux_kron_{band}"], objects[f"flux_{band}"])
    objects["growth"] = size_change(objects["sigma"], objects["sigma_alone"], objects["sigma_psf"])
    return objects


def magnitude_change(flux, reference):
    """Return magnitude minus that of a reference, to `BOUND` on either side; a flux that is not positive is lost light.

    Against a noiseless reference: the noise of a real image and of the draw that isolated sources have differ.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        change = -2.5 * np.log10(np.asarray(flux, float) / np.asarray(reference, float))
        return np.where(flux <= 0, BOUND, np.clip(change, -BOUND, BOUND))


def size_change(sigma, alone, psf):
    """Return the size without the PSF over that of the noiseless source, minus 1, to 1 on either side.

    Sizes of adaptive moments in one unit; the PSF's is subtracted in quadrature, and what is smaller has no size left.
    NaN where the noiseless source is hardly larger than the PSF (`RESOLVED`), or there is no size.
    """
    own, true = np.square(sigma) - np.square(psf), np.square(alone) - np.square(psf)
    resolved = true > RESOLVED * np.square(alone)
    change = np.sqrt(np.clip(own, 0, None) / np.where(resolved, true, np.nan)) - 1
    return np.clip(change, None, 1)


def _photometry(scores, objects, twins, band, settings):
    """GA-B1 (aperture and size, against the noiseless source alone) and GA-M1 (Kron, against truth)."""
    bright, rungs = objects["snr"] >= BRIGHT_SNR, rungs_of(settings)
    good = bright & np.isfinite(objects["leak"]) & np.isfinite(objects["error"])
    found = samples(objects, good, twins, rungs)
    resolved = samples(objects, bright & (objects["kind"] != "star") & np.isfinite(objects["growth"]), twins, rungs)

    def brightness(rows):
        return list(strata("magnitude", rows[f"mag_{band}"], MAGNITUDE_STRATA))

    for fom, column, sample, by in (
        ("GA-B1", "leak", found, _around),
        ("GA-B1.size", "growth", resolved, _around),
        ("GA-M1", "error", found, brightness),
    ):
        for population, every in sample.items():
            for rung, rows in every.groupby("rung"):
                scores.add_mean(
                    fom, rung, rows["block"], rows[column], BOUND, by(rows), population, weights=rows["weight"]
                )
    near = {name: rows[rows["separation"] < NEAR] for name, rows in found.items()}
    add_paired(scores, "GA-B1.scatter", near, "leak", DM_EDGES)
    add_paired(scores, "GA-M1.scatter", found, "error", DM_EDGES)
