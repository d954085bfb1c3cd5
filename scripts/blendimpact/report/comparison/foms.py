"""What deblenders are compared by, and its sums per block of sky."""

import numpy as np

from ...data.children import DEBLEND_BITS
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.figures_of_merit import Scores, parts, strata
from ...stats.histogram_statistics import Median, Nmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Fraction, Slope
from .sources import FOUND, TRUE

OUTLIER = 0.2
"""Flux residual, as a share of the source's flux, beyond which a source is an outlier."""
BLENDED = 0.05
"""Blendedness from which a source is called blended."""
# An odd number of bins, so that no residual is the middle of a bin and not an edge.
EDGES = tuple(residual_edges(limit=5.0, scale=0.02, n_bins=401))
# Finer towards 1, and one bin beyond it: the end bins are open.
KAPPA_EDGES = tuple(
    np.round(
        np.concatenate(
            [np.linspace(-1, 0.9, 191), np.linspace(0.901, 0.99, 90), np.linspace(0.9901, 1.0001, 101), [1.001]]
        ),
        6,
    )
)
CHI2_EDGES = tuple(np.concatenate([np.linspace(0, 4, 401), np.geomspace(4, 1e4, 201)[1:]]))
STRATA = {
    "blendedness": (0.0, 0.01, BLENDED, 0.2, 1.0001),
    "snr": (5.0, 10.0, 20.0, 50.0, 1e9),
    "separation": (0.0, 1.0, 2.0, 4.0, 1e9),
    "flux_ratio": (0.0, 0.1, 0.5, 2.0, 10.0, 1e9),
}
OUTCOMES = ("isolated", "recognised", "unrecognised", "shredded")
_AP = "(F - F_exact) / F_true in the aperture, shape band"
_EXACT = (
    "F_exact: the exact child on the same centre, every neighbour removed without error, in the same noise (on a "
    "real image: in a draw of its noise, so that the scatter has noise in it)"
)
_KRON = "Kron flux of the child, ellipse from its own moments; shape band"


def _f(name, title, definition, kind, unit="1", **more):
    return F(name, "deblending", title, definition, unit, kind, **more)


FIGURES_OF_MERIT = (
    _f("ap.bias", "aperture flux, bias", f"median of {_AP}; {_EXACT}", Median(EDGES), stored_as="ap"),
    _f(
        "ap.nmad",
        "aperture flux, scatter",
        f"normalised median absolute deviation of {_AP}",
        Nmad(EDGES),
        stored_as="ap",
    ),
    _f(
        "ap.outliers",
        "aperture flux, outliers",
        f"fraction of sources with |F - F_exact| over {OUTLIER:g} of F_true, or whose child failed",
        Fraction(),
    ),
    _f(
        "ap_true.bias",
        "aperture flux against truth, bias",
        "median of (F - F_true) / F_true in the aperture, shape band; F_true: the noiseless source alone",
        Median(EDGES),
        stored_as="ap_true",
    ),
    _f(
        "ap_true.nmad",
        "aperture flux against truth, scatter",
        "normalised median absolute deviation of "
        "(F - F_true) / F_true in the aperture: the noise of the pixels is in it",
        Nmad(EDGES),
        stored_as="ap_true",
    ),
    _f(
        "total.bias", "total flux, bias", f"median of (F - F_exact) / F_true; {_KRON}", Median(EDGES), stored_as="total"
    ),
    _f(
        "total.nmad",
        "total flux, scatter",
        f"normalised median absolute deviation of (F - F_exact) / F_true; {_KRON}",
        Nmad(EDGES),
        stored_as="total",
    ),
    _f(
        "colour.bias",
        "colour, bias",
        "median change of the aperture colour of the first two bands against the exact child",
        Median(EDGES),
        "mag",
        stored_as="colour",
    ),
    _f(
        "colour.nmad",
        "colour, scatter",
        "normalised median absolute deviation of the same",
        Nmad(EDGES),
        "mag",
        stored_as="colour",
    ),
    _f(
        "shape.slope",
        "ellipticity, slope",
        "slope of e - e_exact on e_true, both components; regularised moments "
        "under a Gaussian weight of fixed width on the centre, |e| = (1-q)/(1+q), not PSF-corrected",
        Slope(),
    ),
    _f(
        "kappa",
        "correlation with the source alone",
        "median of sum c s / sqrt(sum c^2 sum s^2) over pixels whose "
        "noiseless light exceeds half of the sky noise, shape band; c child, s the source alone in the same noise "
        "(real image: in another draw)",
        Median(KAPPA_EDGES),
    ),
    _f(
        "chi2",
        "residual chi2: no measure of quality",
        "median of the mean ((pixels - all models) / noise)^2 in the "
        "aperture, all bands, where the deblender has models. Not a measure of quality: light in the wrong child fits "
        "the pixels as well",
        Median(CHI2_EDGES),
    ),
    _f(
        "failed",
        "failed children",
        "fraction of children that the deblender could not make or that have no number as flux",
        Fraction(),
    ),
    _f(
        "lost",
        "sources without a child of their own",
        "fraction of sources above the truth-side cut that are missed, or whose detection a brighter source owns",
        Fraction(),
    ),
    *(
        _f(f"status.{name}", f"status {name}", f"fraction of children with this bit: {text}", Fraction())
        for name, text in DEBLEND_BITS.values()
    ),
)
BY_STRATUM = ("ap", "ap.outliers", "shape.slope", "kappa", "failed")
OTHER_NOISE = ("ap_true",)
"""And these where the exact child has another draw of the noise: on a real image."""


def score(sources, deblenders, scenario, case, same_noise=True):
    """Return the `Scores` of tables of sources; the rung of a score is the deblender's name.

    Parameters
    ----------
    sources : pandas.DataFrame
        Columns of `blendimpact.report.comparison.sources.SOURCE_COLUMNS`, all deblenders and chunks.
    deblenders : sequence of str
    scenario, case : str
    same_noise : bool
        Whether children and exact children share their noise, as on simulated skies.

    Returns
    -------
    Scores
        Populations: "true centres"; by outcome of the detector under study "isolated", "recognised", "unrecognised",
        "shredded" (detected centres); "detected centres": all of them.
    """
    scores = Scores(case, scenario, copies=max(sources["twin"].nunique(), 1))
    wide, by_stratum = _wide(sources), BY_STRATUM if same_noise else BY_STRATUM + OTHER_NOISE
    for deblender in deblenders:
        rows = wide[wide["deblender"] == deblender]
        true, found = (
            {name: here[name].to_numpy() for name in here.columns}
            for here in (rows[rows["centres"] == kind] for kind in (TRUE, FOUND))
        )
        made = true["made"]
        _add(scores, deblender, true, made, "true centres", "all")
        _add(scores, deblender, true, made & (true["blendedness"] >= BLENDED), "true centres", "blended")
        for name, edges in STRATA.items():
            for stratum, inside in strata(name, true[name], edges, whole=False):
                _add(scores, deblender, true, made & inside, "true centres", stratum, by_stratum)
        for outcome in OUTCOMES:
            _add(scores, deblender, found, found["made"] & (found["outcome"] == outcome), outcome, "all")
        _add(scores, deblender, found, found["made"], "detected centres", "all")
        scores.add_fractions("lost", deblender, found["block"], ~found["made"], population="detected centres")
    return scores


def _wide(sources):
    """Return one row per source, deblender and kind of centre: the shape band's, with residuals."""
    rows = sources[sources["shape_band"]].copy()
    with np.errstate(invalid="ignore", divide="ignore"):
        rows["ap"] = (rows["flux_ap"] - rows["flux_ap_exact"]) / rows["flux_ap_true"]
        rows["ap_true"] = (rows["flux_ap"] - rows["flux_ap_true"]) / rows["flux_ap_true"]
        rows["total"] = (rows["flux_kron"] - rows["flux_kron_exact"]) / rows["flux_kron_true"]
        rows["colour"] = np.nan
        key = ["deblender", "centres", "patch", "twin", "source_id"]
        bands = list(dict.fromkeys(sources["band"]))
        if len(bands) > 1:
            blue, red = (sources[sources["band"] == b].set_index(key) for b in bands[:2])
            ratio = blue["flux_ap"] * red["flux_ap_exact"] / (red["flux_ap"] * blue["flux_ap_exact"])
            # No flux in one band is a colour beyond the last bin, not a missing one: a median must not lose its tail.
            no_blue, no_red = blue["flux_ap"] <= 0, red["flux_ap"] <= 0
            colour = -2.5 * np.log10(ratio.mask(no_blue | no_red))
            colour = colour.mask(no_blue & ~no_red, EDGES[-1]).mask(no_red & ~no_blue, EDGES[0]).rename("colour")
            rows = rows.drop(columns="colour").merge(colour.reset_index(), on=key, how="left", validate="one_to_one")
    for k in (1, 2):  # slope of the difference of child and exact child, plus 1
        true = rows[f"e{k}_weighted_true"]
        rows[f"x{k}"], rows[f"y{k}"] = true, true + rows[f"e{k}_weighted"] - rows[f"e{k}_weighted_exact"]
    return rows


def _add(scores, deblender, rows, chosen, population, stratum, only=None):
    """Add the ``chosen`` ones of ``rows`` (a dict of arrays) to all figures of merit, or to those of ``only``."""
    blocks, by = rows["block"], [(stratum, chosen)]
    for name, edges in (
        *((name, EDGES) for name in ("ap", "ap_true", "total", "colour")),
        ("kappa", KAPPA_EDGES),
        ("chi2", CHI2_EDGES),
    ):
        if only is None or name in only:
            scores.add_histogram(name, deblender, blocks, rows[name], edges, by, population)
    counts = {"ap.outliers": ~(np.abs(rows["ap"]) <= OUTLIER), "failed": rows["failed"]}  # failed: NaN, an outlier
    counts |= {f"status.{name}": rows["child_status"] >> bit & 1 for bit, (name, _) in DEBLEND_BITS.items()}
    for name, bad in counts.items():
        if only is None or name in only:
            scores.add_fractions(name, deblender, blocks, bad, by, population)
    for _, block, here in parts(blocks, by):
        x, y = (np.concatenate([rows[f"{axis}1"][here], rows[f"{axis}2"][here]]) for axis in "xy")
        x, y = (v[np.isfinite(x) & np.isfinite(y)] for v in (x, y))
        scores.add(
            "shape.slope",
            deblender,
            block,
            [len(x), x.sum(), y.sum(), (x * x).sum(), (x * y).sum()],
            population,
            stratum,
        )
