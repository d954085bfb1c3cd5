"""The blend that is shown: clear, and if there is one, whole and detected, so that every rung has an image of it."""

import numpy as np
from astropy.table import Table
from blendimpact.ladder.example_blend import first_patch, select_example_blend

SETTINGS = {"shape_band": "i", "truth_snr": 5, "stamp": 10.0, "pixel_scale": 0.2, "patch": {"size": 100, "border": 10}}


def truth(**columns):
    number = len(columns["source_id"])
    known = {"patch": 3, "twin": "plus", "role": "target", "snr": 50.0, "x": 60.0, "y": 60.0, "purity_i": 0.7}
    return Table({name: columns.get(name, np.full(number, value)) for name, value in {**known, **columns}.items()})


def assigned(*dominant):
    ids = np.arange(1, len(dominant) + 1)
    return Table({"patch": [3] * len(ids), "twin": ["plus"] * len(ids), "source_id": ids, "dominant": list(dominant)})


def test_the_brightest_clear_blend_is_shown_and_none_without_a_target():
    rows = truth(source_id=[1, 2, 3], snr=[40.0, 90.0, 80.0], purity_i=[0.7, 0.99, 0.8])
    assert select_example_blend(rows, SETTINGS) == (3, "plus", 3)
    assert select_example_blend(truth(source_id=[1], role=["context"]), SETTINGS) is None


def test_one_that_every_rung_has_an_image_of_comes_first():
    rows = truth(source_id=[1, 2, 3], snr=[40.0, 90.0, 80.0], x=[60.0, 60.0, 12.0])
    assert select_example_blend(rows, SETTINGS)[2] == 2
    assert select_example_blend(rows, SETTINGS, assigned(True, False, True))[2] == 1  # 2 is lost, 3 is cut by the edge
    assert select_example_blend(rows, SETTINGS, assigned(False, False, False))[2] == 2  # none: as without detections


def test_it_is_of_the_first_patch_however_many_are_in_the_chunk():
    rows = truth(source_id=[1, 2, 3], patch=[0, 1, 2], snr=[40.0, 90.0, 95.0])
    chosen = [select_example_blend(rows[:number], SETTINGS) for number in (1, 2, 3)]
    assert chosen == [(0, "plus", 1)] * 3
    assert select_example_blend(rows[:0], SETTINGS) is None
    assert set(first_patch(rows)["source_id"]) == {1} and len(first_patch(rows[:0])) == 0
