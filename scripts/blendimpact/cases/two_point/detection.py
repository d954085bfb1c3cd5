"""What is found and what is merged: outcomes of sources and of detections, and unrecognised blends (WL-D1, WL-D3)."""

import numpy as np
from scipy.spatial import cKDTree

from ...ladder.outcomes import efficiency_counts, groups
from ...stats.figures_of_merit import strata
from .foms import BLENDEDNESS_EDGES, CLASSES
from .samples import blendedness

UB_RECIPE = {"radius": 1.0, "dm": 2.5, "faint": 28.0, "mag": (23.0, 24.5)}  # SITCOMTN-128
MAGNITUDE_STRATA = (18.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0)


def add_outcomes(scores, tables, truth, blocks, settings):
    """WL-D3: outcomes of true sources and of detections inside the border."""
    links = tables["assignments"].to_pandas()
    band = settings["shape_band"]
    links = links.merge(
        truth[["patch", "twin", "source_id", "role", "kind", f"mag_{band}", f"purity_{band}"]],
        on=["patch", "twin", "source_id"],
    )
    every_link = links
    links = links[(links["role"] == "target") & (links["kind"] != "star")].reset_index(drop=True)
    found = tables["detections"].to_pandas()
    # Of a real image nobody knows whether what was there before injection, and is on no list, is a source.
    found = found[found["inside"] & (found["outcome"] != "unlisted")].copy()
    # Detections of stars, and of galaxies in the border, are neither true nor false finds of a target.
    main = every_link[every_link["dominant"] & ((every_link["role"] != "target") | (every_link["kind"] == "star"))]
    other = main.set_index(["patch", "twin", "det_id"]).index
    found["other"] = found.set_index(["patch", "twin", "det_id"]).index.isin(other)
    links["block"], found["block"] = links["patch"].map(blocks), found["patch"].map(blocks)
    tried = links["found_alone"] >= 0
    for rung, rows, got, copies in (
        ("pipeline", links, links["dominant"], None),
        ("alone", links[tried], links["found_alone"][tried] == 1, 1),
    ):
        for by in (
            strata("magnitude", rows[f"mag_{band}"], MAGNITUDE_STRATA),
            strata("blendedness", blendedness(rows[f"purity_{band}"]), BLENDEDNESS_EDGES, whole=False),
        ):
            scores.add_fractions("WL-D3.recall", rung, rows["block"], got, by, copies=copies)
    for block, here in links.groupby("block"):
        good = here["dominant"].sum()
        dets = found[found["block"] == block]
        galaxies = (~dets["other"]).sum()
        scores.add("WL-D3.precision", "pipeline", block, [(dets["n_members"] > 0).sum(), len(dets)])
        scores.add("WL-D3.spurious", "pipeline", block, [(dets["n_members"] == 0).sum(), len(dets)])
        scores.add("WL-D3.f1", "pipeline", block, [good, len(here), galaxies])
        for name in CLASSES:
            scores.add(f"WL-D3.{name}", "pipeline", block, [(here["outcome"] == name).sum(), len(here)])


def add_efficiency(scores, tables, truth, settings, facts):
    """WL-D3.E: how many detections groups of n true galaxies give (friends of friends in the radius)."""
    radius = settings["match_radius"] / facts.pixel_scale
    sources = truth[truth["snr"] >= settings["truth_snr"]]
    found = {
        key: rows[["x", "y"]].to_numpy() for key, rows in tables["detections"].to_pandas().groupby(["patch", "twin"])
    }
    for key, rows in sources.groupby(["patch", "twin"]):
        number = groups(rows[["x", "y"]].to_numpy(), radius)
        # Whole groups, stars and border included, of which at least one member is a target.
        rows = rows[np.isin(number, number[(rows["role"] == "target").to_numpy()])]
        if not len(rows):  # a patch may hold no target
            continue
        xy = rows[["x", "y"]].to_numpy()
        counts = efficiency_counts(groups(xy, radius), xy, found.get(key, np.empty((0, 2))), radius)
        for n in range(1, counts.shape[1]):
            for k in range(counts.shape[0]):
                scores.add(
                    "WL-D3.E",
                    "pipeline",
                    rows["block"].iloc[0],
                    [counts[k, n], counts[:, n].sum()],
                    stratum=f"true:{n} found:{k}",
                )


def add_unrecognised(scores, tables, truth, blocks, settings, facts):
    """WL-D1 with the recipe of SITCOMTN-128, for true and for detected centres."""
    radius = UB_RECIPE["radius"] / facts.pixel_scale
    band = settings["shape_band"]
    bright = dict(list(truth[truth[f"mag_{band}"] < UB_RECIPE["faint"]].groupby(["patch", "twin"])))
    found = dict(list(tables["detections"].to_pandas().groupby(["patch", "twin"])))
    for rung, objects in _with_light(tables, truth, settings).items():
        low, high = UB_RECIPE["mag"]
        for key, here in objects[objects["mag"].between(low, high)].groupby(["patch", "twin"]):
            sources = bright[key]
            centres = sources[sources["snr"] >= settings["truth_snr"]] if rung == "deblended" else found[key]
            blended = is_unrecognised(
                here[["x", "y"]].to_numpy(),
                sources[["x", "y"]].to_numpy(),
                sources[f"mag_{band}"].to_numpy(),
                centres[["x", "y"]].to_numpy(),
                radius,
            )
            scores.add("WL-D1", rung, blocks[key[0]], [blended.sum(), len(blended)])


def _with_light(tables, truth, settings):
    """Return {rung: objects}: true targets, and detections of galaxies inside the border, with their true light.

    The magnitude of a detection is that of all sources assigned to it, so that the figure needs no photometry.
    """
    band, key = settings["shape_band"], ["patch", "twin", "det_id"]
    targets = truth[(truth["role"] == "target") & (truth["kind"] != "star") & (truth["snr"] >= settings["truth_snr"])]
    links = tables["assignments"].to_pandas()
    links = links[links["det_id"] > 0].merge(
        truth[["patch", "twin", "source_id", "kind", f"mag_{band}"]], on=["patch", "twin", "source_id"]
    )
    links["light"] = 10 ** (-0.4 * links[f"mag_{band}"])
    light = links.groupby(key)["light"].sum()
    stars = links[links["dominant"] & (links["kind"] == "star")].set_index(key).index
    found = tables["detections"].to_pandas()
    found = found[found["inside"]].set_index(key)
    found = found[~found.index.isin(stars)].join(light, how="inner").reset_index()
    found["mag"] = -2.5 * np.log10(found["light"])
    return {"deblended": targets.assign(mag=targets[f"mag_{band}"]), "pipeline": found}


def is_unrecognised(objects, sources, magnitudes, detections, radius, dm=UB_RECIPE["dm"]):
    """Return which objects hold more true sources than detections within ``radius``.

    Parameters
    ----------
    objects, sources, detections : (N, 2), (M, 2), (K, 2) arrays
        Positions in pixels; the objects are among the detections.
    magnitudes : (M,) array
        Of the true sources. Only those within ``dm`` of the brightest in the radius count.
    radius : float
        In pixels.
    dm : float

    Returns
    -------
    (N,) bool array

    Notes
    -----
    N_s > N_g of SITCOMTN-128.
    """
    if not len(objects) or not len(sources):
        return np.zeros(len(objects), bool)
    near = cKDTree(sources).query_ball_point(objects, radius)
    n_true = np.array([(magnitudes[k] < magnitudes[k].min() + dm).sum() if k else 0 for k in near], int)
    n_found = cKDTree(detections).query_ball_point(objects, radius, return_length=True)
    return n_true > n_found
