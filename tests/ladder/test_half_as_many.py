"""Artificial sources do not crowd one another: half as many of them have the same impact."""

from itertools import islice

import numpy as np
import pytest
from blendimpact.ladder.difference_rows import measure_differences
from blendimpact.ladder.differences import injected
from blendimpact.ladder.rungs import FIXED
from test_difference_ladder import differences_of
from visit_maker import SETTINGS, visit


def impacts(galaxies, stars, number):
    """Return {injection_id: (deblended - oracle, error)} of fluxes in the filter of a point and in the aperture."""
    inject = {**SETTINGS["inject"], "per_patch": number, "separation": 8, "snr": [10, 40]}
    inject["kinds"] = {"near_earth": 1, "beside": 1, "comet": 1, "comet_beside": 1}
    patch = {"size": 160, "border": 30, "margin": 6.0}
    settings, patch, truth = visit(galaxies, stars, epochs={"registration": 0.3}, patch=patch, inject=inject)
    d = differences_of((settings, patch, truth))
    number = 1 + 2 * len(FIXED)  # of tables at true places, which come first
    found = islice(measure_differences(d, None, None, settings, None), number)
    rows = {rung: rows for rung, table, rows in found if table == "transients"}
    number_of = dict(zip(truth["source_id"], truth["injection_id"]))
    assert injected(truth, "r").sum() == len(rows["oracle"]["det_id"])
    return {
        number_of[one]: [
            (rows["deblended"][f][k] - rows["oracle"][f][k], rows["oracle"][f"{f}_err"][k])
            for f in ("flux_psf", "flux_ap")
        ]
        for k, one in enumerate(rows["oracle"]["det_id"])
    }


@pytest.mark.slow
def test_half_as_many_artificial_sources_have_the_same_impact(galaxies, stars):
    """Source by source, for streams are keyed: the impacts of both differ by far less than noise and than they are."""
    many, few = (impacts(galaxies, stars, number) for number in (6, 3))
    assert set(few) < set(many) and len(few) >= 2
    both, alone = (np.array([which[k] for k in few]) for which in (many, few))
    change = np.abs(both[..., 0] - alone[..., 0]) / alone[..., 1]
    size = np.abs(alone[..., 0]) / alone[..., 1]
    assert size.max() > 0.3  # there is something to impair
    assert change.max() < 0.1 and change.mean() < 0.1 * size.mean()
