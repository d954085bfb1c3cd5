"""Sufficient statistics of the shape figures of merit, per block of sky."""

import numpy as np
import pandas as pd

from ...data.children import BITS as DEBLEND_BITS
from ...ladder.objects import KEY
from ...ladder.paired import add_paired
from ...ladder.rungs import ORDER, REAL, REFERENCE, rungs_of
from ...stats.figures_of_merit import Scores, parts
from .blends import add_blends
from .detection import add_efficiency, add_outcomes, add_unrecognised
from .foms import FLUX_BOUND, RESIDUAL_EDGES, RESPONSE_EDGES
from .photo_z import add_photo_z
from .samples import CUTS, by_blendedness, lensing, objects_of
from .swapped import add_swapped
from .truth_sky import add_counts, add_purity

SIGMA_E = 0.26  # shape noise per component, reduced-shear convention (Chang et al. 2013)


def score(tables, settings, facts):
    """Return the `Scores` of a chunk.

    Parameters
    ----------
    tables : dict of str to Table
        ``truth``, ``detections``, ``assignments``, ``measurements``, ``swapped`` where there is a shear, and
        ``redshifts`` where they are estimated.
    settings : dict
        Of the case and scenario.
    facts : data.facts.Facts
        Of the images.
    """
    band = settings["shape_band"]
    truth = tables["truth"].to_pandas()
    made = pd.DataFrame(facts.patches, columns=["patch", "block", "twin"])
    blocks = made.groupby("patch")["block"].first()
    twins = sorted(made["twin"].unique())
    scores = Scores(settings["case"], settings["scenario"], copies=max(len(twins), 1))
    if rungs_of(settings):
        objects = objects_of(tables, truth, blocks, settings, facts.zero_point)
        _measured(scores, objects, made, settings, facts)
        if "redshifts" in tables:
            samples = add_photo_z(scores, objects, tables, truth, twins, settings)
            add_blends(scores, tables, truth, blocks, samples, settings, facts.pixel_scale)
    if len(tables.get("swapped", ())):
        add_swapped(scores, tables, truth, blocks, settings, CUTS)
    add_outcomes(scores, tables, truth, blocks, settings)
    add_efficiency(scores, tables, truth, settings, facts)
    add_unrecognised(scores, tables, truth, blocks, settings, facts)
    add_purity(scores, truth, band)
    add_counts(scores, truth, made, settings, facts)
    return scores


def _measured(scores, objects, made, settings, facts):
    """Add what is measured of child images."""
    twins = sorted(made["twin"].unique())
    weighted, adaptive = (lensing(objects, estimator, twins, settings) for estimator in ("weighted", "adaptive"))
    for population, rows in weighted.items():
        if "isolated" in rungs_of(settings):
            _responses(scores, rows, population, settings)
        _offsets(scores, rows, population)
    for population, rows in adaptive.items():
        _slopes(scores, rows, population, settings)
    _own_samples(scores, objects, made, settings, facts)
    if "isolated" in rungs_of(settings):
        _residuals(scores, weighted, settings)
    _failures(scores, objects, settings)


def _add_response(scores, fom, rung, rows, e1, g, population, by=None):
    e, signs = rows[e1].to_numpy(), [rows["twin"].str.startswith(sign).to_numpy() for sign in ("plus", "minus")]
    for stratum, block, here in parts(rows["block"], by):
        plus, minus = (here[sign[here]] for sign in signs)
        sums = [e[plus].sum() / (2 * g), len(plus), e[minus].sum() / (2 * g), len(minus)]
        scores.add(fom, rung, block, sums, population, stratum)


def _on_rungs(rows):
    """Yield (rung, rows) of the rungs that there are, in order."""
    for rung in ORDER:
        here = rows[rows["rung"] == rung]
        if len(here):
            yield rung, here


def _responses(scores, rows, population, settings):
    """WL-M1: weighted moments."""
    g = settings.get("shear")
    for rung, here in _on_rungs(rows) if g else ():
        _per_source(scores, rung, here, population, g)
        by = by_blendedness(here["mean_purity"])
        _add_response(scores, "WL-M1", rung, here, "e1_weighted", g, population, by)


def _offsets(scores, rows, population):
    """WL-M1.c1 and c2; a case without shear has the twins "zero" and "turned" alone."""
    for rung, here in _on_rungs(rows):
        signs = [~here["twin"].str.startswith(sign).to_numpy() for sign in ("minus", "plus")]
        for component in ("1", "2"):
            e = here[f"e{component}_weighted"].to_numpy()
            for _, block, at in parts(here["block"]):
                first, second = (at[sign[at]] for sign in signs)
                sums = [e[first].sum(), len(first), e[second].sum(), len(second)]
                scores.add(f"WL-M1.c{component}", rung, block, sums, population)


def _per_source(scores, rung, rows, population, g):
    """Fill the histogram of each source's own response, noise pairs averaged."""
    sign = np.where(rows["twin"].str.startswith("plus"), 1.0, -1.0)
    pairs = rows["twin"].nunique() / 2
    own = rows.assign(response=sign * rows["e1_weighted"] / (2 * g * pairs)).groupby(["patch", "source_id"])
    table = own.agg(response=("response", "sum"), block=("block", "first"), purity=("mean_purity", "first"))
    by = by_blendedness(table["purity"])
    scores.add_histogram(
        "WL-M1.trimmed", rung, table["block"], table["response"], RESPONSE_EDGES, by, population, copies=1
    )


def _slopes(scores, rows, population, settings):
    """WL-B3 and the response of adaptive moments."""
    reference = rows.loc[rows["rung"] == REFERENCE, [*KEY, "e1", "e2"]]
    rows = rows.merge(reference.rename(columns={"e1": "true_e1", "e2": "true_e2"}), on=KEY)
    if settings.get("shear") and "isolated" in rungs_of(settings):
        for rung, here in _on_rungs(rows):
            _add_response(scores, "WL-M1.adaptive", rung, here, "e1", settings["shear"], population)
    if settings.get("ring"):
        rows = ring_halves(rows)
    for rung, here in _on_rungs(rows):
        true, found = (here[names].to_numpy() for names in (["true_e1", "true_e2"], ["e1", "e2"]))
        copies = 2 * here.groupby(["patch", "source_id"]).size().max()  # both components
        for stratum, block, at in parts(here["block"], by_blendedness(here["mean_purity"])):
            x, y = true[at].ravel(), found[at].ravel()
            sums = [len(x), x.sum(), y.sum(), x @ x, x @ y]
            scores.add("WL-B3", rung, block, sums, population, stratum, copies=copies)


def ring_halves(rows):
    """Return half the difference of the shapes of each ring pair: one row in place of two.

    Parameters
    ----------
    rows : pandas.DataFrame
        With ``patch``, ``source_id``, ``rung``, ``twin`` (zero, turned, and their flips), shapes, ``block`` and
        ``mean_purity``.
    """
    shapes = ["e1", "e2", "true_e1", "true_e2"]
    rows = rows.assign(flip=rows["twin"].str.endswith("flip")).set_index(["patch", "source_id", "rung", "flip"])
    turned = rows["twin"].str.startswith("turned")
    out = rows.loc[~turned, [*shapes, "block", "mean_purity"]]
    out, other = out.align(rows.loc[turned, shapes], join="inner", axis=0)
    return out.assign(**{name: (out[name] - other[name]) / 2 for name in shapes}).reset_index()


def _own_samples(scores, objects, made, settings, facts):
    """n_eff and WL-D4 (adaptive moments) on each rung's own selection.

    Cuts are on measured quantities; that an object is a star is taken as known.
    """
    own = objects[(objects["mag"] < CUTS["mag"]) & (objects["kind"] != "star") & objects["adaptive"]]
    own = own[(own["snr_shape"] >= CUTS["snr"]) & (own["resolution"] > CUTS["resolution"])]
    size = settings["patch"]["size"] * facts.pixel_scale / 60
    images = made.groupby("block").size()
    for rung in rungs_of(settings):
        rows = own[own["rung"] == rung]
        error = 1 / (rows["snr_shape"] * rows["resolution"])
        weight = SIGMA_E**2 / (SIGMA_E**2 + error**2)
        clean = rows["purity"] > 0.8
        for block, area in (images * size**2).items():
            here = rows["block"] == block
            scores.add("WL-M2", rung, block, [weight[here].sum(), area, here.sum()], "own")
            scores.add("WL-M2.unblended", rung, block, [weight[here & clean].sum(), area, (here & clean).sum()], "own")
        if rung in REAL:
            _dispersion(scores, rung, rows)


def _dispersion(scores, rung, rows):
    square, members = (rows["e1"] ** 2 + rows["e2"] ** 2).to_numpy(), rows["n_members"].to_numpy()
    for _, block, here in parts(rows["block"]):
        merged, single = here[members[here] > 1], here[members[here] == 1]
        sums = [square[merged].sum(), len(merged), square[single].sum(), len(single)]
        scores.add("WL-D4", rung, block, sums, "own")


def _residuals(scores, samples, settings):
    """WL-B1: aperture flux and colour against the isolated twin of the same source."""
    residuals = {population: against_isolated(rows, settings) for population, rows in samples.items()}
    for population, rows in residuals.items():
        for rung, here in _on_rungs(rows):
            block, by = here["block"], by_blendedness(here["purity"])
            scores.add_mean("WL-B1", rung, block, here["residual"], FLUX_BOUND, by, population)
            scores.add_fractions("WL-B1.tail", rung, block, here["residual"].abs() > 0.1, by, population)
            if len(settings["bands"]) > 1:
                scores.add_mean("WL-B1.colour", rung, block, here["colour"], FLUX_BOUND, by, population)
    add_paired(
        scores, "WL-B1.paired", residuals, "residual", RESIDUAL_EDGES, lambda rows: by_blendedness(rows["purity"])
    )


def against_isolated(rows, settings):
    """Return rows of the rungs with ``residual``, (F - F_isolated) / F_isolated, and ``colour``, its change in mag."""
    band = settings["shape_band"]
    flux = [f"flux_ap_{b}" for b in settings["bands"]]
    alone = rows.loc[rows["rung"] == "isolated", [*KEY, *flux]]
    rows = rows[rows["rung"] != REFERENCE].merge(alone, on=KEY, suffixes=("", "_alone"))
    rows = rows[rows[f"flux_ap_{band}_alone"] > 0].copy()
    rows["residual"] = rows[f"flux_ap_{band}"] / rows[f"flux_ap_{band}_alone"] - 1
    blue, red = settings["bands"][:2] if len(settings["bands"]) > 1 else (band, band)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows["colour"] = -2.5 * np.log10(
            rows[f"flux_ap_{blue}"]
            * rows[f"flux_ap_{red}_alone"]
            / (rows[f"flux_ap_{red}"] * rows[f"flux_ap_{blue}_alone"])
        )
    return rows


def _failures(scores, objects, settings):
    """WL-B1.failed and WL-M1.failed: children that a deblender could not make, shapes that did not converge."""
    rows = objects[((objects["role"] == "target") | (objects["source_id"] == 0)) & (objects["kind"] != "star")]
    for rung in rungs_of(settings):
        here = [("all", rows["rung"] == rung)]
        failed = (rows["child_status"] & DEBLEND_BITS.FAILED) != 0
        scores.add_fractions("WL-B1.failed", rung, rows["block"], failed, here, "own")
        scores.add_fractions("WL-M1.failed", rung, rows["block"], ~rows["adaptive"], here, "own")
