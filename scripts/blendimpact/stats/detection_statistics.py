"""Statistics of searches: the chance to be linked, and detection curves."""

from dataclasses import dataclass
from math import comb
from typing import ClassVar

import numpy as np

from .histogram_statistics import Binned
from .histograms import quantile_from_histogram
from .intervals import wilson
from .statistic import Ends, notes, ratio

NIGHTS, LEAST_NIGHTS = 5, 3
"""Nights in 15 days on which a field is visited twice (about every third: adopted), and those that a link needs."""
FALSE_POSITIVES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of the negatives that are taken for positives at the thresholds of a detection curve."""


def linked(efficiency, nights=NIGHTS):
    """Return the chance that a moving object is linked.

    P = 1 - sum over k < 3 of C(N, k) q^k (1 - q)^(N - k): it must be found twice in a night, q = efficiency^2, on at
    least `LEAST_NIGHTS` of ``nights`` nights.

    Parameters
    ----------
    efficiency : float or array
        Chance to be found in one visit.
    nights : int
    """
    q = np.square(efficiency)
    return 1 - sum(comb(nights, k) * q**k * (1 - q) ** (nights - k) for k in range(LEAST_NIGHTS))


@dataclass(frozen=True)
class Linking(Binned):
    """Mean of `linked` over objects, each at the efficiency of its bin: an object is as bright whenever it is seen.

    Sums: found, tried.
    """

    def within(self, sums, edges):
        found, tried = sums[..., 0], sums[..., 1]
        chance = linked(np.nan_to_num(ratio(found, tried)))
        return ratio((tried * chance).sum(axis=-1), tried.sum(axis=-1))

    def ends(self, value, blocks):
        """Return the `Ends`, within 0 and 1."""
        low, high, method, note = super().ends(value, blocks)
        return Ends(*np.clip((low, high), 0, 1).tolist(), method, note)

    def constant(self, value, n):
        """Return the ends when all of ``n`` objects are found, or none more on one rung than on the other."""
        most = 1 - float(linked(1 - wilson(0, n).high))
        return value - most, value + most


@dataclass(frozen=True)
class Told(Binned):
    """A statistic of how well positives are told from negatives. Sums: negatives, positives in the bin."""

    def says_nothing(self, values):
        return not any(v.count for v in values.values())  # a bin that holds the negatives of all, and no positive

    def least_trials(self, values):
        """Return the least number of positives of any rung: a part of them is a proportion."""
        return [min(float(v.sums[..., 1].sum()) for v in values.values())]

    def constant(self, value, n):
        """Return the ends of a part of ``n`` positives that is the same in all resamples: Wilson's of none of them."""
        most = float(wilson(0, n).high)
        return value - most, value + most

    def ends(self, value, blocks):
        """Return the `Ends`, within 0 and 1."""
        low, high, method, note = super().ends(value, blocks)
        return Ends(*np.clip((low, high), 0, 1).tolist(), method, note)


@dataclass(frozen=True)
class TruePositives(Told):
    """Part of the positives above the threshold that ``share`` of the negatives exceed; linear inside a bin."""

    share: float

    def within(self, sums, edges):
        negatives, positives = sums[..., 0], sums[..., 1]
        threshold = np.asarray(quantile_from_histogram(edges, negatives, 1 - self.share))
        bins = np.clip(np.searchsorted(edges, threshold, side="right") - 1, 0, len(edges) - 2)
        above = np.cumsum(positives[..., ::-1], axis=-1)[..., ::-1]
        here = np.take_along_axis(positives, bins[..., None], -1)[..., 0]
        beyond = np.take_along_axis(above, bins[..., None], -1)[..., 0] - here
        part = (edges[bins + 1] - threshold) / (edges[bins + 1] - edges[bins])
        found = ratio(beyond + np.clip(part, 0, 1) * here, above[..., 0])
        return np.where(np.isfinite(threshold), found, np.nan)[()]

    def ends(self, value, blocks):
        low, high, method, note = super().ends(value, blocks)
        negatives = round(float(value.sums[..., 0].sum()))
        few = f": fewer than {1 / self.share:.0f}, so the threshold is at their largest"
        return Ends(low, high, method, notes(note, f"{negatives} negatives{few if negatives * self.share < 1 else ''}"))


@dataclass(frozen=True)
class Missed(TruePositives):
    """Part of the positives that are not: a loss."""

    def within(self, sums, edges):
        return 1 - super().within(sums, edges)


@dataclass(frozen=True)
class AreaUnderCurve(Told):
    """Chance that a positive exceeds a negative, ties of a bin counted as half."""

    def within(self, sums, edges):
        negatives, positives = sums[..., 0], sums[..., 1]
        below = np.cumsum(negatives, axis=-1) - negatives / 2
        return ratio((positives * below).sum(axis=-1), positives.sum(axis=-1) * negatives.sum(axis=-1))


@dataclass(frozen=True)
class Negatives(Binned):
    """Number of negatives. Sums: negatives in the bin."""

    counted: ClassVar[tuple] = (0,)

    def within(self, sums, edges):
        return sums[..., 0].sum(axis=-1)
