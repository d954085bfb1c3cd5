"""Intervals: Wilson against published values, bootstrap coverage by simulation, quantiles from histograms."""

import numpy as np
import pytest
from blendimpact.stats.histograms import (
    histogram,
    nmad_from_histogram,
    quantile_from_histogram,
    residual_edges,
    resolution,
)
from blendimpact.stats.intervals import (
    CONFIDENCE,
    bootstrap_weights,
    design_effect,
    dispersion,
    interval,
    needed_blocks,
    poisson_rate,
    resampled_sums,
    wilson,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, median_abs_deviation, norm, t


def test_wilson_agrees_with_scipy_and_is_nan_for_empty_bins():
    result = wilson([0, 7, 81, 0], [0, 50, 81, 20])
    for i, (k, n) in enumerate([(7, 50), (81, 81), (0, 20)], start=1):
        expected = binomtest(k, n).proportion_ci(CONFIDENCE, method="wilson")
        assert result.low[i] == pytest.approx(expected.low, abs=1e-12)
        assert result.high[i] == pytest.approx(expected.high, abs=1e-12)
        assert result.value[i] == k / n
    assert np.isnan([result.value[0], result.low[0], result.high[0]]).all()


def test_ratios_are_pooled_not_averaged():
    assert wilson(1 + 0, 1 + 99).value == pytest.approx(0.01)


def test_a_design_effect_of_d_is_d_times_fewer_trials():
    assert wilson(30, 100, design_effect=4)[1:] == pytest.approx(binomtest_wilson(30 / 4, 100 / 4), abs=1e-12)
    assert wilson(30, 100, design_effect=0.3) == wilson(30, 100)  # never narrower than independent trials


def binomtest_wilson(k, n):
    z = norm.ppf(0.5 + CONFIDENCE / 2)
    middle, half = (k + z * z / 2) / (n + z * z), z * np.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return middle - half, middle + half


@pytest.mark.parametrize("k, n", [(3, 2), (-1, 2), (0.5, 2)])
def test_wilson_refuses_what_is_not_a_count(k, n):
    with pytest.raises(ValueError, match="whole numbers"):
        wilson(k, n)


def test_design_effect_of_independent_and_of_identical_trials():
    rng = np.random.default_rng(3)
    n = np.full(4000, 25)
    assert design_effect(rng.binomial(n, 0.3), n) == pytest.approx(1, abs=0.08)
    # All 25 trials of a block share one outcome: 25 times the variance.
    assert design_effect(25 * rng.binomial(1, 0.3, 4000), n) == pytest.approx(25, rel=0.08)
    assert np.isnan(design_effect([3, 4], [3, 4]))


def test_weights_are_keyed_and_draw_every_block_equally():
    weights = bootstrap_weights(40, 2000, 5, "two_point")
    assert weights.shape == (2000, 40) and (weights.sum(axis=1) == 40).all()
    assert (weights == bootstrap_weights(40, 2000, 5, "two_point")).all()
    assert (weights != bootstrap_weights(40, 2000, 5, "galaxies")).any()
    assert weights.mean(axis=0) == pytest.approx(np.ones(40), abs=0.12)
    assert weights.var(axis=0).mean() == pytest.approx(1 - 1 / 40, abs=0.03)


def test_resampled_sums_are_those_of_the_rows_repeated():
    rng = np.random.default_rng(0)
    statistics = rng.normal(size=(12, 3, 2))
    weights = bootstrap_weights(12, 5, 1, "x")
    for row, sums in zip(weights, resampled_sums(weights, statistics), strict=True):
        assert sums == pytest.approx(np.repeat(statistics, row, axis=0).sum(axis=0))
    statistics[3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        resampled_sums(weights, statistics)


def responses(rng, n_blocks=40):
    isolated = rng.gamma(4, 1, n_blocks)
    return np.stack([0.95 * isolated + 0.1 * rng.normal(size=n_blocks), isolated], axis=1)


def test_paired_differences_are_far_narrower_than_differences_of_intervals():
    statistics = responses(np.random.default_rng(8))
    sums = resampled_sums(bootstrap_weights(40, 1000, 1, "x"), statistics) / 40
    paired = interval(sums[:, 0] - sums[:, 1], 40)
    alone = interval(sums[:, 1], 40)
    assert paired.high - paired.low < 0.2 * (alone.high - alone.low)


def test_the_mean_of_normal_blocks_has_the_interval_of_student():
    x = np.random.default_rng(4).normal(size=(30, 1))
    x = (x - x.mean()) / x.std(ddof=1)
    samples = resampled_sums(bootstrap_weights(30, 40000, 1, "t"), x)[:, 0] / 30
    half = t.ppf(0.5 + CONFIDENCE / 2, 29) / np.sqrt(30)
    result = interval(samples, 30)
    assert [result.low, result.high] == pytest.approx([-half, half], rel=0.06)


def test_nan_resamples_are_left_out_and_counted():
    samples = np.stack([np.arange(100.0), np.full(100, np.nan)], axis=1)
    samples[::2, 0] = np.nan
    result = interval(samples, 50)
    assert list(result.n_nan) == [50, 100]
    assert 0 < result.low[0] < result.high[0] < 100 and np.isnan(result.low[1])
    assert np.isnan(interval(np.zeros(10), 1).low)  # one block says nothing about its spread


EDGES = residual_edges(10.0, 0.05, 800)


def test_residual_edges():
    width = np.diff(EDGES)
    assert EDGES[400] == 0 and EDGES[-1] == pytest.approx(10)
    assert width[400] == pytest.approx(2 * 0.05 * np.arcsinh(200) / 800, rel=1e-3)
    assert (EDGES[1:] > EDGES[:-1]).all() and width[-1] / EDGES[-1] == pytest.approx(0.015, abs=0.001)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(-5, 5), min_size=1, max_size=60), q=st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_a_quantile_from_a_histogram_is_right_to_one_bin(values, q):
    counts = histogram(values, EDGES)
    found = quantile_from_histogram(EDGES, counts, q)
    inverse = np.quantile(values, q, method="averaged_inverted_cdf")
    lower, upper = (np.quantile(values, q, method=m) for m in ("inverted_cdf", "higher"))
    allowed = resolution(EDGES, lower) + resolution(EDGES, upper) + resolution(EDGES, found)
    assert abs(found - inverse) <= allowed


def test_nmad_from_summed_histograms():
    rng = np.random.default_rng(6)
    blocks = [rng.normal(0.02, 0.03, 300) for _ in range(8)]
    statistics = np.array([histogram(b, EDGES) for b in blocks])
    weights = bootstrap_weights(8, 6, 1, "h")
    nmad = nmad_from_histogram(EDGES, resampled_sums(weights, statistics))
    middle = quantile_from_histogram(EDGES, resampled_sums(weights, statistics), 0.5)
    assert nmad.shape == (6,)
    for row, found, centre in zip(weights, nmad, middle, strict=True):
        values = np.concatenate([np.tile(b, w) for b, w in zip(blocks, row, strict=True)])
        assert centre == pytest.approx(np.median(values), abs=resolution(EDGES, centre))
        assert found == pytest.approx(median_abs_deviation(values, scale="normal"), abs=2 * resolution(EDGES, 0.05))


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(-4, 4), min_size=1, max_size=40))
def test_the_nmad_is_the_least_half_width_that_holds_half_of_the_counts(values):
    counts = histogram(values, EDGES)
    half = nmad_from_histogram(EDGES, counts) * norm.ppf(0.75)
    centre = quantile_from_histogram(EDGES, counts, 0.5)

    def within(width):
        below = np.interp([centre - width, centre + width], EDGES, np.r_[0, np.cumsum(counts)])
        return below[1] - below[0]

    assert within(half + 1e-6) > 0.5 * counts.sum() * (1 - 1e-6)
    assert half <= 1e-6 or within(half - 1e-6) < 0.5 * counts.sum() * (1 + 1e-6)
    if half > 1e-3:  # a gap in which half of the counts are within is passed at its near end
        assert within(half * 0.99) < 0.5 * counts.sum()


def test_histograms_say_when_they_do_not_know():
    counts = histogram([1e3, 1e3, -1e3, 0.1], EDGES)
    assert counts.sum() == 4  # the end bins are open
    assert np.isnan(quantile_from_histogram(EDGES, counts, 0.9))
    assert np.isnan(nmad_from_histogram(EDGES, counts))
    assert np.isnan(quantile_from_histogram(EDGES, np.zeros(800), 0.5))
    assert histogram([np.nan, 0.0], EDGES).sum() == 1


def test_needed_blocks_is_the_smallest_number_that_gives_the_half_width():
    n = needed_blocks(0.0043, 0.003, 40)
    assert 0.0043 * np.sqrt(40 / n) <= 0.003 < 0.0043 * np.sqrt(40 / (n - 1))
    assert needed_blocks(0.004, 0.002, 40) == 160
    assert needed_blocks(0.003, 0.003, 40) == 40


def test_the_interval_of_a_rate_is_garwood_s():
    """Ends from quantiles of chi-square; without an event the upper end alone; widened as so many fewer events."""
    for count in (1, 7, 40):
        low, high = poisson_rate(count, 2.0)
        assert low == pytest.approx(chi2.ppf(0.025, 2 * count) / 4)
        assert high == pytest.approx(chi2.ppf(0.975, 2 * count + 2) / 4)
    assert poisson_rate(0, 2.0) == (0.0, pytest.approx(-np.log(0.025) / 2))
    assert poisson_rate(40, 2.0, spread=4.0) == pytest.approx(poisson_rate(10, 0.5))
    assert np.isnan(poisson_rate(0, 0.0)).all()


def test_the_interval_of_a_rate_covers_with_the_measured_dispersion():
    """Counts of 40 blocks, twice as variable as Poisson's: without the dispersion some 83 % would cover."""
    rng = np.random.default_rng(3)
    hits = plain = 0
    for _ in range(400):
        counts = 2 * rng.poisson(1.5, 40)
        low, high = poisson_rate(counts.sum(), 40.0, dispersion(counts, np.ones(40)))
        hits += low <= 3.0 <= high
        low, high = poisson_rate(counts.sum(), 40.0)
        plain += low <= 3.0 <= high
    assert hits / 400 > 0.92 and plain / 400 < 0.9


def test_dispersion_is_one_at_least_and_knows_exposures():
    assert dispersion([2, 4, 8], [1.0, 2.0, 4.0]) == 1.0
    assert dispersion([0, 6], [1.0, 1.0]) == pytest.approx(6.0)
    assert dispersion([5], [1.0]) == dispersion([0, 0, 0], [1, 1, 1]) == 1.0
    assert dispersion([0, 6, 0], [1.0, 1.0, 0.0]) == pytest.approx(6.0)
