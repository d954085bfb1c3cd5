"""Fit the place and the shape of sources on a difference whose noise is correlated, many at once."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from ..data.flags import Bits
from ..data.psf_shift import equivalent_fwhm
from ..search.filters import FLOOR, LEAST, SEARCH_BITS, padded_filter
from ..subtract.kernels import odd_fast, transform
from ..subtract.linear import covariance, nearest, stamps

ITERATIONS = 40
TOLERANCE = 1e-4  # in chi^2: a hundredth of a standard deviation
STEP = 0.25  # in PSF FWHM: most that one step moves a position
TURN = 0.3  # rad: most that one step turns a trail
SHORT = 0.1  # in PSF FWHM: a trail that is shorter is a point
BITS = MEASURE_BITS = Bits(
    SEARCH_BITS
    | {
        4: ("NOT_CONVERGED", "the fit did not converge: nothing is measured"),
        5: (
            "LEFT",
            "the fit went further than a PSF FWHM (a trail: and its length) from its start: nothing is measured",
        ),
        6: ("UNRESOLVED", "no length of the trail is better than none: length 0, no angle; the flux is a point's"),
    }
)
_BLOCK = 2**23  # float64 numbers in the largest array


@dataclass
class Fit:
    """Sources fitted at N places; NaN where nothing is measured.

    Attributes
    ----------
    values, errors : (N, q) array
        x and y in pixels of the image, for trails also length (pixels) and angle (rad), and their standard errors.
    flux, flux_err : (N,) array
        The error is that with position and shape free.
    flag : (N,) int array
    """

    values: np.ndarray
    errors: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    flag: np.ndarray


class Canvas:
    """Stamps about N pixels, sources drawn on them, and their optimal filters.

    Parameters
    ----------
    difference : Difference
    i, j : (N,) int array
        Column and row of the central pixels.
    reach : float
        Pixels by which a source is larger than the PSF, to each side.
    """

    def __init__(self, difference, i, j, reach=0.0):
        self.difference, self.i, self.j = difference, i, j
        point = padded_filter(difference, difference.psf)[0].shape[0]
        self.size = point + 2 * int(np.ceil(reach))
        self.grid = odd_fast(self.size + 2)
        shape = (self.grid, self.grid)
        power = difference.power(self.grid)
        self.psf, self.inverse = transform(difference.psf, shape), 1 / np.maximum(power, FLOOR * power.max())
        self.ky, self.kx = 2 * np.pi * fft.fftfreq(self.grid)[:, None], 2 * np.pi * fft.rfftfreq(self.grid)
        self.good = stamps(difference.good, i, j, self.size)
        self.data = stamps(difference.image, i, j, self.size)

    def back(self, spectra):
        """Return the central pixels of spectra of any number of sources."""
        off = (self.grid - self.size) // 2
        array = fft.fftshift(fft.irfft2(spectra, s=(self.grid, self.grid)), axes=(-2, -1))
        return array[..., off : off + self.size, off : off + self.size]

    def sums(self, rows, spectra):
        """Filter the data optimally for each of p images of unit flux.

        Parameters
        ----------
        rows : (n,) int array
            Of the stamps.
        spectra : (n, p, g, g // 2 + 1) array

        Returns
        -------
        filters, images : (n, p, S, S) array
            Filters are 0 in pixels without data.
        matrix : (n, p, p) array
            sum filter_a x image_b.
        right : (n, p) array
            sum filter_a x data.
        """
        n, p = spectra.shape[:2]
        images = self.back(spectra)
        filters = self.back(spectra * self.inverse) * self.good[rows, None]
        flat = filters.reshape(n, p, -1)
        return (
            filters,
            images,
            flat @ images.reshape(n, p, -1).transpose(0, 2, 1),
            (flat @ self.data[rows].reshape(n, -1, 1))[..., 0],
        )

    def shares(self, rows, filters, images, spectrum):
        """Return how much of the first image's signal-to-noise ratio squared falls on pixels with data."""
        whole = (self.back(spectrum * self.inverse) * images[:, 0]).sum(axis=(1, 2))
        return (filters[:, 0] * images[:, 0]).sum(axis=(1, 2)) / whole


def longest(length, fwhm):
    """Return the length up to which a trail of that length at the start may grow."""
    return 1.5 * length + 2 * fwhm


def trails(canvas, values):
    """Return the spectra of a trail of unit flux and of its derivatives by x, y, length and angle."""
    x, y, length, angle = (values[:, k, None, None] for k in range(4))
    cos, sin = np.cos(angle), np.sin(angle)
    along, across = canvas.kx * cos + canvas.ky * sin, canvas.ky * cos - canvas.kx * sin
    half = 0.5 * along * length
    small = np.abs(half) < 1e-3
    safe = np.where(small, 1, half)
    line = np.where(small, 1 - half**2 / 6, np.sin(safe) / safe)
    slope = np.where(small, -half / 3, (np.cos(safe) - line) / safe)  # of the line by half
    point = canvas.psf * np.exp(-1j * (canvas.kx * x + canvas.ky * y))
    drawn = point * line
    return np.stack(
        [
            drawn,
            -1j * canvas.kx * drawn,
            -1j * canvas.ky * drawn,
            point * slope * (0.5 * along),
            point * slope * (0.5 * across * length),
        ],
        axis=1,
    )


def points(canvas, values):
    """Return the spectra of a point source of unit flux and of its derivatives by x and y."""
    x, y = values[:, 0, None, None], values[:, 1, None, None]
    drawn = canvas.psf * np.exp(-1j * (canvas.kx * x + canvas.ky * y))
    return np.stack([drawn, -1j * canvas.kx * drawn, -1j * canvas.ky * drawn], axis=1)


def fit(difference, x, y, shape=None, draw=points, reach=0.0):
    """Fit sources of unknown place, flux and maybe shape.

    With M the model of unit flux and its derivatives by the parameters, and G = M / (power of the noise) in Fourier
    space, 0 in pixels without data, the solution has sum G (D - f M) = 0 for each: maximum likelihood for noise of
    this power, and without bias to first order for any other noise and mask. Newton's steps
    with the matrix sum G M are limited in size, and become smaller where they go to and fro. The errors are
    those of sums of the data with the weights G under the noise as it is.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Start, inside of the image.
    shape : (N, 2) array, optional
        Start of length and angle.
    draw : callable
        From a canvas and (n, q) parameters, positions relative to the central pixel, to (n, 1 + q, ...) spectra.
    reach : float
        See `Canvas`.

    Returns
    -------
    Fit
    """
    i, j = nearest(x, y)
    begin = np.column_stack([x - i, y - j] + ([] if shape is None else [shape]))
    n, q = begin.shape
    out = Fit(
        np.full((n, q), np.nan), np.full((n, q), np.nan), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int32)
    )
    size = padded_filter(difference, difference.psf)[0].shape[0] + 2 * int(np.ceil(reach))
    for rows in np.array_split(np.arange(n), max(1, -(-n * (1 + q) * size**2 // _BLOCK))):
        canvas = Canvas(difference, i[rows], j[rows], reach)
        values, out.flag[rows] = _iterate(canvas, begin[rows], draw)
        usable = out.flag[rows] & (BITS.LOST | BITS.NOT_CONVERGED | BITS.LEFT | BITS.UNRESOLVED) == 0
        if usable.any():
            _finish(canvas, np.flatnonzero(usable), values[usable], draw, out, rows[usable])
    return out


def _iterate(canvas, begin, draw):
    """Return the parameters where the iteration ends, and flags."""
    n, q = begin.shape
    fwhm = equivalent_fwhm(canvas.difference.psf)
    values, before, pace = begin.copy(), np.zeros((n, q)), np.ones(n)
    flag = np.where(canvas.good.all(axis=(1, 2)), 0, BITS.MASKED)
    far = fwhm + (0.5 * begin[:, 2] if q > 2 else np.zeros(n))
    todo = np.arange(n)
    for number in range(ITERATIONS):
        if not len(todo):
            break
        spectra = draw(canvas, values[todo])
        filters, images, matrix, right = canvas.sums(todo, spectra)
        if number == 0:
            lost = ~(canvas.shares(todo, filters, images, spectra[:, 0]) > LEAST)
            flag[lost] |= BITS.LOST
        else:
            lost = np.zeros(len(todo), dtype=bool)
        step, gain = _step(matrix, right)
        done = gain < TOLERANCE
        bad = ~np.isfinite(gain) | lost
        flag[todo[bad & ~lost]] |= BITS.NOT_CONVERGED
        go = ~done & ~bad
        todo, step = todo[go], step[go]
        pace[todo] = np.where((step * before[todo]).sum(axis=1) < 0, pace[todo] / 2, np.minimum(1, 1.5 * pace[todo]))
        before[todo] = step
        step = _limit(step * pace[todo, None], values[todo], fwhm)
        length = values[todo, 2:3]
        values[todo] += step
        ended = np.hypot(*(values[todo] - begin[todo])[:, :2].T) > far[todo]
        flag[todo[ended]] |= BITS.LEFT
        if q > 2:
            # What the data know of a short trail is its length squared.
            square = length * (length + 2 * step[:, 2:3])
            values[todo, 2:3] = np.where(square > 0, np.sqrt(np.maximum(square, 0)), length / 2)
            long, short = values[todo, 2] > longest(begin[todo, 2], fwhm), values[todo, 2] < SHORT * fwhm
            flag[todo[long]] |= BITS.LEFT
            flag[todo[short & ~ended]] |= BITS.UNRESOLVED
            ended |= long | short
        todo = todo[~ended]
    flag[todo] |= BITS.NOT_CONVERGED
    return values, flag


def _step(matrix, right):
    """Return Newton's step of the parameters with the best flux for each, and the gain in chi^2 that it promises."""
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = right[:, 0] / matrix[:, 0, 0]
        rest = right - flux[:, None] * matrix[:, :, 0]
        moved = solve(matrix, rest)
        return moved[:, 1:] / flux[:, None], (moved * rest).sum(axis=1)


def solve(matrix, right):
    """Solve N systems of equations, (N, p, p) and (N, p) or (N, p, p); NaN where there is no solution."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / np.sqrt(np.einsum("nkk->nk", matrix))
    scaled = matrix * scale[:, :, None] * scale[:, None, :]
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(scaled).all(axis=(1, 2))
    scaled[bad] = np.eye(matrix.shape[1])
    bad |= np.linalg.cond(scaled) > 1e10
    scaled[bad] = np.eye(matrix.shape[1])
    scale = np.where(bad[:, None], np.nan, scale)
    if right.ndim == 2:
        return scale * np.linalg.solve(scaled, (scale * right)[..., None])[..., 0]
    return scale[:, :, None] * np.linalg.solve(scaled, scale[:, :, None] * right)


def _limit(step, values, fwhm):
    """Shorten steps that are too long for a Taylor series."""
    size = np.hypot(step[:, 0], step[:, 1]) / (STEP * fwhm)
    if values.shape[1] > 2:
        size = np.maximum(size, np.abs(step[:, 2]) / (STEP * (fwhm + values[:, 2])))
        size = np.maximum(size, np.abs(step[:, 3]) / TURN)
    return step / np.maximum(size, 1)[:, None]


def _finish(canvas, rows, values, draw, out, places):
    """Put parameters and errors of the stamps ``rows`` into the rows ``places`` of a fit."""
    filters, _, matrix, right = canvas.sums(rows, draw(canvas, values))
    noise = covariance(canvas.difference, canvas.i[rows], canvas.j[rows], filters)
    half = solve(matrix, noise)
    errors = np.sqrt(np.einsum("nkk->nk", solve(matrix, half.transpose(0, 2, 1))))
    flux = right[:, 0] / matrix[:, 0, 0]
    out.values[places], out.errors[places] = values, errors[:, 1:] / np.abs(flux)[:, None]
    out.values[places, :2] += np.column_stack([canvas.i, canvas.j])[rows]
    out.flux[places], out.flux_err[places] = flux, errors[:, 0]
