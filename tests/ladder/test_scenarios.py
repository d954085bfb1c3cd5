"""Scenarios side by side: paired over common blocks where the images are the same, independent elsewhere."""

import numpy as np
import pytest
from blendimpact.config.settings import case_settings, same_sky
from blendimpact.config.study import load_config, validate
from blendimpact.data.catalogues import stack
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.rungs import RUNGS
from blendimpact.ladder.scenarios import PAIRED, paired_differences
from blendimpact.report.scenarios import UNPAIRED, side_by_side
from blendimpact.stats.figures_of_merit import FigureOfMerit, Scores
from blendimpact.stats.statistic import Mean

FOM = FigureOfMerit("XX-B1", "deblending", "bias", "mean", "mag", Mean(bound=9.0))
ROW = {"fom": "XX-B1", "kind": "impact", "term": "deblending", "population": None, "stratum": "all"}


def scores(scenario, shift, blocks=40, first=0, spread=1.0):
    """Blocks that differ by far more than scenarios do: the deblender adds what is the block's own, and a shift."""
    out = Scores("xx", scenario)
    for block in range(first, first + blocks):
        own, own_shift = spread * np.sin(block), shift * (1 + 0.1 * np.cos(3 * block))
        for rung in RUNGS:
            added = own + own_shift if rung in ("deblended", "pipeline") else 0.0
            out.add_mean("XX-B1", rung, np.full(5, block), np.full(5, added), 9.0, population="centres")
    return out.table()


def test_a_paired_difference_does_not_know_what_both_scenarios_share():
    tables = {"a": scores("a", 0.0), "b": scores("b", 0.01, blocks=45, first=5)}
    (row,) = paired_differences(tables, "xx", {FOM.id: FOM}, [ROW], [("a", "b")], 300, 1)
    assert (row["n_blocks"], row["n"], row["method"]) == (35, 175, PAIRED)  # blocks 5 to 39
    assert row["value"] == pytest.approx(0.01, abs=2e-4) and row["ci_low"] < row["value"] < row["ci_high"]
    assert row["ci_high"] - row["ci_low"] < 0.001  # of the blocks alone it would be 0.5
    foms = aggregate(tables["b"], "xx", "b", [FOM], 300, 1)
    alone = next(r for r in foms if r["term"] == "deblending")
    assert alone["ci_high"] - alone["ci_low"] > 0.3


def test_scenarios_of_another_sky_are_independent_and_absent_ones_are_left_out():
    tables = {name: scores(name, shift) for name, shift in (("a", 0.0), ("b", 0.01))}
    foms = [aggregate(table, "xx", name, [FOM], 300, 1) for name, table in tables.items()]
    none = paired_differences(tables, "xx", {FOM.id: FOM}, [ROW], [("a", "c")], 300, 1)
    assert len(none) == 0
    (row,) = side_by_side(stack(foms), none, {"xx": [ROW]})
    assert (row["scenario"], row["reference"], row["method"], row["n_blocks"]) == ("b", "a", UNPAIRED, 0)
    assert row["ci_low"] < 0 < row["ci_high"]
    paired = paired_differences(tables, "xx", {FOM.id: FOM}, [ROW], [("a", "b")], 300, 1)
    (row,) = side_by_side(stack(foms), paired, {"xx": [ROW]})  # only once
    assert row["method"] == PAIRED and row["ci_low"] > 0


def test_images_are_the_same_where_only_what_is_done_with_them_differs():
    scenarios = {
        "other": {"deblender": "sep"},
        "finder": {"detector": "peaks", "patch": {"count": 5}},
        "deeper": {"population": {"galaxies": {"mag_max": 27}}},
        "shallow": {"survey": "lsst_y1"},
    }
    config = validate(load_config(overrides={"cases": {"two_point": {"scenarios": scenarios}}}))
    fiducial = case_settings(config, "two_point")
    same = {name: same_sky(fiducial, case_settings(config, "two_point", name)) for name in scenarios}
    assert same == {"other": True, "finder": True, "deeper": False, "shallow": False}
