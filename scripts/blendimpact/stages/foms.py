"""From the scores of one case to its figures of merit."""

import os

import numpy as np
from astropy.table import Table

from ..cases.base import load_case
from ..cases.board import headlines
from ..data import catalogues, missing_inputs
from ..ladder.aggregate import FOM_COLUMNS, aggregate
from ..ladder.scenarios import paired_differences

NOTHING_SCORED = (
    "no target was scored in scenario {}: none was drawn or injected, or all were flagged (the logs of inject "
    "count the flags, truth tables have them)"
)
ABSENT = "absent"
"""Key of a table's metadata: why some or all scores of its case are not to be had."""
AGGREGATED_FROM = ("sources",)


def run(case, scores, bootstrap, seed, foms_out, meta=None, pairs=(), scenarios_out=None):
    """Aggregate the scores of one case.

    Parameters
    ----------
    case : str
    scores : list of path-like
        Score tables of its scenarios and chunks.
    bootstrap, seed : int
        Number of resamples, seed of the study.
    foms_out : path-like
        Output: `blendimpact.ladder.aggregate.FOM_COLUMNS`, without a row where there is no score. If scores are absent
        its metadata say why, under `ABSENT`.
    meta : dict, optional
        Provenance of the tables.
    pairs : sequence of (str, str), optional
        Scenarios that have the same images.
    scenarios_out : path-like, optional
        Output: differences of the headlines between these scenarios (`blendimpact.ladder.scenarios.PAIR_COLUMNS`).
    """
    tables, reason = read_scores(scores)
    known = load_case(case).figures_of_merit
    measured = [aggregate(table, case, scenario, known, bootstrap, seed) for scenario, table in tables.items()]
    foms = catalogues.stack(measured) if measured else no_foms()
    catalogues.write(foms, foms_out, {**(meta or {}), **({ABSENT: reason} if reason else {})})
    if scenarios_out:
        by_id = {fom.id: fom for fom in known}
        compared = paired_differences(tables, case, by_id, headlines(case), pairs, bootstrap, seed)
        catalogues.write(compared, scenarios_out, meta)


def read_scores(paths):
    """Return {scenario: stacked score table}, and the reason of the first score that is absent or empty, or None.

    Scenarios are told apart by the path, ``.../<scenario>/score/<chunk>.parquet``.
    """
    parts, why = {}, None
    for path in sorted(map(str, paths)):
        scenario = path.replace(os.sep, "/").split("/")[-3]
        reason = missing_inputs.reason([path])
        if reason:
            why = why or reason
        else:
            parts.setdefault(scenario, []).append(catalogues.read(path))
    stacked = {scenario: catalogues.stack(tables) for scenario, tables in parts.items()}
    for scenario in [name for name, table in stacked.items() if not len(table)]:
        print(NOTHING_SCORED.format(scenario))
        why = why or NOTHING_SCORED.format(scenario)
        del stacked[scenario]
    return stacked, why


def no_foms():
    """Return a table of figures of merit without rows."""
    return catalogues.describe(Table({name: np.array([], str) for name in FOM_COLUMNS}), FOM_COLUMNS)
