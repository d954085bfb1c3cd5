"""Kinds of figures of merit that searches need: efficiencies, rates of false candidates, linking, detection curves."""

from math import comb

import numpy as np

from .intervals import quantile_from_histogram

NIGHTS, LEAST_NIGHTS = 5, 3
"""Nights in 15 days on which a field is visited twice (about every third: adopted), and those that a link needs."""
FALSE_POSITIVES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of the negatives that are taken for positives at the thresholds of a detection curve."""


def ratio(top, bottom):
    """Return top / bottom, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom != 0, top / np.where(bottom == 0, 1, bottom), np.nan)


def rising(level):
    """Return the kind that seeks where a fraction last rises through ``level``, linear between filled bins."""
    def value(s, edges):
        middle = (edges[1:] + edges[:-1]) / 2
        found = ratio(s[..., 0], s[..., 1])
        out, before, where = np.full((3, *found.shape[:-1]), np.nan)
        for k, x in enumerate(middle):
            here = found[..., k]
            with np.errstate(invalid="ignore", divide="ignore"):
                at = where + (level - before) / (here - before) * (x - where)
            out = np.where((before < level) & (here >= level), at, out)
            filled = np.isfinite(here)
            before, where = np.where(filled, here, before), np.where(filled, x, where)
        return out

    return value


def contrast(s, edges):
    """Return the difference of two fractions: k / n of the first pair of sums minus that of the second."""
    return ratio(s[..., 0, 0], s[..., 0, 1]) - ratio(s[..., 0, 2], s[..., 0, 3])


def excess_chi2(s, edges):
    """Return the mean of chi2 over pixels minus 1, from the sum of chi2 x pixels and that of pixels."""
    return ratio(s[..., 0, 0], s[..., 0, 1]) - 1


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


def linking(s, edges):
    """Return `linked` of found over tried."""
    return linked(ratio(s[..., 0, 0], s[..., 0, 1]))


def true_positives(share):
    """Return the kind that gives the part of the positives above the threshold that ``share`` of the negatives exceed.

    Histograms: negatives in the first sum, positives in the second; linear inside a bin.
    """
    def value(s, edges):
        negatives, positives = s[..., 0], s[..., 1]
        threshold = np.asarray(quantile_from_histogram(edges, negatives, 1 - share))
        bins = np.clip(np.searchsorted(edges, threshold, side="right") - 1, 0, len(edges) - 2)
        above = np.cumsum(positives[..., ::-1], axis=-1)[..., ::-1]
        here = np.take_along_axis(positives, bins[..., None], -1)[..., 0]
        beyond = np.take_along_axis(above, bins[..., None], -1)[..., 0] - here
        part = (edges[bins + 1] - threshold) / (edges[bins + 1] - edges[bins])
        found = ratio(beyond + np.clip(part, 0, 1) * here, above[..., 0])
        return np.where(np.isfinite(threshold), found, np.nan)[()]

    return value


def area_under_curve(s, edges):
    """Return the chance that a positive exceeds a negative, ties of a bin counted as half."""
    negatives, positives = s[..., 0], s[..., 1]
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    return ratio((positives * below).sum(axis=-1), positives.sum(axis=-1) * negatives.sum(axis=-1))
