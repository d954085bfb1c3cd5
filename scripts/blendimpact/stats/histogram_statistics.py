"""Statistics of histograms: quantiles, scatters, crossings of curves."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .crowding import crowding_limit
from .histograms import nmad_from_histogram, quantile_from_histogram, resolution
from .statistic import Statistic, quadrature, ratio, resampled


@dataclass(frozen=True)
class Binned(Statistic):
    """A statistic with a cell for each bin.

    Parameters
    ----------
    edges : tuple of float
        Of the bins; the end bins are open.
    """

    edges: tuple

    @property
    def n_cells(self):
        """Number of bins."""
        return len(self.edges) - 1

    def constant(self, value, n):
        """Return the value and the width of its bin on either side: bins tell no less apart."""
        width = resolution(np.asarray(self.edges), value)
        return value - width, value + width

    def of(self, sums, edges=None):
        """Return the value of summed statistics, (..., n_bins, n_sums) to (...); ``edges`` of a part of the bins."""
        return self.within(sums, np.asarray(self.edges if edges is None else edges, float))


@dataclass(frozen=True)
class OfHistogram(Binned):
    """Its value does not depend on empty bins at the ends. Sums: objects in the bin."""

    counted: ClassVar[tuple] = (0,)

    def samples(self, weights, part):
        """Return the value on each resample, without the work for bins beyond all objects."""
        filled = np.flatnonzero(part.any(axis=(0, 2)))
        # With an empty bin at either end: the end bins of a histogram are open, and those of this part of it must not
        # hold any.
        first, last = (max(filled[0] - 1, 0), min(filled[-1] + 2, part.shape[1])) if len(filled) else (0, part.shape[1])
        return self.of(resampled(weights, part[:, first:last]), self.edges[first : last + 1])


@dataclass(frozen=True)
class Median(OfHistogram):
    """Median of a histogram."""

    def within(self, sums, edges):
        return quantile_from_histogram(edges, sums[..., 0], 0.5)


@dataclass(frozen=True)
class Nmad(OfHistogram):
    """Normalised median absolute deviation of a histogram: that of sum ``which``."""

    which: int = 0

    @property
    def counted(self):
        """The sum that counts objects."""
        return (self.which,)

    def within(self, sums, edges):
        return nmad_from_histogram(edges, sums[..., self.which])


@dataclass(frozen=True)
class PairedMedian(Median):
    """Median of differences per object, stored for the terms of a budget (`ladder.paired`)."""

    paired: ClassVar[bool] = True


@dataclass(frozen=True)
class PairedNmad(Nmad):
    """Scatter of differences per object, stored for the terms of a budget (`ladder.paired`)."""

    paired: ClassVar[bool] = True


@dataclass(frozen=True)
class Hidden(OfHistogram):
    """What the scatter of errors has beyond that of deviations from a mean, in quadrature.

    Sums: histograms of deviations and of errors.
    """

    counted: ClassVar[tuple] = (1,)

    def within(self, sums, edges):
        deviations, errors = (nmad_from_histogram(edges, sums[..., k]) for k in (0, 1))
        return quadrature(errors, deviations)


@dataclass(frozen=True)
class TrimmedMean(OfHistogram):
    """Mean of what is left of a histogram when ``share`` is cut off at each end.

    The contents of a bin sit at its middle; a bin on the cut counts in part.
    """

    share: float = 0.05

    def within(self, sums, edges):
        counts = sums[..., 0]
        total = counts.sum(axis=-1, keepdims=True)
        upto = np.cumsum(counts, axis=-1)
        low, high = self.share * total, (1 - self.share) * total
        kept = np.clip(upto, low, high) - np.clip(upto - counts, low, high)
        return ratio((kept * (edges[1:] + edges[:-1]) / 2).sum(axis=-1), kept.sum(axis=-1))


@dataclass(frozen=True)
class Falling(Binned):
    """Where a fraction last falls through ``level``, linear between bin centres. Sums: successes, trials."""

    level: float

    def within(self, sums, edges):
        middle = (edges[1:] + edges[:-1]) / 2
        found = ratio(sums[..., 0], sums[..., 1])
        out = np.full(found.shape[:-1], np.nan)
        for k in range(len(middle) - 1):
            a, b = found[..., k], found[..., k + 1]
            here = (a >= self.level) & (b < self.level)
            with np.errstate(invalid="ignore", divide="ignore"):
                at = middle[k] + (a - self.level) / (a - b) * (middle[k + 1] - middle[k])
            out = np.where(here, at, out)
        return out


@dataclass(frozen=True)
class Rising(Binned):
    """Where a fraction last rises through ``level``, linear between filled bins. Sums: successes, trials."""

    level: float

    def within(self, sums, edges):
        middle = (edges[1:] + edges[:-1]) / 2
        found = ratio(sums[..., 0], sums[..., 1])
        out, before, where = np.full((3, *found.shape[:-1]), np.nan)
        for k, x in enumerate(middle):
            here = found[..., k]
            with np.errstate(invalid="ignore", divide="ignore"):
                at = where + (self.level - before) / (here - before) * (x - where)
            out = np.where((before < self.level) & (here >= self.level), at, out)
            filled = np.isfinite(here)
            before, where = np.where(filled, here, before), np.where(filled, x, where)
        return out


@dataclass(frozen=True)
class CrowdingLimit(Binned):
    """Magnitude at which the analytic crowding error reaches ``level``. Sums: stars, beams."""

    level: float

    counted: ClassVar[tuple] = (0,)

    def within(self, sums, edges):
        return crowding_limit(edges, ratio(sums[..., 0], sums[..., 1]), self.level)
