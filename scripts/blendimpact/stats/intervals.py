"""Intervals for every number: pooled counts, bootstrap over blocks of sky.

Stages leave one row of *sufficient statistics* per block of sky: sums and counts that add up. A figure of
merit is a function of their total over the blocks, so aggregation, bootstrap and jackknife are sums over
a small table, whatever the number of pixels or sources behind it.
"""

import warnings
from typing import NamedTuple

import numpy as np
from scipy import special

from .streams import stream

CONFIDENCE = 0.95
"""Level of every interval of the study."""


class Interval(NamedTuple):
    """Ends of an interval, and how many resamples gave no number."""

    low: np.ndarray
    high: np.ndarray
    n_nan: np.ndarray


class Proportion(NamedTuple):
    """A ratio of pooled counts with its Wilson interval."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def wilson(k, n, confidence=CONFIDENCE, design_effect=1.0):
    """Return the proportion k / n with its Wilson score interval.

    Parameters
    ----------
    k, n : int or array of int
        Successes and trials, already summed over all blocks: ratios are never averaged over blocks.
    confidence : float
    design_effect : float
        Variance of the proportion over its binomial variance (`design_effect`). The interval is the one
        of n / design_effect independent trials: sources of one blend are not independent. NaN or below 1
        counts as 1.

    Returns
    -------
    Proportion
        NaN, not 0, where n is 0.

    Raises
    ------
    ValueError
        If a count is not a whole number, or not 0 <= k <= n.
    """
    k, n = np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(n, dtype=float))
    if np.any(k != np.round(k)) or np.any(n != np.round(n)) or np.any(k < 0) or np.any(k > n):
        raise ValueError("counts must be whole numbers with 0 <= k <= n")
    full = n > 0
    value = np.full(n.shape, np.nan)
    value[full] = k[full] / n[full]
    # Wilson (1927) with n / d trials; astropy's takes whole counts only.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = special.ndtri(0.5 + confidence / 2) ** 2 * np.maximum(design_effect, 1.0) / n
        centre = (value + share / 2) / (1 + share)
        half = np.sqrt(share * value * (1 - value) + share**2 / 4) / (1 + share)
    low, high = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    low, high = np.where(k == 0, np.where(full, 0.0, np.nan), low), np.where(k == n, np.where(full, 1.0, np.nan), high)
    return Proportion(value[()], low[()], high[()])


def design_effect(k, n):
    """Return the variance of a pooled proportion over blocks relative to independent trials.

    Parameters
    ----------
    k, n : (P,) array of int
        Successes and trials per block.

    Returns
    -------
    float
        Ratio-estimator variance P/(P-1) sum (k - p n)^2 / N^2 (Cochran 1977, eq. 6.13, without the finite
        population term) over p (1 - p) / N. NaN when fewer than two blocks, or p is 0 or 1.
    """
    k, n = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    blocks, trials = len(n), n.sum()
    if blocks < 2 or trials == 0 or not 0 < k.sum() < trials:
        return float("nan")
    p = k.sum() / trials
    return float(blocks / (blocks - 1) * np.sum((k - p * n) ** 2) / (trials * p * (1 - p)))


def newcombe(first, second):
    """Return the interval of the difference of two proportions, first minus second (Newcombe 1998, method 10).

    Parameters
    ----------
    first, second : Proportion
        With their Wilson intervals.

    Returns
    -------
    low, high : float
    """
    below, above = ([(p.value - p.low, p.high - p.value)[k] for p in (first, second)] for k in (0, 1))
    difference = first.value - second.value
    return (float(difference - np.hypot(below[0], above[1])), float(difference + np.hypot(above[0], below[1])))


def dispersion(counts, exposure):
    """Return the variance of counts per block over that of a Poisson process, at least 1.

    Parameters
    ----------
    counts, exposure : (P,) array
        Events, and the area or time in which they are counted.

    Returns
    -------
    float
        Pearson's chi2 / (P - 1) about the common rate. 1 where there are fewer than two blocks, or no events.
    """
    counts, exposure = (np.asarray(a, dtype=float) for a in (counts, exposure))
    counts, exposure = counts[exposure > 0], exposure[exposure > 0]
    if len(counts) < 2 or not counts.sum() > 0:
        return 1.0
    expected = exposure * counts.sum() / exposure.sum()
    return max(1.0, float(np.sum((counts - expected) ** 2 / expected) / (len(counts) - 1)))


def poisson_rate(count, exposure, spread=1.0, confidence=CONFIDENCE):
    """Return the interval of the rate of a Poisson process.

    Parameters
    ----------
    count, exposure : float
        Events in all, and the area or time in which they were counted.
    spread : float
        Variance over that of the Poisson process (`dispersion`): the interval is the one of so many times fewer
        events.
    confidence : float

    Returns
    -------
    low, high : float
        Garwood's (1936) central interval; NaN without exposure.
    """
    if not exposure > 0:
        return np.nan, np.nan
    tail, events = (1 - confidence) / 2, count / spread
    low = special.gammaincinv(events, tail) if events > 0 else 0.0
    return float(low * spread / exposure), float(special.gammaincinv(events + 1, 1 - tail) * spread / exposure)


def bootstrap_weights(n_blocks, n_resamples, seed, *key):
    """Return how often each block is drawn in each resample.

    Parameters
    ----------
    n_blocks : int
        P, number of blocks.
    n_resamples : int
        B, number of resamples.
    seed : int
        Seed of the study.
    *key : str or int
        What is resampled (the case): all rungs and figures of merit of one sky share the resamples, so
        that differences are taken inside each of them.

    Returns
    -------
    (B, P) int64 array
        Multinomial; each row sums to P.
    """
    if n_blocks < 1 or n_resamples < 1:
        raise ValueError("a bootstrap needs at least one block and one resample")
    rng = stream(seed, *key, "bootstrap")
    return rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_resamples)


def resampled_sums(weights, statistics):
    """Return the sum of the statistics over the blocks of each resample.

    Parameters
    ----------
    weights : (B, P) array
        From `bootstrap_weights`.
    statistics : (P, ...) array
        Sufficient statistics per block.

    Returns
    -------
    (B, ...) float64 array

    Raises
    ------
    ValueError
        If a statistic is not finite: one NaN would spoil every resample. A block without the quantity has
        sums and counts of 0.
    """
    weights, statistics = np.asarray(weights), np.asarray(statistics, dtype=float)
    if not np.isfinite(statistics).all():
        raise ValueError("sufficient statistics must be finite")
    flat = statistics.reshape(len(statistics), -1)
    # einsum without BLAS adds the blocks in their order, on any number of threads.
    sums = np.einsum("bp,pk->bk", weights.astype(float), flat, optimize=False)
    return sums.reshape(len(weights), *statistics.shape[1:])


def interval(samples, n_blocks, confidence=CONFIDENCE):
    """Return the bootstrap interval of a figure of merit.

    Percentiles of the resamples, expanded to those of a t distribution: alpha/2 becomes
    Phi(-sqrt(P/(P-1)) t_{alpha/2, P-1}) (Hesterberg 2015, section 5.3.4), because plain percentiles are too
    narrow by about 3/P. Simulated coverage at 95 % with 30 blocks is 95-96 % for means, ratios of counts and
    ratios of responses (plain percentiles: 94 %), 92 % for the mean of exponential blocks (BCa: 91 %).

    Parameters
    ----------
    samples : (B, ...) array
        The figure of merit on each resample. NaN samples are left out and counted.
    n_blocks : int
        P, the number of blocks that were resampled.
    confidence : float

    Returns
    -------
    Interval
        NaN where no sample is a number, and where there is only one block.
    """
    samples = np.asarray(samples, dtype=float)
    n_nan = np.isnan(samples).sum(axis=0)
    if n_blocks < 2:
        ends = np.full((2, *samples.shape[1:]), np.nan)
    else:
        tail = (1 - confidence) / 2
        wide = special.stdtrit(n_blocks - 1, tail) * np.sqrt(n_blocks / (n_blocks - 1))
        levels = special.ndtr([wide, -wide])
        if not np.any(n_nan):
            ends = np.quantile(samples, levels, axis=0)
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
                ends = np.nanquantile(samples, levels, axis=0)
    return Interval(ends[0][()], ends[1][()], n_nan)


def needed_blocks(half_width, wanted, n_blocks):
    """Return how many blocks give an interval of a wanted half width, which shrinks as N^-1/2.

    Parameters
    ----------
    half_width : float
        Half the width of the interval that ``n_blocks`` blocks gave.
    wanted : float
        Half the width that would do.
    n_blocks : int

    Returns
    -------
    float
        A whole number. The value has no part in it: a forecast that divides by a distance that noise made is noise.
    """
    return float(np.ceil(n_blocks * (half_width / wanted) ** 2 * (1 - 1e-12)))
