"""Samples of sources, and differences of one source between rungs."""

import numpy as np
import pandas as pd
import pytest
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.objects import samples
from blendimpact.ladder.paired import add_paired, paired
from blendimpact.ladder.rungs import REFERENCE, RUNGS, rungs_of
from blendimpact.stats.figures_of_merit import FigureOfMerit, Scores
from blendimpact.stats.histogram_statistics import PairedMedian, PairedNmad
from blendimpact.stats.histograms import residual_edges

EDGES = tuple(residual_edges(limit=10.0, scale=0.01, n_bins=401))


def objects(values, lost=()):
    """Return rows of one patch: ``values`` by rung, of sources 1, 2, ...; ``lost`` have no row of the real detector."""
    rows = [
        {"patch": 0, "twin": "zero", "rung": rung, "source_id": k, "block": 0, "value": value}
        for rung, here in values.items()
        for k, value in enumerate(here, 1)
        if not (k in lost and rung in ("merged", "pipeline"))
    ]
    return pd.DataFrame(rows)


def same(n=3):
    return {rung: np.zeros(n) for rung in (REFERENCE, *RUNGS)}


def test_what_detection_loses_is_in_the_sample_of_the_true_centres():
    rows = objects(same(), lost=[2])
    found = samples(rows, np.ones(len(rows), bool), ["zero"])
    assert set(found["centres"]["source_id"]) == {1, 2, 3} and set(found["kept"]["source_id"]) == {1, 3}
    assert set(found["centres"]["rung"]) == {REFERENCE, "isolated", "exact", "oracle", "undeblended", "deblended"}
    assert set(found["kept"]["rung"]) == {REFERENCE, *RUNGS}


def test_raw_pixels_decide_on_no_sample_and_other_rungs_do():
    rows = objects(same())
    bad = {("undeblended", 1), ("exact", 2), ("pipeline", 3)}
    good = np.array([key not in bad for key in zip(rows["rung"], rows["source_id"])])
    found = samples(rows, good, ["zero"])
    assert set(found["centres"]["source_id"]) == {1, 3} and set(found["kept"]["source_id"]) == {1}


def test_a_scenario_of_true_centres_alone_has_one_sample():
    chosen = rungs_of({"rungs": ["oracle", "isolated", "exact"]})
    assert chosen == ("isolated", "exact", "oracle")
    rows = objects({rung: np.zeros(2) for rung in (REFERENCE, *chosen)})
    found = samples(rows, np.ones(len(rows), bool), ["zero"], chosen)
    assert list(found) == ["centres"] and len(found["centres"]) == 8


def test_differences_are_of_one_source_on_its_own_sample():
    values = same()
    values["deblended"] = np.array([0.1, 0.2, 0.4])
    values["pipeline"] = np.array([1.1, np.nan, np.nan])
    rows = objects(values, lost=[2])
    found = {
        (term, population): dict(zip(rows["source_id"], rows["difference"]))
        for term, population, rows in paired(samples(rows, np.ones(len(rows), bool), ["zero"]), "value")
    }
    assert found["deblending", "centres"] == pytest.approx({1: 0.1, 2: 0.2, 3: 0.4})
    assert found["detection", "kept"] == pytest.approx({1: 1.0})  # no number is no difference
    assert not {"survival", "total"} & {term for term, _ in found}


def test_a_scatter_of_differences_does_not_count_what_rungs_share():
    """Noise of 0.3 on all rungs and a change of 0.02: the scatter of the differences is that of the change."""
    rng = np.random.default_rng(1)
    scores = Scores("demo", "fiducial")
    for block in range(30):
        values, noise = same(50), rng.normal(0, 0.3, 50)
        for rung in RUNGS:
            values[rung] = noise.copy()
        values["deblended"] += rng.normal(0.01, 0.02, 50)
        rows = objects(values)
        rows["block"] = block
        add_paired(scores, "X", samples(rows, np.ones(len(rows), bool), ["zero"]), "value", EDGES)
    foms = [
        FigureOfMerit("X", "deblending", "", "", "mag", PairedMedian(EDGES)),
        FigureOfMerit("X.nmad", "deblending", "", "", "mag", PairedNmad(EDGES), stored_as="X"),
    ]
    rows = aggregate(scores.table(), "demo", "fiducial", foms, 200, 7)
    found = {(str(r["fom"]), str(r["term"])): r for r in rows}
    assert set(rows["kind"]) == {"impact"}
    middle, scatter = found["X", "deblending"], found["X.nmad", "deblending"]
    assert middle["ci_low"] < 0.01 < middle["ci_high"] and middle["ci_high"] - middle["ci_low"] < 0.004
    assert scatter["ci_low"] < 0.02 < scatter["ci_high"] and middle["n"] == 1500
    assert abs(found["X", "sky"]["value"]) < 1e-9 and found["X", "sky"]["ci_low"] < 0 < found["X", "sky"]["ci_high"]
