"""Intervals hold the truth as often as they say, for each statistic, on one rung and of differences of rungs.

Each experiment draws skies of 30 or 100 blocks, all of one kind, and asks the statistic for its interval on each. The
truth is what the statistic makes of all skies together.
"""

from dataclasses import dataclass
from typing import ClassVar

import blendimpact.stats.detection_statistics as searches
import blendimpact.stats.histogram_statistics as binned
import blendimpact.stats.statistic as plain
import blendimpact.stats.swapped as swapped
import numpy as np
import pytest
from blendimpact.stats.intervals import bootstrap_weights
from blendimpact.stats.statistic import Blocks, Statistic, Value, relative
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

RESAMPLES, OBJECTS = 400, 25
BETWEEN = 0.92, 0.98
EDGES = tuple(np.linspace(-4, 4, 41))
FINE = tuple(np.linspace(-3, 3, 101))
CURVE = tuple(np.linspace(20, 24, 9))


# --- skies: (rng, shape) to sums (*shape, n_cells, n_sums), where shape is (skies, blocks) ------------


def numbers(rng, shape, mean=OBJECTS):
    """Numbers of objects per block, more variable than Poisson's."""
    return rng.poisson(mean * rng.gamma(8, 1 / 8, shape)) + 1


def one_cell(*sums):
    return np.stack(np.broadcast_arrays(*sums), axis=-1)[..., None, :].astype(float)


def means(rng, shape):
    """Sums of gamma variates with a part that a block shares, and their number."""
    n = numbers(rng, shape)
    return one_cell(rng.gamma(4 * n, 0.25) * rng.gamma(50, 1 / 50, shape), n)


def clustered(rng, shape, share=0.2):
    """Successes and trials; the chance of success varies from block to block."""
    n = numbers(rng, shape)
    return one_cell(rng.binomial(n, rng.beta(share * 40, (1 - share) * 40, shape)), n)


def weighted(rng, shape):
    """The same of objects with weights from 0 to 2: sums of weight times variate, of the weights, and their number."""
    n = numbers(rng, shape)
    of = rng.uniform(0, 2, (*shape, n.max())) * (np.arange(n.max()) < n[..., None])
    values = rng.gamma(4, 0.25, of.shape) * rng.gamma(50, 1 / 50, shape)[..., None]
    return one_cell((of * values).sum(-1), of.sum(-1), n)


def weighted_fractions(rng, shape):
    """Successes and trials with such weights; the chance of success varies from block to block."""
    n = numbers(rng, shape)
    of = rng.uniform(0, 2, (*shape, n.max())) * (np.arange(n.max()) < n[..., None])
    found = rng.uniform(size=of.shape) < rng.beta(8, 32, shape)[..., None]
    return one_cell((of * found).sum(-1), of.sum(-1), n)


def two(draw):
    return lambda rng, shape: np.concatenate([draw(rng, shape), draw(rng, shape)], axis=-1)


def counts(rng, shape):
    return one_cell(numbers(rng, shape))


def rates(rng, shape):
    """Events twice as variable as Poisson's in one unit of area."""
    return one_cell(2 * rng.poisson(1.5, shape), 1)


def with_objects(draw):
    def drawn(rng, shape):
        sums = draw(rng, shape)
        return np.concatenate([sums, sums[..., 1:2]], axis=-1)

    return drawn


def shapes(rng, shape):
    """Mean shapes of a sheared sky and of its twin, of the same noise, response 0.7."""
    n, noise = numbers(rng, shape), rng.normal(0, 5, shape)
    each = [rng.normal(0, 1, shape) * np.sqrt(n) for _ in range(2)]
    return one_cell(noise + each[0] + 0.35 * n, n, noise + each[1] - 0.35 * n, n)


def lists(rng, shape):
    """Sums of swapped lists: most members are common to both, and what is found anew has a mean shape against g."""
    n, m = numbers(rng, shape), numbers(rng, shape)
    common = rng.normal(0, 1, (2, *shape)) * np.sqrt(n) + np.array([0.4, -0.4])[:, None, None] * n
    own = [rng.normal(sign * 0.02 * n, 0.5 * np.sqrt(n)) for sign in (-1, 1)]
    first = [common[k] + own[0] for k in (0, 1)]
    second = [m / n * (common[k] + own[1]) for k in (0, 1)]
    return one_cell(n, *first, m, *second)


def merged_lists(rng, shape):
    n, m = numbers(rng, shape), numbers(rng, shape)
    common = rng.normal(0.8 * n, 0.5 * np.sqrt(n))
    each = [number / n * 1.1 * common + rng.normal(0, 0.1 * np.sqrt(number)) for number in (n, m)]
    return one_cell(n, each[0], m, each[1], n, common)


def lines(rng, shape):
    x = rng.normal(0, 0.3, (*shape, OBJECTS))
    y = 0.9 * x + rng.normal(0, 0.1, x.shape) + rng.normal(0, 0.02, (*shape, 1))
    return one_cell(OBJECTS, x.sum(-1), y.sum(-1), (x * x).sum(-1), (x * y).sum(-1))


def matches(rng, shape):
    true = numbers(rng, shape)
    matched = rng.binomial(true, 0.8)
    return one_cell(matched, true, matched + rng.poisson(2, shape))


def squares(rng, shape):
    return one_cell(rng.gamma(OBJECTS / 2, 0.2, shape), OBJECTS)


def moments(rng, shape):
    x = rng.normal(0, 1, (*shape, OBJECTS)) + rng.normal(0, 0.2, (*shape, 1))
    return one_cell(OBJECTS, x.sum(-1), (x * x).sum(-1))


def binned_normal(rng, shape, centre=0.0, width=1.0, mean=OBJECTS):
    """Histograms of normal variates whose middle moves from block to block, (*shape, bins)."""
    middle = centre + rng.normal(0, 0.2, (*shape, 1))
    cdf = norm.cdf((np.asarray(EDGES) - middle) / width)
    cdf[..., 0], cdf[..., -1] = 0, 1
    return rng.multinomial(numbers(rng, shape, mean), np.diff(cdf)).astype(float)


def values(rng, shape):
    return binned_normal(rng, shape)[..., None]


def two_histograms(rng, shape):
    return np.stack([binned_normal(rng, shape, width=w) for w in (0.5, 1.0)], axis=-1)


def told(rng, shape):
    return np.stack([binned_normal(rng, shape, mean=60), binned_normal(rng, shape, 1.5)], axis=-1)


def curve(falls):
    def drawn(rng, shape):
        middle = (np.asarray(CURVE)[1:] + CURVE[:-1]) / 2
        chance = norm.cdf((22.3 + rng.normal(0, 0.1, (*shape, 1)) - middle) / 0.7)
        trials = numbers(rng, (*shape, len(middle)), 12)
        return np.stack([rng.binomial(trials, chance if falls else 1 - chance), trials], axis=-1).astype(float)

    return drawn


def beams(rng, shape):
    stars = 0.4 * 10 ** (0.3 * (np.asarray(CURVE)[:-1] - 22)) * rng.gamma(20, 1 / 20, (*shape, 1))
    return np.stack([rng.poisson(40 * stars), np.full(stars.shape, 2000.0)], axis=-1).astype(float)


@dataclass(frozen=True, kw_only=True)
class PairedMean(Statistic):
    """Mean of differences per object, as a statistic to come. Sums: sum of differences, objects."""

    paired: ClassVar[bool] = True

    def of(self, sums):
        return plain.ratio(sums[..., 0, 0], sums[..., 0, 1])


def differences(rng, shape):
    n = numbers(rng, shape)
    return one_cell(rng.normal(0.01 * n, 0.05 * np.sqrt(n)), n)


CASES = [
    (plain.Ratio(), means),
    (plain.Mean(bound=5), means),
    (plain.WeightedMean(bound=5), weighted),
    (plain.WeightedFraction(), weighted_fractions),
    (plain.Fraction(), clustered),
    (plain.Contrast(), two(clustered)),
    (plain.Count(), counts),
    (plain.Density(), with_objects(means)),
    (plain.Rate(), rates),
    (plain.Response(), shapes),
    (plain.Offset(), shapes),
    (plain.Slope(), lines),
    (plain.HarmonicMean(), matches),
    (plain.RmsRatio(), two(squares)),
    (plain.Deviation(), moments),
    (plain.ExcessChi2(), with_objects(means)),
    (binned.Median(EDGES), values),
    (binned.Nmad(EDGES), values),
    (binned.PairedMedian(EDGES), values),
    (binned.PairedNmad(EDGES), values),
    (binned.Hidden(EDGES), two_histograms),
    (binned.TrimmedMean(EDGES), values),
    (binned.Falling(CURVE, 0.5), curve(True)),
    (binned.Rising(CURVE, 0.5), curve(False)),
    (binned.CrowdingLimit(CURVE, 0.08), beams),
    (searches.Linking(CURVE), curve(True)),
    (searches.TruePositives(EDGES, 0.05), told),
    (searches.Missed(EDGES, 0.05), told),
    (searches.AreaUnderCurve(EDGES), told),
    (searches.Negatives(EDGES), told),
    (swapped.SwappedLists(), lists),
    (swapped.Merging(), merged_lists),
    (PairedMean(), differences),
]


def skies(statistic, draw, n_blocks):
    """Draw many skies; fewer of histograms, which cost more."""
    number = 1500 if statistic.n_cells == 1 else 400 if statistic.n_cells < 50 else 200
    return draw(np.random.default_rng(n_blocks), (number, n_blocks))


def evaluated(statistic, sums):
    """Return the values of all skies, (skies,), and on their resamples, (skies, RESAMPLES)."""
    drawn = []
    # By the matrix product, a few skies at a time: the statistic's own `samples` is for one sky.
    for number, part in enumerate(np.array_split(sums, 20)):
        weights = bootstrap_weights(sums.shape[1], RESAMPLES, number, "coverage").astype(float)
        summed = weights @ part.reshape(*part.shape[:2], -1)
        drawn.append(statistic.of(summed.reshape(len(part), RESAMPLES, *sums.shape[2:])))
    return statistic.of(sums.sum(axis=1)), np.concatenate(drawn)


def covered(ends, truth):
    """Return the part of the skies whose interval holds the truth."""
    low, high = np.array([(e.low, e.high) for e in ends]).T
    assert (low < high).all()
    return float(np.mean((low <= truth) & (truth <= high)))


def name(case):
    return type(case).__name__ if isinstance(case, Statistic) else ""


def test_every_statistic_has_its_coverage_measured():
    written = {
        c
        for module in (plain, binned, searches, swapped)
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, Statistic)
    }
    bases = {Statistic, binned.Binned, binned.OfHistogram, searches.Told}
    assert written - bases == {type(statistic) for statistic, _ in CASES} - {PairedMean}


@pytest.mark.parametrize("n_blocks", [30, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("statistic, draw", CASES, ids=name)
def test_the_interval_on_a_rung_holds_the_truth(statistic, draw, n_blocks):
    sums = skies(statistic, draw, n_blocks)
    value, samples = evaluated(statistic, sums)
    truth = statistic.of(sums.sum(axis=1).mean(axis=0))
    blocks = Blocks(n_blocks, n_blocks)
    ends = [
        statistic.ends(Value(v, s, part, statistic.count(part.sum(axis=0)), 1), blocks)
        for v, s, part in zip(value, samples, sums)
    ]
    found = covered(ends, truth)
    assert BETWEEN[0] <= found <= BETWEEN[1], f"{found:.3f}"


# --- differences of rungs, which share sky and noise: pairs of sums ----------------------------------


def losses(share):
    """Successes of which the other rung loses a share."""

    def drawn(rng, shape):
        sums = clustered(rng, shape, 0.9)
        other = sums.copy()
        other[..., 0] = rng.binomial(sums[..., 0].astype(int), 1 - share)
        return sums, other

    return drawn


def two_losses(rng, shape):
    first, second = (losses(share)(rng, shape) for share in (0.1, 0.05))
    return tuple(np.concatenate(pair, axis=-1) for pair in zip(first, second, strict=True))


def more(column, factor, scatter):
    """The sums of `means`, of which one changes on the other rung."""

    def drawn(rng, shape):
        sums = means(rng, shape)
        other = sums.copy()
        other[..., column] = factor * sums[..., column] + rng.normal(0, scatter, sums[..., column].shape)
        return sums, other

    return drawn


def weaker(rng, shape):
    sums = shapes(rng, shape)
    other = sums.copy()
    for k, sign in ((0, 1), (2, -1)):
        other[..., k] -= sign * 0.01 * sums[..., 1] + rng.normal(0, 0.1, other[..., k].shape)
    return sums, other


def alarms(rng, shape):
    sums = rates(rng, shape)
    return sums, sums + one_cell(2 * rng.poisson(0.5, shape), 0)


def slopes(rng, shape):
    x = rng.normal(0, 0.3, (*shape, OBJECTS))
    y = 0.9 * x + rng.normal(0, 0.1, x.shape)
    return tuple(
        one_cell(OBJECTS, x.sum(-1), y.sum(-1), (x * x).sum(-1), (x * y).sum(-1))
        for y in (y, 0.98 * y + rng.normal(0, 0.02, y.shape))
    )


def changed(rng, shape):
    """Histograms of values, and of the same values with a small change of their own."""
    x = rng.normal(0, 0.7, (*shape, OBJECTS)) + rng.normal(0, 0.2, (*shape, 1))
    out = []
    for values in (x, x + rng.normal(0.01, 0.03, x.shape)):
        bins = np.clip(np.searchsorted(FINE, values) - 1, 0, len(FINE) - 2) + len(FINE[1:]) * np.arange(
            np.prod(shape)
        ).reshape(*shape, 1)
        out.append(np.bincount(bins.ravel(), minlength=np.prod(shape) * len(FINE[1:])).reshape(*shape, -1, 1))
    return out


def known(statistic, draw, n_blocks, measured=None):
    """A case of the test below; with a measured coverage one whose interval is known to be too wide."""
    reason = f"a difference of medians or scatters does not cancel what rungs share: covers {measured}"
    marks = [pytest.mark.slow] if n_blocks > 30 else []
    if measured:
        marks.append(pytest.mark.xfail(reason=reason, strict=True))
    return pytest.param(statistic, draw, n_blocks, marks=marks, id=f"{type(statistic).__name__}-{n_blocks}")


DIFFERENCES = [
    (plain.Ratio(against=relative), more(0, 0.95, 0.5), None, None),
    (plain.Fraction(), losses(0.05), None, None),
    (plain.Contrast(), two_losses, None, None),
    (plain.Rate(), alarms, None, None),
    (plain.Response(), weaker, None, None),
    (plain.Slope(), slopes, None, None),
    (binned.Median(FINE), changed, 1.0, 0.985),
    (binned.Nmad(FINE), changed, 0.995, 1.0),
]


@pytest.mark.parametrize(
    "statistic, draw, n_blocks",
    [
        known(statistic, draw, n_blocks, measured)
        for statistic, draw, *of in DIFFERENCES
        for n_blocks, measured in zip((30, 100), of, strict=True)
    ],
)
def test_the_interval_of_a_difference_of_rungs_holds_the_truth(statistic, draw, n_blocks):
    pair = skies(statistic, draw, n_blocks)
    (first, drawn), (second, again) = (evaluated(statistic, sums) for sums in pair)
    before, after = (statistic.of(sums.sum(axis=1).mean(axis=0)) for sums in pair)
    if statistic.against:
        after, before = statistic.against(after, before), 0.0
        value, samples = statistic.against(second, first), statistic.against(again, drawn)
    else:
        value, samples = second - first, again - drawn
    ends = [
        statistic.difference_ends(
            v, s, statistic.count(total), [float(total[0, k]) for k in statistic.trials], Blocks(n_blocks, n_blocks)
        )
        for v, s, total in zip(value, samples, pair[0].sum(axis=1))
    ]
    found = covered(ends, after - before)
    assert BETWEEN[0] <= found <= BETWEEN[1], f"{found:.3f}"


# --- what holds for every statistic -------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(case=st.sampled_from(CASES), seed=st.integers(0, 10**6))
def test_a_statistic_is_a_function_of_sums_alone(case, seed):
    """Each block once is the sky itself; three times the sky has the same value, of three times the objects."""
    statistic, draw = case
    sums = draw(np.random.default_rng(seed), (1, 12))[0]
    value, count = float(statistic.of(sums.sum(axis=0))), statistic.count(sums.sum(axis=0))
    times = 3 if isinstance(statistic, (plain.Count, searches.Negatives)) else 1
    assert statistic.samples(np.stack([np.ones(12), np.full(12, 3)]), sums) == pytest.approx(
        [value, times * value], nan_ok=True
    )
    assert statistic.of(sums[::-1].sum(axis=0)) == pytest.approx(value, nan_ok=True)
    assert statistic.count(3 * sums.sum(axis=0)) == 3 * count > 0
    assert statistic.width <= sums.shape[-1] and statistic.n_cells == sums.shape[1]


@settings(max_examples=60, deadline=None)
@given(
    case=st.sampled_from([case for case in CASES if isinstance(case[0], (plain.Fraction, plain.Contrast, plain.Rate))]),
    n_blocks=st.integers(2, 12),
    copies=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_an_interval_of_counts_holds_its_value_and_has_a_width(case, n_blocks, copies, seed):
    statistic, draw = case
    sums = draw(np.random.default_rng(seed), (1, n_blocks))[0]
    value = statistic.of(sums.sum(axis=0))
    low, high, *_ = statistic.ends(Value(value, np.full(50, value), sums, 1, copies), Blocks(n_blocks, n_blocks))
    assert low <= value <= high and low < high
