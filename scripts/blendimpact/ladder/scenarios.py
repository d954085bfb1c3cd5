"""Two scenarios of a case on the same sky: what they differ in changes, and nothing else does."""

import numpy as np
from astropy.table import Table

from ..data import catalogues
from ..stats.intervals import bootstrap_weights
from ..stats.statistic import Blocks
from .aggregate import FOM_COLUMNS, Sums, drawn

PAIR_COLUMNS = {
    **{name: FOM_COLUMNS[name] for name in ("case", "fom", "stage", "title", "kind", "term", "population", "stratum")},
    "scenario": (None, "a scenario"),
    "reference": (None, "the scenario that it is compared with"),
    "value": (None, "scenario minus reference, in unit"),
    "ci_low": FOM_COLUMNS["ci_low"],
    "ci_high": FOM_COLUMNS["ci_high"],
    "n": (None, "objects that entered, the fewer of both"),
    "n_blocks": (None, "blocks of sky that both have and that were resampled together; 0: each has its own"),
    "unit": FOM_COLUMNS["unit"],
    "method": FOM_COLUMNS["method"],
    "note": FOM_COLUMNS["note"],
}
PAIRED = "same sky and noise: bootstrap over common blocks, difference inside each resample"


def paired_differences(tables, case, foms, wanted, pairs, n_resamples, seed):
    """Return the differences of figures of merit between scenarios that have the same sky and noise.

    Parameters
    ----------
    tables : dict of str to Table
        Score tables by scenario (`blendimpact.stats.figures_of_merit.SCORE_COLUMNS`).
    case : str
    foms : dict of str to FigureOfMerit
        By id.
    wanted : sequence of dict
        Rows: ``fom``, ``kind``, ``term``, ``stratum``, optional ``population``.
    pairs : sequence of (str, str)
        Reference and scenario.
    n_resamples, seed : int
        All figures of a pair share the resamples, and both scenarios do.

    Returns
    -------
    Table
        `PAIR_COLUMNS`, without a row where one of both has no such value.
    """
    rows = []
    for reference, scenario in pairs:
        if not {reference, scenario} <= tables.keys():
            continue
        both = [tables[name] for name in (reference, scenario)]
        common = np.intersect1d(*(np.asarray(table["block"]) for table in both))
        if not len(common):
            continue
        sums = [Sums(table[np.isin(np.asarray(table["block"]), common)]) for table in both]
        weights = bootstrap_weights(sums[0].n_groups, n_resamples, seed, case, reference, scenario)
        for row in wanted:
            fom = foms[row["fom"]]
            found = [drawn(part, weights, fom, row) for part in sums]
            if None not in found:
                about = {"case": case, "scenario": scenario, "reference": reference, "stage": fom.stage}
                rows.append({**about, **_difference(fom, row, found, len(common))})
    return pair_table(rows)


def pair_table(rows):
    """Return the table of rows with `PAIR_COLUMNS`."""
    numbers = {"value": float, "ci_low": float, "ci_high": float, "n": int, "n_blocks": int}
    columns = {name: np.array([row[name] for row in rows], numbers.get(name, str)) for name in PAIR_COLUMNS}
    return catalogues.describe(Table(columns), PAIR_COLUMNS)


def no_pairs():
    """Return the table without rows."""
    return pair_table([])


def _difference(fom, row, found, n_blocks):
    (base, base_samples, *base_counts), (value, samples, *counts) = found
    fewest, held = map(min, zip(counts, base_counts))
    trials, blocks = [fewest] * len(fom.statistic.trials), Blocks(n_blocks, held)
    ends = fom.statistic.difference_ends(value - base, samples - base_samples, fewest, trials, blocks)
    return {
        **{name: row.get(name) or "" for name in ("fom", "kind", "term", "population", "stratum")},
        "title": fom.title,
        "unit": fom.unit,
        "value": float(value - base),
        "ci_low": ends.low,
        "ci_high": ends.high,
        "n": fewest,
        "n_blocks": n_blocks,
        "method": PAIRED,
        "note": ends.note,
    }
