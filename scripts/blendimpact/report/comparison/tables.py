"""The tables of the comparison: every number with its interval, and what could not be made with its reason."""

import numpy as np
from astropy.table import Table

from ...data import catalogues
from ...ladder.aggregate import FOM_COLUMNS, aggregate
from .foms import FIGURES_OF_MERIT, score

COLUMNS = {
    "sky": (None, "sky of the comparison"),
    **{name: FOM_COLUMNS[name] for name in ("case", "scenario")},
    "deblender": (None, "deblender; the sources are the same for all"),
    "population": (None, "true centres; detected centres: all, and by blend outcome of the detector under study"),
    **{
        name: FOM_COLUMNS[name]
        for name in ("stratum", "fom", "title", "value", "ci_low", "ci_high", "n", "n_blocks", "unit", "method")
    },
    "definition": (None, "what the figure of merit is, with the apertures"),
    "note": FOM_COLUMNS["note"],
}
BOARD_COLUMNS = {
    **{name: COLUMNS[name] for name in ("sky", "case", "scenario", "deblender")},
    "fom": FOM_COLUMNS["fom"],
    "title": FOM_COLUMNS["title"],
    "term": (None, "deblending: rung deblended minus oracle (true centres); pipeline: the value with the detector's"),
    **{
        name: COLUMNS[name]
        for name in (
            "population",
            "value",
            "ci_low",
            "ci_high",
            "n",
            "n_blocks",
            "unit",
            "method",
            "definition",
            "note",
        )
    },
}


def comparison_rows(sky, case, scenario, sources, deblenders, aperture, n_resamples, seed, same_noise=True):
    """Return the rows of one sky: every figure of merit of every deblender, population and stratum.

    Parameters
    ----------
    sky, case, scenario : str
    sources : pandas.DataFrame
        Of the deblenders that ran.
    deblenders : sequence of str
    aperture : float
        Diameter in arcsec, for the definitions.
    n_resamples, seed : int
        Of the bootstrap over blocks; all deblenders share the resamples.
    same_noise : bool
        See `blendimpact.report.comparison.foms.score`.

    Returns
    -------
    Table
        Columns `COLUMNS`.
    """
    scores = score(sources, deblenders, scenario, case, same_noise)
    table = aggregate(scores.table(), case, scenario, FIGURES_OF_MERIT, n_resamples, seed)
    table["deblender"], table["sky"] = table["term"], np.full(len(table), sky)
    texts = {fom.id: f"{fom.definition}. Aperture: {aperture:g} arcsec in diameter" for fom in FIGURES_OF_MERIT}
    table["definition"] = np.array([texts[str(fom)] for fom in table["fom"]], dtype=str)
    order = {name: k for k, name in enumerate(deblenders)}
    table = table[np.argsort([order[str(name)] for name in table["deblender"]], kind="stable")]
    return described(table, COLUMNS)


def board_rows(sky, case, scenario, scores, deblender, foms, n_resamples, seed):
    """Return the board's figures of merit of deblending for one deblender on one sky.

    Parameters
    ----------
    scores : Table
        `blendimpact.stats.figures_of_merit.SCORE_COLUMNS`.
    foms : sequence of FigureOfMerit
        Of the case.

    Returns
    -------
    Table
        Columns `BOARD_COLUMNS`: the deblending terms of figures that have a budget, the values of those that do not.
    """
    foms = [fom for fom in foms if fom.stage == "deblending"]
    table = aggregate(scores[np.asarray(scores["stratum"]) == "all"], case, scenario, foms, n_resamples, seed)
    keep = [
        row["stratum"] == "all"
        and (
            (row["kind"] == "impact" and row["term"] == "deblending")
            or (row["kind"] == "value" and row["term"] == "pipeline")
        )
        for row in table
    ]
    table = table[np.array(keep, bool)]
    for name, value in (("sky", sky), ("deblender", deblender)):
        table[name] = np.full(len(table), value, dtype="U32")
    texts = {fom.id: fom.definition for fom in foms}
    table["definition"] = np.array([texts[str(fom)] for fom in table["fom"]], dtype=str)
    return described(table, BOARD_COLUMNS)


def not_made(columns, reason, **known):
    """Return one row of known columns that says why there is no other."""
    known["note"] = f"not made: {reason}"
    row = {
        name: [
            known.get(
                name, 0 if name in ("n", "n_blocks") else np.nan if name in ("value", "ci_low", "ci_high") else ""
            )
        ]
        for name in columns
    }
    return described(Table(row), columns)


def described(table, columns):
    """Return these columns of a table, with their units and descriptions."""
    return catalogues.describe(table[list(columns)], columns)
