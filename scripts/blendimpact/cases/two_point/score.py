"""Sufficient statistics of the shape figures of merit, per block of sky."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ...data.children import BITS as DEBLEND_BITS
from ...ladder.objects import by_source, common_sources, select, wide
from ...ladder.outcomes import efficiency_counts, groups
from ...ladder.rungs import ORDER, REAL, REFERENCE, RUNGS
from ...sky.blends import galaxy_counts, poisson_pair_fraction
from ...stats.figures_of_merit import Scores, parts, strata
from .foms import BLENDEDNESS_EDGES, CLASSES, PURITY_EDGES, RESIDUAL_EDGES, RESPONSE_EDGES

SIGMA_E = 0.26  # shape noise per component, reduced-shear convention (Chang et al. 2013)
# The weak-lensing sample: the LSST gold sample's limit and the usual S/N and size cuts.
CUTS = {"mag": 25.3, "snr": 10.0, "resolution": 0.1}
UB_RECIPE = {"radius": 1.0, "dm": 2.5, "faint": 28.0, "mag": (23.0, 24.5)}  # SITCOMTN-128
MAGNITUDE_STRATA = (18.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0)


def score(tables, settings, facts):
    """Return the `Scores` of a chunk.

    Parameters
    ----------
    tables : dict of str to Table
        ``truth``, ``detections``, ``assignments``, ``measurements``.
    settings : dict
        Of the case and scenario.
    facts : data.facts.Facts
        Of the images.
    """
    band = settings["shape_band"]
    truth = tables["truth"].to_pandas()
    objects = by_source(wide(tables["measurements"], settings["bands"], band), tables["assignments"])
    made = pd.DataFrame(facts.patches, columns=["patch", "block", "twin"])
    blocks = made.groupby("patch")["block"].first()
    objects["block"] = objects["patch"].map(blocks)
    known = truth[["patch", "twin", "source_id", f"mag_{band}", f"purity_{band}", "snr", "role", "kind"]]
    objects = objects.merge(
        known.rename(columns={f"mag_{band}": "true_mag", f"purity_{band}": "purity", "snr": "true_snr"}),
        on=["patch", "twin", "source_id"],
        how="left",
        validate="many_to_one",
    )
    objects["adaptive"] = (
        (objects["shape_flag"] == 0) & np.isfinite(objects["e1"]) & np.isfinite(objects["e2"])
    ).astype(bool)
    objects["weighted"] = (
        np.isfinite(objects["e1_weighted"])
        & np.isfinite(objects["e2_weighted"])
        & np.isfinite(objects[f"flux_ap_{band}"])
    ).astype(bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        objects["mag"] = facts.zero_point - 2.5 * np.log10(objects[f"flux_kron_{band}"])
    twins = sorted(made["twin"].unique())
    scores = Scores(settings["case"], settings["scenario"], copies=max(len(twins), 1))
    common = _common(objects, "weighted", twins)
    _responses(scores, common, settings)
    _slopes(scores, _common(objects, "adaptive", twins), settings)
    _own_samples(scores, objects, made, settings, facts)
    _residuals(scores, common, settings)
    _failures(scores, objects)
    _detection(scores, tables, truth, blocks, settings)
    _efficiency(scores, tables, truth, settings, facts)
    _unrecognised(scores, objects, truth, tables["detections"].to_pandas(), settings, facts)
    _purity(scores, truth, band)
    _sky(scores, truth, made, settings, facts)
    return scores


def blendedness(purity):
    """Return 1 - purity, not below 0: rounding of the light planes must not lose a pure source."""
    return np.clip(1 - np.asarray(purity, float), 0, None)


def _common(objects, estimator, twins):
    """Return the rows of sources that an estimator measures on every rung, cut on truth alone."""
    bright = (objects["true_mag"] < CUTS["mag"]) & (objects["true_snr"] >= CUTS["snr"])
    bright &= (objects["role"] == "target") & (objects["kind"] == "galaxy")
    rows = select(objects, common_sources(objects, bright & objects[estimator], twins))
    rows = rows[rows[estimator]].copy()  # on raw pixels some of the sources have no shape
    purity = rows.groupby(["patch", "source_id"])["purity"].mean().rename("mean_purity")
    return rows.merge(purity, on=["patch", "source_id"])


def _by_blendedness(purity):
    return list(strata("blendedness", blendedness(purity), BLENDEDNESS_EDGES))


def _add_response(scores, fom, rung, rows, e1, g, population, by=None):
    e, signs = rows[e1].to_numpy(), [rows["twin"].str.startswith(sign).to_numpy() for sign in ("plus", "minus")]
    for stratum, block, here in parts(rows["block"], by):
        plus, minus = (here[sign[here]] for sign in signs)
        scores.add(
            fom,
            rung,
            block,
            [e[plus].sum() / (2 * g), len(plus), e[minus].sum() / (2 * g), len(minus)],
            population,
            stratum,
        )


def _responses(scores, common, settings):
    """WL-M1 and its offsets: weighted moments of the common sample."""
    for rung in ORDER:
        rows = common[common["rung"] == rung]
        if settings.get("shear"):
            _per_source(scores, rung, rows, settings["shear"])
            _add_response(
                scores,
                "WL-M1",
                rung,
                rows,
                "e1_weighted",
                settings["shear"],
                "common",
                _by_blendedness(rows["mean_purity"]),
            )
        # A case without shear has the twin "zero" only.
        signs = [~rows["twin"].str.startswith(sign).to_numpy() for sign in ("minus", "plus")]
        for component in ("1", "2"):
            e = rows[f"e{component}_weighted"].to_numpy()
            for _, block, here in parts(rows["block"]):
                first, second = (here[sign[here]] for sign in signs)
                sums = [e[first].sum(), len(first), e[second].sum(), len(second)]
                scores.add(f"WL-M1.c{component}", rung, block, sums, "common")


def _per_source(scores, rung, rows, g):
    """Fill the histogram of each source's own response, noise pairs averaged."""
    sign = np.where(rows["twin"].str.startswith("plus"), 1.0, -1.0)
    pairs = rows["twin"].nunique() / 2
    own = rows.assign(response=sign * rows["e1_weighted"] / (2 * g * pairs)).groupby(["patch", "source_id"])
    table = own.agg(response=("response", "sum"), block=("block", "first"), purity=("mean_purity", "first"))
    scores.add_histogram(
        "WL-M1.trimmed",
        rung,
        table["block"],
        table["response"],
        RESPONSE_EDGES,
        _by_blendedness(table["purity"]),
        copies=1,
    )


def _slopes(scores, common, settings):
    """WL-B3 and the response of adaptive moments, on the sources that have them on every rung."""
    reference = common.loc[common["rung"] == REFERENCE, ["patch", "twin", "source_id", "e1", "e2"]]
    common = common.merge(
        reference.rename(columns={"e1": "true_e1", "e2": "true_e2"}), on=["patch", "twin", "source_id"]
    )
    for rung in ORDER:
        rows = common[common["rung"] == rung]
        if settings.get("shear"):
            _add_response(scores, "WL-M1.adaptive", rung, rows, "e1", settings["shear"], "common")
        true, found = (rows[names].to_numpy() for names in (["true_e1", "true_e2"], ["e1", "e2"]))
        for stratum, block, here in parts(rows["block"], _by_blendedness(rows["mean_purity"])):
            x, y = true[here].ravel(), found[here].ravel()
            scores.add("WL-B3", rung, block, [len(x), x.sum(), y.sum(), x @ x, x @ y], "common", stratum)


def _own_samples(scores, objects, made, settings, facts):
    """WL-D2 (weighted), n_eff and WL-D4 (adaptive moments) on each rung's own selection.

    Cuts are on measured quantities; that an object is a star is taken as known.
    """
    galaxies = objects[(objects["mag"] < CUTS["mag"]) & (objects["kind"] != "star")]
    if settings.get("shear"):
        shapes = galaxies[galaxies["weighted"] & (galaxies["snr_weighted"] >= CUTS["snr"])]
        for rung in RUNGS:
            _add_response(
                scores, "WL-D2", rung, shapes[shapes["rung"] == rung], "e1_weighted", settings["shear"], "own"
            )
    own = galaxies[
        galaxies["adaptive"] & (galaxies["snr_shape"] >= CUTS["snr"]) & (galaxies["resolution"] > CUTS["resolution"])
    ]
    size = settings["patch"]["size"] * facts.pixel_scale / 60
    images = made.groupby("block").size()
    for rung in RUNGS:
        rows = own[own["rung"] == rung]
        error = 1 / (rows["snr_shape"] * rows["resolution"])
        weight = SIGMA_E**2 / (SIGMA_E**2 + error**2)
        clean = rows["purity"] > 0.8
        for block, area in (images * size**2).items():
            here = rows["block"] == block
            scores.add("WL-M2", rung, block, [weight[here].sum(), area, here.sum()], "own")
            scores.add("WL-M2.unblended", rung, block, [weight[here & clean].sum(), area, (here & clean).sum()], "own")
    for rung in REAL:
        rows = own[own["rung"] == rung]
        square, members = (rows["e1"] ** 2 + rows["e2"] ** 2).to_numpy(), rows["n_members"].to_numpy()
        for _, block, here in parts(rows["block"]):
            merged, single = here[members[here] > 1], here[members[here] == 1]
            scores.add(
                "WL-D4", rung, block, [square[merged].sum(), len(merged), square[single].sum(), len(single)], "own"
            )


def _residuals(scores, common, settings):
    """WL-B1: aperture flux and colour against the isolated twin of the same source."""
    band = settings["shape_band"]
    flux = [f"flux_ap_{b}" for b in settings["bands"]]
    alone = common.loc[common["rung"] == "isolated", ["patch", "twin", "source_id", *flux]]
    rows = common.merge(alone, on=["patch", "twin", "source_id"], suffixes=("", "_alone"))
    with np.errstate(invalid="ignore", divide="ignore"):
        rows["residual"] = rows[f"flux_ap_{band}"] / rows[f"flux_ap_{band}_alone"] - 1
        blue, red = settings["bands"][:2] if len(settings["bands"]) > 1 else (band, band)
        rows["colour"] = -2.5 * np.log10(
            rows[f"flux_ap_{blue}"]
            * rows[f"flux_ap_{red}_alone"]
            / (rows[f"flux_ap_{red}"] * rows[f"flux_ap_{blue}_alone"])
        )
    rows = rows[rows[f"flux_ap_{band}_alone"] > 0]
    for rung in RUNGS:
        on_rung = rows[rows["rung"] == rung]
        block, by = on_rung["block"], _by_blendedness(on_rung["purity"])
        scores.add_histogram("WL-B1", rung, block, on_rung["residual"], RESIDUAL_EDGES, by)
        scores.add_fractions("WL-B1.tail", rung, block, on_rung["residual"].abs() > 0.1, by, "common")
        if len(settings["bands"]) > 1:
            scores.add_histogram("WL-B1.colour", rung, block, on_rung["colour"], RESIDUAL_EDGES, by)


def _failures(scores, objects):
    """WL-B1.failed and WL-M1.failed: children that a deblender could not make, shapes that did not converge."""
    rows = objects[((objects["role"] == "target") | (objects["source_id"] == 0)) & (objects["kind"] != "star")]
    for rung in RUNGS:
        here = [("all", rows["rung"] == rung)]
        failed = (rows["child_status"] & DEBLEND_BITS.FAILED) != 0
        scores.add_fractions("WL-B1.failed", rung, rows["block"], failed, here, "own")
        scores.add_fractions("WL-M1.failed", rung, rows["block"], ~rows["adaptive"], here, "own")


def _detection(scores, tables, truth, blocks, settings):
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
    found = found[found["inside"]].copy()
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


def _efficiency(scores, tables, truth, settings, facts):
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


def _unrecognised(scores, objects, truth, detections, settings, facts):
    """WL-D1 with the recipe of SITCOMTN-128, for true and for detected centres."""
    radius = UB_RECIPE["radius"] / facts.pixel_scale
    band = settings["shape_band"]
    low, high = UB_RECIPE["mag"]
    bright = truth[(truth[f"mag_{band}"] < UB_RECIPE["faint"])]
    for rung in ("deblended", "pipeline"):
        rows = objects[
            (objects["rung"] == rung) & (objects["mag"] > low) & (objects["mag"] < high) & (objects["kind"] != "star")
        ]
        for (patch, twin), here in rows.groupby(["patch", "twin"]):
            sources = bright[(bright["patch"] == patch) & (bright["twin"] == twin)]
            if rung == "deblended":
                centres = sources.loc[sources["snr"] >= settings["truth_snr"], ["x", "y"]].to_numpy()
            else:
                centres = detections.loc[
                    (detections["patch"] == patch) & (detections["twin"] == twin), ["x", "y"]
                ].to_numpy()
            blended = is_unrecognised(
                here[["x", "y"]].to_numpy(),
                sources[["x", "y"]].to_numpy(),
                sources[f"mag_{band}"].to_numpy(),
                centres,
                radius,
            )
            scores.add("WL-D1", rung, here["block"].iloc[0], [blended.sum(), len(blended)])


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


def _purity(scores, truth, band):
    """WL-P*: foreign light of galaxies that are detectable at isolated S/N > 6."""
    rows = truth[(truth["role"] == "target") & (truth["kind"] == "galaxy") & (truth[f"snr_{band}"] > 6)]
    rows = rows[np.isfinite(rows[f"purity_{band}"])]
    block, purity = rows["block"], rows[f"purity_{band}"]
    scores.add_fractions("WL-P1", REFERENCE, block, purity < 0.99, population="truth")
    scores.add_histogram("WL-P2", REFERENCE, block, purity, PURITY_EDGES, population="truth")


def _sky(scores, truth, made, settings, facts):
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
