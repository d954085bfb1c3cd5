"""Figures of merit as functions of sums: closed forms, pooling, closure of the budget."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from blendimpact.ladder.aggregate import Sums, aggregate
from blendimpact.stats.figures_of_merit import N_SUMS, FigureOfMerit, Scores, classes, strata
from blendimpact.stats.histogram_statistics import Falling, Median, Nmad, TrimmedMean
from blendimpact.stats.histograms import histogram
from blendimpact.stats.intervals import bootstrap_weights, resampled_sums, wilson
from blendimpact.stats.statistic import (
    Ends,
    Fraction,
    HarmonicMean,
    Mean,
    Offset,
    Ratio,
    Response,
    RmsRatio,
    Slope,
    Statistic,
    relative,
)
from hypothesis import given
from hypothesis import strategies as st

RUNGS = ("truth", "isolated", "oracle", "undeblended", "deblended", "merged", "pipeline")


def fom(statistic, **options):
    return FigureOfMerit("X", "detection", "title", "definition", "1", statistic, **options)


def sums(*values):
    out = np.zeros((1, N_SUMS))
    out[0, : len(values)] = values
    return out


def test_pooled_ratio_is_not_the_mean_of_ratios():
    """Batches of 1/1 and 0/99 have the ratio 0.01, not 0.5."""
    total = sums(1, 1) + sums(0, 99)
    assert Fraction().of(total) == pytest.approx(0.01)


def test_empty_sums_give_nan():
    for kind in (Ratio, Fraction, Response, Offset, Slope, HarmonicMean, RmsRatio):
        assert np.isnan(kind().of(sums())), kind


def test_response_recovers_a_known_shear_response():
    rng = np.random.default_rng(1)
    g, response, shape = 0.02, 0.7, rng.normal(0, 0.2, 500)
    plus, minus = shape + response * g, shape - response * g
    total = sums(plus.sum() / (2 * g), len(plus), minus.sum() / (2 * g), len(minus))
    assert Response().of(total) == pytest.approx(response, rel=1e-12)


@given(st.floats(-0.5, 0.5), st.floats(-0.1, 0.1))
def test_slope_recovers_a_line(mu, nu):
    x = np.linspace(-0.4, 0.5, 50)
    y = (1 + mu) * x + nu
    assert Slope().of(sums(len(x), x.sum(), y.sum(), x @ x, x @ y)) == pytest.approx(mu, abs=1e-9)


def test_crossing_of_half_completeness_between_bin_centres():
    edges = (20.0, 21.0, 22.0, 23.0)
    cells = np.zeros((3, N_SUMS))
    cells[:, 0], cells[:, 1] = (100, 75, 25), 100
    assert Falling(edges, 0.5).of(cells) == pytest.approx(22.0)
    assert np.isnan(Falling(edges, 0.9).of(np.zeros((3, N_SUMS))))


def test_strata_cover_every_value_once():
    values = np.random.default_rng(2).uniform(0, 1, 200)
    masks = dict(strata("b", values, (0, 0.3, 0.6, 1.01)))
    assert masks.pop("all").all()
    assert (sum(m.astype(int) for m in masks.values()) == 1).all()


def test_scores_add_rows_by_stratum_and_block():
    scores, block = Scores("demo", "fiducial", copies=2), np.array([3, 1, 3, 1])
    kind, x = np.array(["a", "b", "a", "a"]), np.array([0.5, 9.0, -0.5, np.nan])
    scores.add_sums("S", "oracle", block, [1, np.array([1.0, 2.0, 4.0, 8.0])], classes("kind", kind, "ab"))
    scores.add_fractions("F", "oracle", 7, kind == "a", copies=1)
    scores.add_histogram("H", "oracle", block, (x, -x), (-1, 0, 1))
    scores.add_curve("C", "oracle", block, kind == "a", np.array([0, 0, 1, 2]), (0, 1, 2))
    found = {
        (str(r["fom"]), int(r["block"]), str(r["stratum"]), int(r["cell"])): (r["s0"], r["s1"]) for r in scores.table()
    }
    assert found == {
        ("S", 1, "kind:a", 0): (1, 8),
        ("S", 3, "kind:a", 0): (2, 5),
        ("S", 1, "kind:b", 0): (1, 2),
        ("F", 7, "all", 0): (3, 4),
        ("H", 3, "all", 0): (1, 1),
        ("H", 3, "all", 1): (1, 1),
        ("H", 1, "all", 0): (0, 1),
        ("H", 1, "all", 1): (1, 0),  # the end bins are open; NaN is in none
        ("C", 3, "all", 0): (1, 1),
        ("C", 1, "all", 0): (0, 1),
        ("C", 3, "all", 1): (1, 1),
    }
    assert {str(r["fom"]): int(r["copies"]) for r in scores.table()} == {"S": 2, "F": 1, "H": 2, "C": 2}


def ladder_table(n_blocks=40, seed=3, scale=1.0):
    scores = Scores("demo", "fiducial")
    rng = np.random.default_rng(seed)
    shift = dict(zip(RUNGS, (0.0, 0.01, 0.02, 0.5, 0.15, 0.06, 0.19)))
    for block in range(n_blocks):
        common = rng.normal(0, 0.3)
        for rung in RUNGS:
            scores.add("X", rung, block, [scale * (10 * (1 + shift[rung]) + common), 10], "common")
    return scores.table()


def test_budget_closes_to_machine_precision():
    rows = aggregate(ladder_table(), "demo", "fiducial", [fom(Ratio())], 200, 7)
    terms = {str(r["term"]): r["value"] for r in rows if r["kind"] == "impact"}
    values = {str(r["term"]): r["value"] for r in rows if r["kind"] == "value"}
    closed = sum(terms[t] for t in ("intrinsic", "measurement", "deblending", "detection"))
    assert closed == pytest.approx(values["pipeline"] - values["truth"], abs=1e-14)
    swapped = terms["shapley_deblending"] + terms["shapley_detection"]
    assert swapped == pytest.approx(values["pipeline"] - values["oracle"], abs=1e-14)


def test_no_difference_in_any_block_is_not_an_interval_of_no_width():
    scores = Scores("demo", "fiducial")
    for block in range(40):
        for rung in RUNGS:
            scores.add("X", rung, block, [3 if rung == "pipeline" else 4, 4], "common")
    rows = aggregate(scores.table(), "demo", "fiducial", [fom(Fraction())], 200, 7)
    term = {str(r["term"]): r for r in rows if r["kind"] == "impact"}
    assert term["deblending"]["value"] == 0 and term["deblending"]["n"] == 160
    high = 1.96**2 / (160 + 1.96**2)  # Wilson's, of none in 160
    assert term["deblending"]["ci_high"] == pytest.approx(high, rel=1e-3) == -term["deblending"]["ci_low"]
    proportion = wilson(40, 160)
    assert term["detection"]["ci_low"] == pytest.approx(-proportion.high)
    assert term["detection"]["ci_high"] == pytest.approx(-proportion.low)


def test_one_difference_is_not_an_interval_that_ends_at_zero():
    """One object of 40 is lost: the bootstrap ends at 0, but some may be gained that this run has not seen."""
    scores = Scores("demo", "fiducial")
    for block in range(40):
        for rung in RUNGS:
            scores.add("X", rung, block, [int(block == 0 and rung == "pipeline"), 1], "common")
    rows = aggregate(scores.table(), "demo", "fiducial", [fom(Fraction())], 200, 7)
    lost = next(r for r in rows if r["kind"] == "impact" and r["term"] == "detection")
    assert lost["value"] == pytest.approx(1 / 40) and lost["ci_high"] > 1 / 40
    assert lost["ci_low"] == pytest.approx(-(1.96**2) / (40 + 1.96**2), rel=1e-3) and "an end of 0" in lost["method"]


def test_noise_common_to_all_rungs_leaves_the_differences():
    """Blocks scatter by 3 %, differences not at all: their intervals have no width."""
    rows = aggregate(ladder_table(), "demo", "fiducial", [fom(Ratio())], 200, 7)
    impact = rows[(rows["kind"] == "impact") & (rows["term"] == "deblending")][0]
    value = rows[(rows["kind"] == "value") & (rows["term"] == "deblended")][0]
    assert impact["ci_high"] - impact["ci_low"] < 1e-12
    assert value["ci_high"] - value["ci_low"] > 0.01
    assert impact["value"] == pytest.approx(0.13)


@pytest.mark.parametrize("kind", [Median, Nmad, TrimmedMean])
def test_bins_that_nobody_is_in_change_no_interval(kind):
    """The interval of a histogram is made of the part that holds objects: also where that is at an open end."""
    rng = np.random.default_rng(2)
    edges = tuple(np.linspace(-4, 4, 161))
    statistic = kind(edges)
    for centre in (0.3, -3.9, 3.9):
        part = np.zeros((12, 160, 1))
        for block in part:
            block[:, 0] = histogram(rng.normal(centre, 0.2, 20), edges)
        weights = bootstrap_weights(12, 50, 1, "x")
        np.testing.assert_allclose(
            statistic.samples(weights, part), statistic.of(resampled_sums(weights, part)), atol=1e-12
        )


def test_relative_figures_do_not_change_with_calibration():
    one = aggregate(ladder_table(), "demo", "fiducial", [fom(Ratio(against=relative))], 100, 7)
    two = aggregate(ladder_table(scale=3.0), "demo", "fiducial", [fom(Ratio(against=relative))], 100, 7)
    np.testing.assert_allclose(one["value"], two["value"], atol=1e-12)
    assert one["value"][list(one["term"]).index("isolated")] == 0


def test_selection_term_is_own_minus_common():
    scores = Scores("demo", "fiducial")
    for block in range(30):
        for k, rung in enumerate(RUNGS):
            scores.add("A", rung, block, [10 + 0.1 * k, 10], "common")
            scores.add("B", rung, block, [10 + 0.3 * k, 10], "own")
    foms = [
        FigureOfMerit("A", "measurement", "a", "a", "1", Ratio()),
        FigureOfMerit("B", "detection", "b", "b", "1", Ratio(), common="A"),
    ]
    rows = aggregate(scores.table(), "demo", "fiducial", foms, 100, 7)
    selection = rows[rows["term"] == "selection"]
    assert len(selection) == 1
    assert selection["value"][0] == pytest.approx((0.3 - 0.1) * 2 / 10)  # pipeline is two rungs above deblended


def test_every_row_has_an_interval_and_a_count():
    rows = aggregate(ladder_table(), "demo", "fiducial", [fom(Ratio())], 100, 7)
    assert np.isfinite(rows["ci_low"]).all() and np.isfinite(rows["ci_high"]).all()
    assert (rows["n"] == 400).all() and (rows["n_blocks"] == 40).all()


def test_order_of_score_rows_changes_nothing():
    table = ladder_table()
    shuffled = table[np.random.default_rng(0).permutation(len(table))]
    one, two = (aggregate(t, "demo", "fiducial", [fom(Ratio())], 100, 7) for t in (table, shuffled))
    assert all(np.array_equal(one[c], two[c]) for c in ("term", "value", "ci_low", "ci_high"))


def test_few_blocks_with_objects_have_no_interval():
    """One object in one of forty blocks has no scatter, which is not an interval of zero width."""
    scores = Scores("demo", "fiducial")
    for block in range(40):
        for rung in RUNGS:
            scores.add("X", rung, block, [0.3, 1] if block == 7 else [0, 0], "common")
    rows = aggregate(scores.table(), "demo", "fiducial", [fom(Ratio())], 100, 7)
    assert np.isnan(rows["ci_low"]).all() and np.isnan(rows["ci_high"]).all()
    assert all("no interval" in str(note) for note in rows["note"])


def test_trimmed_mean_ignores_a_wild_tail_and_is_exact_for_a_uniform_histogram():
    edges = np.linspace(-1, 1, 201)

    def trimmed(counts):
        return TrimmedMean(tuple(edges)).of(counts[:, None])

    counts = np.ones(200)
    assert trimmed(counts) == pytest.approx(0, abs=1e-12)
    shifted = np.roll(counts * (np.arange(200) < 100), 30)
    wild = shifted.copy()
    wild[-1] = 4  # below 5 % of 100
    assert trimmed(wild) == pytest.approx(trimmed(shifted), abs=0.03)
    assert (wild * (edges[1:] + edges[:-1]) / 2).sum() / wild.sum() > trimmed(wild)


def test_many_blocks_are_merged_and_the_value_stays():
    table = ladder_table(60)
    few, many = (Sums(table, most) for most in (20, 1000))
    one, two = (s.get("X", "pipeline", "common", "all", 1) for s in (few, many))
    assert len(one) == 20 and len(two) == 60
    np.testing.assert_allclose(one.sum(axis=0), two.sum(axis=0))


# --- a statistic of differences per object ----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PairedMean(Statistic):
    """Mean of differences per object, stored for terms. Sums: sum of differences, objects."""

    paired: ClassVar[bool] = True

    def of(self, sums):
        """Return the mean."""
        return sums[..., 0, 0] / sums[..., 0, 1]


def test_a_statistic_of_paired_differences_is_one_more_class():
    """Objects scatter by 1 on every rung, and their differences by 0.01: the paired interval knows."""
    rng = np.random.default_rng(5)
    scores = Scores("demo", "fiducial")
    for block in range(40):
        shared = rng.normal(0, 1, 20)
        rungs = {rung: shared + 0.1 * k + rng.normal(0, 0.01, 20) for k, rung in enumerate(RUNGS)}
        for rung, values in rungs.items():
            scores.add("R", rung, block, [values.sum(), 20], "common")
        for term, one, other in (("measurement", "oracle", "isolated"), ("detection", "pipeline", "deblended")):
            scores.add("P", term, block, [(rungs[one] - rungs[other]).sum(), 20], "common")
    foms = [FigureOfMerit(name, "detection", "", "", "1", s) for name, s in (("R", Ratio()), ("P", PairedMean()))]
    rows = aggregate(scores.table(), "demo", "fiducial", foms, 300, 7)
    paired, plain = ({str(r["term"]): r for r in rows if r["fom"] == fom and r["kind"] == "impact"} for fom in "PR")
    assert set(paired) == {"measurement", "detection"} and (rows["kind"][rows["fom"] == "P"] == "impact").all()
    for term, row in paired.items():
        assert row["value"] == pytest.approx(plain[term]["value"], abs=1e-12) and row["n"] == 800
        assert 0.001 < row["ci_high"] - row["ci_low"] < 0.003


def test_a_mean_of_bounded_values_closes_its_budget_over_both_samples():
    """Its differences of rungs are means of paired differences: noise that rungs share is in no interval."""
    rng = np.random.default_rng(4)
    scores, statistic = Scores("demo", "fiducial"), Mean(bound=1.0)
    steps = {
        "truth": 0,
        "isolated": 0.1,
        "exact": 0.1,
        "oracle": 0.12,
        "deblended": 0.15,
        "merged": 0.2,
        "pipeline": 0.3,
    }
    for block in range(40):
        noise, lost = rng.normal(0, 0.2, 25), rng.random(25) < 0.2
        for rung, step in steps.items():
            values = noise * (rung != "truth") + step + 0.1 * lost * (rung == "deblended")
            if rung not in ("merged", "pipeline"):
                scores.add_mean("X", rung, block, values, statistic.bound, population="centres")
            scores.add_mean("X", rung, block, values[~lost], statistic.bound, population="kept")
    rows = aggregate(scores.table(), "demo", "fiducial", [fom(statistic)], 300, 7)
    terms = {str(r["term"]): r for r in rows if r["kind"] == "impact"}
    parts = sum(terms[t]["value"] for t in ("intrinsic", "photons", "sky", "deblending", "survival", "detection"))
    assert parts == pytest.approx(terms["total"]["value"], abs=1e-12)
    assert terms["sky"]["value"] == pytest.approx(0.02, abs=1e-3) and terms["sky"]["n"] == 1000
    assert terms["sky"]["ci_high"] - terms["sky"]["ci_low"] < 1e-3  # 0.2 / sqrt(1000) = 6e-3 if it were not paired
    assert terms["survival"]["value"] < -0.01 and terms["detection"]["n"] < 1000
    assert {t: str(terms[t]["population"]) for t in ("sky", "survival", "detection")} == {
        "sky": "centres",
        "survival": "both",
        "detection": "kept",
    }
    assert terms["photons"]["ci_low"] < 0 < terms["photons"]["ci_high"]  # no object differs: what 1000 can show


def test_an_interval_holds_its_value_and_has_a_width():
    statistic = Ratio()
    assert statistic.widened(Ends(1.0, 2.0, "m"), 2.5, 10)[:2] == (1.0, 2.5)
    assert np.isnan(statistic.widened(Ends(1.0, 1.0, "m"), 1.0, 10)[:2]).all()
    assert np.isnan(statistic.widened(Ends(1.0, 2.0, "m"), np.nan, 10)[:2]).all()  # a curve that does not cross
    low, high = Mean(bound=0.5).widened(Ends(0.0, 0.0, "m"), 0.0, 100)[:2]
    assert -low == high == pytest.approx(0.5 * wilson(0, 100).high)
    edges = tuple(np.linspace(-1, 1, 21))
    assert Median(edges).widened(Ends(0.05, 0.05, "m"), 0.05, 10)[:2] == pytest.approx((-0.05, 0.15))
