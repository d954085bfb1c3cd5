"""Scenarios side by side: the headlines of each beside those of the fiducial one, paired if they share the sky."""

import numpy as np

from ..config.settings import FIDUCIAL
from ..data.catalogues import rows_of
from ..ladder.scenarios import PAIR_COLUMNS, pair_table
from .external import combined

UNPAIRED = "another sky: square-and-add limits of both intervals, taken as independent"


def side_by_side(foms, paired, wanted):
    """Return the table of differences between scenarios.

    Parameters
    ----------
    foms : astropy.table.Table
        Figures of merit of all cases (`blendimpact.ladder.aggregate.FOM_COLUMNS`).
    paired : astropy.table.Table
        Differences of scenarios that have the same sky (`blendimpact.ladder.scenarios.PAIR_COLUMNS`).
    wanted : dict of str to sequence of dict
        Headlines of each case (`blendimpact.cases.board.headlines`).

    Returns
    -------
    astropy.table.Table
        `PAIR_COLUMNS`: the paired ones, and where a scenario has another sky than the fiducial one, its difference to
        that.
    """
    rows = [{name: row[name] for name in PAIR_COLUMNS} for row in paired]
    for case, headlines in wanted.items():
        mine = rows_of(foms, case=case) if len(foms) else foms
        names = sorted(dict.fromkeys(map(str, mine["scenario"])), key=lambda name: name != FIDUCIAL)
        for scenario in names[1:]:
            known = rows_of(paired, case=case, scenario=scenario, reference=names[0]) if len(paired) else ()
            for headline in headlines if not len(known) else ():
                found = [_one(mine, headline, name) for name in (scenario, names[0])]
                if None not in found:
                    rows.append(_unpaired(case, headline, found, scenario, names[0]))
    return pair_table(rows)


def _one(rows, headline, scenario):
    given = {name: value for name, value in headline.items() if value}
    found = rows_of(rows, scenario=scenario, **given)
    return found[0] if len(found) == 1 and np.isfinite(found["value"][0]) else None


def _unpaired(case, headline, found, scenario, reference):
    numbers = combined(found, "difference")
    return {
        **{name: headline.get(name) or "" for name in ("fom", "kind", "term", "population", "stratum")},
        **{name: str(found[0][name]) for name in ("stage", "title", "unit")},
        "case": case,
        "scenario": scenario,
        "reference": reference,
        **{name: numbers[name] for name in ("value", "ci_low", "ci_high", "n")},
        "n_blocks": 0,
        "method": UNPAIRED,
        "note": "",
    }
