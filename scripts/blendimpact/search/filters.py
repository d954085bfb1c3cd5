"""What is found and measured on a difference: matched filter, peaks of both signs, forced photometry, trails."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from scipy.ndimage import maximum_filter, minimum_filter

from ..data.catalogues import describe
from ..data.flags import Bits
from ..subtract.kernels import Filter, kernel_of, odd_fast, shifted, transform, trim
from ..subtract.linear import covariance, inside, nearest, stamps
from .shapes import bank, coma_shape, trail

__all__ = [
    "BITS",
    "COLUMNS",
    "SEARCH_BITS",
    "Filtered",
    "bank",
    "coma_shape",
    "forced",
    "matched_filter",
    "optimal_filter",
    "search",
    "trail",
]

BITS = SEARCH_BITS = Bits(
    {
        0: ("MASKED", "part of the filter falls on pixels without data"),
        1: ("LOST", "more than half of the filter falls on pixels without data: nothing is measured"),
        2: ("OUTSIDE", "the position is off the image or not finite: nothing is measured"),
        3: ("PEAK_POSITION", "no parabola through the nine pixels: position and height are the peak pixel's"),
    }
)
LEAST = 0.5  # of the filter's weight must fall on pixels with data
FLOOR = 1e-3  # of the noise power's maximum
_BLOCK = 64  # positions measured at a time

COLUMNS = {
    "cand_id": (None, "number of the candidate, > 0, from the most significant"),
    "x": ("pix", "position along axis 1, 0-based"),
    "y": ("pix", "position along axis 2, 0-based"),
    "flux": (None, "flux in the science image's unit, negative where the source has faded"),
    "flux_err": (None, "its standard error"),
    "snr": (None, "signal-to-noise ratio of the matched filter at its extremum, with sign"),
    "length": ("pix", "length of the trail whose filter fits best, 0 is none"),
    "angle": ("rad", "its angle, counterclockwise from the x axis; 0 if it is none"),
    "shape": (None, "which filter fits best: 0 the point, then trails, then other shapes, in the order given"),
    "flag": (None, "bits of blendimpact.search.filters.SEARCH_BITS"),
}


@dataclass
class Filtered:
    """A difference after a matched filter.

    Attributes
    ----------
    flux, error : (ny, nx) float32 array
        Flux of a source centred on each pixel and its standard error, in the science image's unit; 0 and infinite
        where less than `LEAST` of the filter has data.
    fraction : (ny, nx) float32 array
        Share of the filter's weight that falls on pixels with data.
    """

    flux: np.ndarray
    error: np.ndarray
    fraction: np.ndarray

    @property
    def snr(self):
        """Signal-to-noise ratio: (ny, nx) float32 array."""
        return self.flux / self.error


def optimal_filter(difference, source):
    """Return the filter g, with g = source / noise power in Fourier space, on an odd square.

    A flux is sum g D / sum g source: the best linear one for noise of this power.
    """
    size = odd_fast(difference.grid() + 2 * (source.shape[0] // 2))
    power = difference.power(size)
    # Where there is hardly any noise there is no light either: only rounding would be amplified.
    g = kernel_of(transform(source, (size, size)) / np.maximum(power, FLOOR * power.max()), size)
    return trim(g / g.sum(), 1e-3)


def _under(filter_, noise):
    """Return the weight of each pixel of the white noise in a filtered pixel."""
    size = odd_fast(filter_.shape[0] + 2 * (noise.kernel.shape[0] // 2))
    return kernel_of(transform(filter_, (size, size)) * np.conj(transform(noise.kernel, (size, size))), size)


def _norm(filter_, source):
    """Return g times the source, on the filter's square."""
    half, own = filter_.shape[0] // 2, source.shape[0] // 2
    if own < half:
        source = np.pad(source, half - own)
    else:
        source = source[own - half : own + half + 1, own - half : own + half + 1]
    return filter_ * source


class _Planes:
    """Transforms of the planes of a difference, which serve filters of any shape up to ``half`` pixels."""

    def __init__(self, difference, half):
        self.run, self.half = Filter(difference.image.shape, half), half
        self.good = self.run.image(difference.good).astype(np.complex64)  # digits enough for a share
        self.image = self.run.image(difference.image)
        self.variances = [self.run.image(n.variance) for n in difference.noise]
        moves = difference.static is not None and difference.registration
        self.static = self.run.image(difference.static) if moves else None

    def spectrum(self, kernel):
        """Return what the transform of a plane is multiplied by to correlate it with a kernel."""
        return np.conj(transform(kernel, self.run.grid))

    def share(self, spectrum):
        """Return the share of non-negative weights that falls on pixels with data."""
        return self.run.back(self.good * (spectrum / spectrum[0, 0]).astype(np.complex64))


def matched_filter(difference, source=None):
    """Filter a difference for sources of one shape.

    The error of each pixel is that of all terms of `Difference.noise` with their own variances: correlation,
    varying depth and photon noise of the subtracted sources are in it. If `Difference.registration` is not 0, the
    variance gains (registration x gradient of the filtered static light)^2 along each axis. For images whose own noise
    is correlated, as that of resampled ones is, see `search.own_noise.own_noise`.

    Parameters
    ----------
    difference : Difference
    source : (k, k) array, optional
        Shape on the difference, unit sum; the PSF by default. See `trail` and `coma_shape`.

    Returns
    -------
    Filtered
    """
    return next(_filtered(difference, [difference.psf if source is None else source]))


def _filtered(difference, sources):
    """Yield the `Filtered` of sources of several shapes."""
    if not difference.good.any():
        empty = np.zeros(difference.image.shape, np.float32)
        for _ in sources:
            yield Filtered(empty, empty + np.float32(np.inf), empty)
        return
    planes = None
    for source in sources:
        g = optimal_filter(difference, source)
        under = [trim(_under(g, n), 1e-3) for n in difference.noise]
        half = max(k.shape[0] // 2 for k in (g, *under))
        if planes is None or planes.half < half:
            planes = _Planes(difference, half)
        yield _apply(difference, planes, source, g, under)


def _apply(difference, planes, source, g, under):
    """Return the `Filtered` of one filter; ``under``: weights of the white noise of each term."""
    weight = _norm(g, source)
    total = weight.sum()
    back, filter_, squares = planes.run.back, planes.spectrum(g), planes.spectrum(g**2)
    # Of the noise, what the pixels without data would have added is left out in proportion to the filter's squares.
    share = planes.share(squares)
    if all(n.kernel.shape == (1, 1) for n in difference.noise):  # white: the filter is the source, but for a factor
        fraction = share
        variance = back(sum(v * n.kernel[0, 0] ** 2 for v, n in zip(planes.variances, difference.noise)) * squares)
    else:
        fraction = planes.share(planes.spectrum(weight))
        variance = back(sum(v * planes.spectrum(k**2) for v, k in zip(planes.variances, under)))
    variance = np.maximum(variance * share, 0)
    if planes.static is not None:
        slopes = np.gradient(back(planes.static * filter_))
        variance = variance + difference.registration**2 * sum(s**2 for s in slopes)
    use = (fraction > LEAST) & (variance > 0)
    norm = total * np.where(use, fraction, 1)
    flux = np.where(use, back(planes.image * filter_) / norm, 0)
    error = np.where(use, np.sqrt(np.where(use, variance, 1)) / norm, np.inf)
    return Filtered(flux.astype(np.float32), error.astype(np.float32), fraction.astype(np.float32))


def search(difference, threshold=5.0, trails=(), shapes=()):
    """Find sources of either sign.

    An extremum of the 3x3 pixels of the matched filter's signal-to-noise ratio is a candidate if the height of the
    parabola through them is beyond the threshold: the highest pixel alone would miss a quarter of the peaks of noise.

    Parameters
    ----------
    difference : Difference
    threshold : float
        Signal-to-noise ratio.
    trails : sequence of (length, angle)
        Trails looked for beside points, in pixels and radians; each pixel takes the most significant.
    shapes : sequence of (k, k) array
        Further shapes, unit sum, k odd.

    Returns
    -------
    astropy.table.Table
        `COLUMNS`. Fluxes are those of the filter that fits best, at the extremum.
    """
    lines = [(0.0, 0.0), *trails, *[(0.0, 0.0)] * len(shapes)]
    sources = [difference.psf, *(trail(difference.psf, *line) for line in trails), *shapes]
    snr = np.zeros(difference.image.shape, np.float32)
    error, fraction = np.full(snr.shape, np.inf, np.float32), np.zeros(snr.shape, np.float32)
    which = np.zeros(snr.shape, np.int16)
    for number, filtered in enumerate(_filtered(difference, sources)):
        new = filtered.snr
        better = np.abs(new) > np.abs(snr) if number else np.ones(snr.shape, bool)
        snr[better], error[better], which[better] = new[better], filtered.error[better], number
        fraction[better] = filtered.fraction[better]
    parts = []
    for sign, extreme in ((1, maximum_filter), (-1, minimum_filter)):
        # A parabola adds little to a pixel that is far below the threshold.
        peaks = (sign * snr > 0.8 * threshold) & (snr == extreme(snr, size=3, mode="nearest"))
        parts.append(_vertices(sign * snr, np.argwhere(peaks)) + (sign,))
    rows, x, y, height, lost, sign = (
        np.concatenate(p) for p in zip(*((*part[:-1], np.full(len(part[0]), part[-1])) for part in parts))
    )
    order = np.flatnonzero(height > threshold)
    order = order[np.argsort(-height[order], kind="stable")]
    place = tuple(rows[order].T)
    snr = (sign * height)[order]
    line = np.array(lines)[which[place]].reshape(-1, 2)
    flag = np.where(lost[order], BITS.PEAK_POSITION, 0) | np.where(fraction[place] < 0.999, BITS.MASKED, 0)
    table = Table(
        {
            "cand_id": np.arange(1, len(order) + 1),
            "x": x[order],
            "y": y[order],
            "flux": snr * error[place],
            "flux_err": error[place].astype(float),
            "snr": snr,
            "length": line[:, 0],
            "angle": line[:, 1],
            "shape": which[place].astype(np.int32),
            "flag": flag.astype(np.int32),
        }
    )
    return describe(table, COLUMNS)


def _vertices(image, peaks):
    """Return peaks, x, y and height of the parabolas through the pixels about them, and where there is none."""
    padded = np.pad(image, 1, mode="edge").astype(float)
    p = np.array([[padded[peaks[:, 0] + j, peaks[:, 1] + i] for i in range(3)] for j in range(3)])
    gy, gx = (p[2, 1] - p[0, 1]) / 2, (p[1, 2] - p[1, 0]) / 2
    yy, xx = p[2, 1] + p[0, 1] - 2 * p[1, 1], p[1, 2] + p[1, 0] - 2 * p[1, 1]
    xy = (p[2, 2] + p[0, 0] - p[2, 0] - p[0, 2]) / 4
    det = xx * yy - xy**2
    edge = (peaks == 0).any(axis=1) | (peaks == np.array(image.shape) - 1).any(axis=1)
    lost = ~((det > 0) & (xx < 0)) | edge
    det = np.where(lost, 1, det)
    dx, dy = (xy * gy - yy * gx) / det, (xy * gx - xx * gy) / det
    lost |= np.maximum(np.abs(dx), np.abs(dy)) > 1
    dx, dy = np.where(lost, 0, dx), np.where(lost, 0, dy)
    return peaks, peaks[:, 1] + dx, peaks[:, 0] + dy, p[1, 1] + 0.5 * (gx * dx + gy * dy), lost


def forced(difference, x, y, source=None):
    """Measure the flux of sources of one shape at given positions.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Pixels, 0-based.
    source : (k, k) array, optional
        Shape on the difference, unit sum; the PSF by default.

    Returns
    -------
    astropy.table.Table
        ``x``, ``y``, ``flux``, ``flux_err`` (science image's unit; NaN where nothing is measured), ``snr``, ``flag``,
        in the order of the positions. The error is exact for the noise of the difference, masked pixels included;
        the `registration` term is not in it.
    """
    x, y = (np.atleast_1d(np.asarray(c, dtype=float)) for c in (x, y))
    flux, error = np.full((2, len(x)), np.nan)
    here = inside(difference.image.shape, x, y)
    flag = np.where(here, 0, BITS.OUTSIDE).astype(np.int32)
    if here.any() and difference.good.any():
        g, source = padded_filter(difference, difference.psf if source is None else source)
        for rows in np.array_split(np.flatnonzero(here), -(-here.sum() // _BLOCK)):
            flux[rows], error[rows], flag[rows] = _forced(difference, x[rows], y[rows], g, source)
    elif here.any():
        flag[here] |= BITS.LOST
    table = Table({"x": x, "y": y, "flux": flux, "flux_err": error, "snr": flux / error, "flag": flag})
    return describe(table, {name: COLUMNS[name] for name in table.colnames})


def _forced(difference, x, y, g, source):
    """Return flux, error and flag of a block of positions inside of the image."""
    i, j, filters, norm, flag = filters_at(difference, x, y, g, source)
    data = stamps(difference.image, i, j, filters.shape[-1])
    variance = covariance(difference, i, j, filters[:, None])[:, 0, 0]
    return (filters * data).sum(axis=(1, 2)) / norm, np.sqrt(variance) / norm, flag


def padded_filter(difference, source):
    """Return the `optimal_filter` of a source, and the source, on squares that have room for a shift."""
    g = optimal_filter(difference, source)
    half = max(g.shape[0], source.shape[0]) // 2 + 1
    return tuple(np.pad(k, half - k.shape[0] // 2) for k in (g, source))


def filters_at(difference, x, y, g, source):
    """Move a filter to positions inside of the image.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
    g, source : (k, k) array
        From `padded_filter`.

    Returns
    -------
    i, j : (N,) int array
        Column and row of the stamps' central pixels.
    filters : (N, k, k) array
        0 in pixels without data.
    norm : (N,) array
        sum filter x source; NaN where too little of the filter has data.
    flag : (N,) int array
        Bits of `SEARCH_BITS`.
    """
    i, j = nearest(x, y)
    filters, sources = (shifted(k, x - i, y - j) for k in (g, source))
    good = stamps(difference.good, i, j, g.shape[0])
    whole = (filters * sources).sum(axis=(1, 2))
    filters = filters * good
    norm = (filters * sources).sum(axis=(1, 2))
    lost = norm <= LEAST * whole
    flag = np.where(good.all(axis=(1, 2)), 0, BITS.MASKED) | np.where(lost, BITS.LOST, 0)
    return i, j, filters, np.where(lost, np.nan, norm), flag
