"""Statistics: what a figure of merit makes of sums, how many objects are behind it, and which intervals it has.

A statistic is a function of *sufficient statistics*, sums that add up over blocks of sky. A bootstrap over blocks is
then a weighted sum of rows, and every statistic knows how it is resampled, what interval a value has, and what interval
a difference of rungs has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from .intervals import design_effect, dispersion, interval, newcombe, poisson_rate, resampled_sums, wilson

LEAST_BLOCKS = 10
"""Blocks that must hold objects before resampling them says anything."""


class Ends(NamedTuple):
    """An interval, how it was made, and what to mind."""

    low: float
    high: float
    method: str
    note: str = ""


class Blocks(NamedTuple):
    """How many blocks of sky were resampled, and how many of them hold any object."""

    number: int
    held: int


class Value(NamedTuple):
    """A statistic on one rung.

    Attributes
    ----------
    value : float
    samples : (B,) array
        On each resample.
    sums : (n_blocks, n_cells, n_sums) array
        What it was made of.
    count : int
        Objects behind it.
    copies : int
        Twins of each source among the entries.
    """

    value: float
    samples: np.ndarray
    sums: np.ndarray
    count: int
    copies: int


def ratio(top, bottom):
    """Return top / bottom, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom != 0, top / np.where(bottom == 0, 1, bottom), np.nan)


def relative(value, base):
    """Return a value against that of the isolated rung: value / base - 1, NaN where that is no number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        change = value / base - 1
    return np.where(np.isfinite(change), change, np.nan)[()]


def quadrature(value, base):
    """Return what a scatter has beyond another, in quadrature: sign(d) |d|^(1/2), d the difference of the squares."""
    square = np.square(value) - np.square(base)
    return np.sign(square) * np.sqrt(np.abs(square))


def bootstrap(samples, blocks, method="bootstrap over blocks"):
    """Return the `Ends` of a bootstrap over blocks of sky."""
    if blocks.held < LEAST_BLOCKS:
        return Ends(
            np.nan,
            np.nan,
            method,
            f"no interval: only {blocks.held} blocks hold any object, {LEAST_BLOCKS} are the least",
        )
    ends = interval(samples, blocks.number)
    note = f"{int(ends.n_nan)} of {len(samples)} resamples gave no value" if ends.n_nan else ""
    return Ends(float(ends.low), float(ends.high), method, note)


def resampled(weights, part):
    """Return `intervals.resampled_sums`, without the work for cells that no block has anything in."""
    filled = part.any(axis=(0, 2))
    out = np.zeros((len(weights), *part.shape[1:]))
    out[:, filled] = resampled_sums(weights, part[:, filled])
    return out


def notes(*texts):
    """Return the texts that are not empty as one."""
    return "; ".join(t for t in texts if t)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """Base of all statistics.

    Parameters
    ----------
    against : callable, optional
        ``against(value, isolated)``: values are given against that of the isolated rung, inside each resample
        (`relative`, `quadrature`).
    """

    against: Callable | None = None

    counted: ClassVar[tuple] = (1,)
    """The sums that count objects."""
    trials: ClassVar[tuple] = ()
    """The sums that count trials, of statistics of proportions: one for each proportion."""
    paired: ClassVar[bool] = False
    """Whether it is stored for the terms of the budget, as a statistic of differences per object, and not for rungs."""
    n_cells: ClassVar[int] = 1
    """Number of cells that hold sums."""

    @property
    def width(self):
        """Least number of sums that each cell has."""
        return max(self.counted) + 1

    def of(self, sums):
        """Return the value of summed statistics, (..., n_cells, n_sums) to (...)."""
        raise TypeError(f"{type(self).__name__} has no value")

    def count(self, sums):
        """Return how many objects entered, from ``sums`` of shape (n_cells, n_sums)."""
        return round(float(sum(sums[..., k].sum() for k in self.counted)))

    def samples(self, weights, part):
        """Return the value on each resample.

        Parameters
        ----------
        weights : (B, n_blocks) array
        part : (n_blocks, n_cells, n_sums) array
        """
        return self.of(resampled(weights, part))

    def says_nothing(self, values):
        """Return whether rungs ({rung: `Value`}) are left out: they hold nothing that the statistic is about."""
        return False

    def ends(self, value, blocks):
        """Return the `Ends` of a `Value` on one rung."""
        return self.widened(bootstrap(value.samples, blocks), value.value, value.count)

    def constant(self, value, n):
        """Return the ends of a value that all of ``n`` objects give alike: NaN if the statistic cannot tell them."""
        return np.nan, np.nan

    def widened(self, ends, value, n):
        """Return `Ends` that hold the value, and that have a width.

        Resamples of what is the same in all blocks say nothing of what other sky would hold.
        """
        low, high, method, note = ends
        if not np.isfinite(value):  # resamples that have one say nothing of it
            return Ends(np.nan, np.nan, method, notes(note, "no interval: there is no value"))
        if not np.isfinite([low, high]).all():
            return ends
        if not low <= value <= high:
            low, high, note = min(low, value), max(high, value), notes(note, "an end is the value itself")
        if low == high:
            low, high = map(float, self.constant(value, n) if n else (np.nan, np.nan))
            if np.isfinite([low, high]).all():
                method = f"{method}; the same in all: what n objects can show"
            else:
                note = notes(note, "no interval: the same in all resamples")
        return Ends(low, high, method, note)

    def least_trials(self, values):
        """Return the least numbers of trials that any rung has, one for each proportion."""
        return [min(float(v.sums[:, 0, k].sum()) for v in values.values()) for k in self.trials]

    def difference_ends(self, value, samples, n, trials, blocks):
        """Return the `Ends` of a difference of rungs.

        Of a proportion, or of the difference of two, that no block has more of (or less) on one rung than on the other
        no resample goes beyond 0, which is not to know that nothing does: that end is then Wilson's of 0 differences in
        each of the ``trials`` (`least_trials`).
        """
        low, high, method, note = bootstrap(samples, blocks, "bootstrap over blocks, difference inside each resample")
        if n and trials and all(trials) and 0 in (low, high):
            tops = [wilson(0, n if len(trials) == 1 else number).high for number in trials]
            top = float(np.sqrt(np.sum(np.square(tops))))
            method = (f"{method}; " if low != high else "") + "an end of 0: Wilson's for 0 differences in n"
            low, high = low or -top, high or top
        return self.widened(Ends(low, high, method, note), value, n)


@dataclass(frozen=True, kw_only=True)
class Ratio(Statistic):
    """Sums: numerator, denominator."""

    def of(self, sums):
        return ratio(sums[..., 0, 0], sums[..., 0, 1])


@dataclass(frozen=True, kw_only=True)
class Mean(Ratio):
    """Mean of a number per object, those beyond ``bound`` counted as it. Sums: of the numbers, of the objects.

    Differences of rungs on one sample are means of paired differences, and the budget of a mean closes.
    """

    bound: float

    def constant(self, value, n):
        """Return the value and, on either side, the bound times the largest share of objects that may be others."""
        top = self.bound * wilson(0, n).high
        return value - top, value + top


@dataclass(frozen=True, kw_only=True)
class WeightedMean(Mean):
    """The same with a weight per object. Sums: of weight times number, of the weights, of the objects."""

    counted: ClassVar[tuple] = (2,)


@dataclass(frozen=True, kw_only=True)
class WeightedFraction(WeightedMean):
    """Fraction of objects with weights: the mean of what is 0 or 1 of each."""

    bound: float = 1.0

    def constant(self, value, n):
        """Return ends beyond which no fraction, and no difference of two, can be."""
        return np.clip(super().constant(value, n), -1, 1)


@dataclass(frozen=True, kw_only=True)
class Fraction(Ratio):
    """Sums: successes, trials. Pooled counts with Wilson's interval, widened by the design effect of blocks."""

    trials: ClassVar[tuple] = (1,)

    def constant(self, value, n):
        """Return Wilson's interval of so large a part of ``n``, with the sign of the value."""
        proportion = wilson(round(min(abs(value), 1) * n), n)
        return sorted(np.sign(value) * np.array([proportion.low, proportion.high]))

    def ends(self, value, blocks):
        proportion = pooled(value, 0)
        return Ends(float(proportion.low), float(proportion.high), "Wilson, widened by the design effect of blocks")


def pooled(value, first):
    """Return the proportion of counts by block: successes in sum ``first``, trials in the next.

    Twins are copies: where blocks show no effect, so many entries are one trial.
    """
    k, n = value.sums[:, 0, first], value.sums[:, 0, first + 1]
    effect = design_effect(k, n)
    return wilson(k.sum(), n.sum(), design_effect=max(effect, value.copies) if np.isfinite(effect) else value.copies)


@dataclass(frozen=True, kw_only=True)
class Contrast(Statistic):
    """Difference of two proportions. Sums: successes, trials; the same of the others."""

    counted: ClassVar[tuple] = (1, 3)
    trials: ClassVar[tuple] = (1, 3)

    def of(self, sums):
        return ratio(sums[..., 0, 0], sums[..., 0, 1]) - ratio(sums[..., 0, 2], sums[..., 0, 3])

    def says_nothing(self, values):
        return not all(self.least_trials(values))  # nothing on one side of the difference

    def ends(self, value, blocks):
        low, high = newcombe(pooled(value, 0), pooled(value, 2))
        few = bootstrap(value.samples, blocks).note if blocks.held < LEAST_BLOCKS else ""
        return Ends(
            low,
            high,
            "Newcombe, of Wilson intervals widened by the design effect of blocks",
            notes(few.replace("no interval", "no bootstrap"), undetermined(low, high)),
        )

    def difference_ends(self, value, samples, n, trials, blocks):
        low, high, method, note = super().difference_ends(value, samples, n, trials, blocks)
        return Ends(low, high, method, notes(note, undetermined(low, high)))


def undetermined(low, high):
    """Return a note for a difference whose interval holds 0; else ""."""
    return "undetermined: the interval holds 0, and says how large a difference may be" if low <= 0 <= high else ""


@dataclass(frozen=True, kw_only=True)
class Count(Statistic):
    """Sums: objects."""

    counted: ClassVar[tuple] = (0,)

    def of(self, sums):
        return sums[..., 0, 0]


@dataclass(frozen=True, kw_only=True)
class Density(Ratio):
    """Sums: weight, area, objects."""

    counted: ClassVar[tuple] = (2,)


@dataclass(frozen=True, kw_only=True)
class Rate(Ratio):
    """Sums: counts, area. A Poisson process, widened by the dispersion of blocks."""

    counted: ClassVar[tuple] = (0,)

    def ends(self, value, blocks):
        counts, area = value.sums[:, 0, 0], value.sums[:, 0, 1]
        low, high = poisson_rate(counts.sum(), area.sum(), max(dispersion(counts, area), value.copies))
        return Ends(low, high, "Poisson, widened by the dispersion of blocks")


@dataclass(frozen=True, kw_only=True)
class Response(Statistic):
    """Shear response of a mean shape. Sums: sum of e / 2g and number, +g; the same, -g."""

    counted: ClassVar[tuple] = (1, 3)

    def of(self, sums):
        return ratio(sums[..., 0, 0], sums[..., 0, 1]) - ratio(sums[..., 0, 2], sums[..., 0, 3])


@dataclass(frozen=True, kw_only=True)
class Offset(Statistic):
    """Mean of the twins. Sums: sum of e and number, +g; the same, -g."""

    counted: ClassVar[tuple] = (1, 3)

    def of(self, sums):
        return (ratio(sums[..., 0, 0], sums[..., 0, 1]) + ratio(sums[..., 0, 2], sums[..., 0, 3])) / 2


@dataclass(frozen=True, kw_only=True)
class Slope(Statistic):
    """Least-squares slope of y on x, minus 1. Sums: n, x, y, xx, xy."""

    counted: ClassVar[tuple] = (0,)

    def of(self, sums):
        n, x, y, xx, xy = (sums[..., 0, k] for k in range(5))
        return ratio(n * xy - x * y, n * xx - x * x) - 1


@dataclass(frozen=True, kw_only=True)
class HarmonicMean(Statistic):
    """F1 score. Sums: matched, true, detected."""

    def of(self, sums):
        return ratio(2 * sums[..., 0, 0], sums[..., 0, 1] + sums[..., 0, 2])


@dataclass(frozen=True, kw_only=True)
class RmsRatio(Statistic):
    """Sums: sum of squares and number; the same of the reference."""

    counted: ClassVar[tuple] = (1, 3)

    def of(self, sums):
        return np.sqrt(ratio(ratio(sums[..., 0, 0], sums[..., 0, 1]), ratio(sums[..., 0, 2], sums[..., 0, 3])))


@dataclass(frozen=True, kw_only=True)
class Deviation(Statistic):
    """Standard deviation. Sums: n, x, xx."""

    counted: ClassVar[tuple] = (0,)

    def of(self, sums):
        n, x, xx = (sums[..., 0, k] for k in range(3))
        return np.sqrt(np.clip(ratio(xx, n) - ratio(x, n) ** 2, 0, None))


@dataclass(frozen=True, kw_only=True)
class ExcessChi2(Ratio):
    """Mean of chi^2 over pixels, minus 1. Sums: sum of chi^2 x pixels, pixels, objects."""

    counted: ClassVar[tuple] = (2,)

    def of(self, sums):
        return super().of(sums) - 1
