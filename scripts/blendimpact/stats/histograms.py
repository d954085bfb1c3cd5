"""Histograms that add up over blocks of sky: their edges, and quantiles and scatters made of them."""

import numpy as np
from scipy import special


def residual_edges(limit, scale, n_bins):
    """Return bin edges for residuals: equal bins within ``scale`` of 0, relative ones beyond.

    Parameters
    ----------
    limit : float
        Outermost edges.
    scale : float
        Where the bins change from equal to relative width.
    n_bins : int
        Odd: a bin is centred on 0. Even: 0 is an edge.

    Returns
    -------
    (n_bins + 1,) array
        scale sinh(u), u equidistant; the bins at 0 are about 2 scale asinh(limit / scale) / n_bins wide.
    """
    half = np.arcsinh(limit / scale)
    return scale * np.sinh(np.linspace(-half, half, n_bins + 1))


def histogram(values, edges):
    """Return counts per bin, (len(edges) - 1,); the end bins are open, so no finite value is lost."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(bins, minlength=len(edges) - 1)


def resolution(edges, value):
    """Return the width of the bin that holds ``value``: what its histogram cannot tell apart."""
    bins = np.clip(np.searchsorted(edges, value, side="right") - 1, 0, len(edges) - 2)
    return np.where(np.isfinite(value), np.diff(edges)[bins], np.nan)[()]


def quantile_from_histogram(edges, counts, q):
    """Return a quantile from histograms that share their edges.

    Parameters
    ----------
    edges : (K + 1,) array
    counts : (..., K) array
        Summed histograms, e.g. one per resample. The end bins are open (`histogram`).
    q : float

    Returns
    -------
    (...) array
        Linear inside the bin, so wrong by at most the width of that bin (`resolution`); where a gap of empty
        bins separates the lower and the upper quantile, their mean. NaN for an empty histogram, and where
        the quantile falls in an open bin.
    """
    edges, counts = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    cumulative = np.cumsum(counts, axis=-1)
    target = q * cumulative[..., -1:]
    found = []
    for reached in (cumulative >= target, cumulative > target):
        bins = np.argmax(reached, axis=-1)
        inside = np.take_along_axis(counts, bins[..., None], axis=-1)[..., 0]
        before = np.take_along_axis(cumulative, bins[..., None], axis=-1)[..., 0] - inside
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(inside > 0, (target[..., 0] - before) / inside, 1.0)
        value = edges[bins] + part * (edges[bins + 1] - edges[bins])
        is_open = (bins == 0) | (bins == counts.shape[-1] - 1)
        found.append(np.where(is_open | ~reached.any(axis=-1), np.nan, value))
    lower, upper = found
    # At q = 1 nothing lies above: the upper one does not exist.
    upper = np.where(target[..., 0] >= cumulative[..., -1], lower, upper)
    return np.where(cumulative[..., -1] > 0, 0.5 * (lower + upper), np.nan)[()]


def nmad_from_histogram(edges, counts):
    """Return the normalised median absolute deviation from histograms that share their edges.

    Parameters
    ----------
    edges, counts
        As in `quantile_from_histogram`.

    Returns
    -------
    (...) array
        1.4826 h, where h is the half width about the median that holds half of the counts; wrong by at most
        1.4826 times the wider of the bins at its ends and at the median. NaN where the median is, and where
        an end falls in an open bin that is not empty.
    """
    edges, counts = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    middle = np.atleast_1d(quantile_from_histogram(edges, counts, 0.5))
    shape, last = middle.shape, counts.shape[-1]
    upto = np.zeros((*counts.shape[:-1], last + 1))
    np.cumsum(counts, axis=-1, out=upto[..., 1:])
    middle, flat, start = middle.ravel(), upto.ravel(), np.arange(middle.size) * (last + 1)
    total = flat[start + last]
    goal = 0.5 * total * (1 - 1e-12)  # rounding must not lead over a gap that begins where half is reached

    def below(x):
        bins = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, last - 1)
        part = np.clip((x - edges[bins]) / (edges[bins + 1] - edges[bins]), 0, 1)
        return flat[start + bins] + part * (flat[start + bins + 1] - flat[start + bins])

    def right(edge):  # half width to an edge above the median, and the counts within
        half = edges[edge] - middle
        return half, flat[start + edge] - below(middle - half)

    def left(edge):
        half = middle - edges[last - edge]
        return half, below(middle + half) - flat[start + last - edge]

    # The counts within grow with the half width, linear between two widths at which an edge is passed on either side.
    low, high = np.zeros(middle.shape), np.full(middle.shape, edges[-1] - edges[0])
    at_low, at_high = np.zeros(middle.shape), total
    for side in (right, left):
        short, enough = np.full(middle.shape, -1), np.full(middle.shape, last + 1)
        for _ in range(int(last + 1).bit_length()):
            edge = np.clip((short + enough) // 2, 0, last)
            half, within = side(edge)
            less = within < goal
            closer = less & (half > low), ~less & (half < high)
            low, at_low = (np.where(closer[0], new, old) for new, old in ((half, low), (within, at_low)))
            high, at_high = (np.where(closer[1], new, old) for new, old in ((half, high), (within, at_high)))
            short = np.where(less, np.maximum(edge, short), short)
            enough = np.where(less, enough, np.minimum(edge, enough))
    with np.errstate(invalid="ignore", divide="ignore"):
        half = low + np.clip((0.5 * total - at_low) / (at_high - at_low), 0, 1) * (high - low)
    outside = (middle + half > edges[-2]) & (counts[..., -1].ravel() > 0)
    outside |= (middle - half < edges[1]) & (counts[..., 0].ravel() > 0)
    nmad = np.where(outside | np.isnan(middle), np.nan, half / special.ndtri(0.75))
    return nmad.reshape(shape) if counts.ndim > 1 else nmad[0]
