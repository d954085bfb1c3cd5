"""What the true sky is: purity, depth, numbers and close pairs of its sources (WL-P, WL-Q, WL-N)."""

import numpy as np
from scipy.spatial import cKDTree

from ...ladder.rungs import REFERENCE
from ...sky.blends import galaxy_counts, poisson_pair_fraction
from .detection import UB_RECIPE
from .foms import PURITY_EDGES


def add_purity(scores, truth, band):
    """WL-P*: foreign light of galaxies that are detectable at isolated S/N > 6."""
    rows = truth[(truth["role"] == "target") & (truth["kind"] == "galaxy") & (truth[f"snr_{band}"] > 6)]
    rows = rows[np.isfinite(rows[f"purity_{band}"])]
    block, purity = rows["block"], rows[f"purity_{band}"]
    scores.add_fractions("WL-P1", REFERENCE, block, purity < 0.99, population="truth")
    scores.add_histogram("WL-P2", REFERENCE, block, purity, PURITY_EDGES, population="truth")


def add_counts(scores, truth, made, settings, facts):
    """WL-Q1, WL-Q2, WL-N4: depth, density of sources, and close pairs on the true sky (one twin)."""
    for patch, depth in facts.depth.items():
        block = int(made.loc[made["patch"] == int(patch), "block"].iloc[0])
        for band, value in depth.items():
            scores.add("WL-Q1", REFERENCE, block, [value, 1], "truth", f"band:{band}", copies=1)
    band, radius = settings["shape_band"], UB_RECIPE["radius"]
    area = (settings["patch"]["size"] * facts.pixel_scale / 60) ** 2
    first = made.drop_duplicates("patch")
    galaxies = truth[(truth["kind"] == "galaxy") & truth["twin"].isin(first["twin"].unique())]
    found = galaxies[(galaxies["role"] == "target") & (galaxies["snr"] >= settings["truth_snr"])]
    for block, patches in first.groupby("block"):
        number = found["patch"].isin(patches["patch"]).sum()
        scores.add("WL-Q2", REFERENCE, block, [number, area * len(patches), number], "truth", copies=1)
    for _, here in galaxies.groupby("patch"):
        targets = here[(here["role"] == "target") & here[f"mag_{band}"].between(23.5, 24.5)]
        if not len(targets):
            continue
        xy, mag = here[["x", "y"]].to_numpy(), here[f"mag_{band}"].to_numpy()
        near = cKDTree(xy).query_ball_point(targets[["x", "y"]].to_numpy(), radius / facts.pixel_scale)
        paired = [np.sum(mag[k] < m + UB_RECIPE["dm"]) > 1 for k, m in zip(near, targets[f"mag_{band}"])]
        density = (
            settings["population"]["galaxies"]["density"]
            * galaxy_counts(targets[f"mag_{band}"].to_numpy() + UB_RECIPE["dm"])
            / 3600
        )
        block = here["block"].iloc[0]
        scores.add("WL-N4", REFERENCE, block, [np.sum(paired), len(paired)], "truth", copies=1)
        scores.add(
            "WL-N4.formula",
            REFERENCE,
            block,
            [poisson_pair_fraction(density, radius).sum(), len(paired)],
            "truth",
            copies=1,
        )
