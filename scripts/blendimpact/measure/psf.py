"""PSF photometry of many stamps at once: flux in every band, position in one."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from ..data.psf_shift import ShiftedPsf, equivalent_fwhm, unit_psf
from ..data.significance import BAD
from ..data.stamps import cut
from . import MEASUREMENTS
from .base import Measurement
from .photometry import BITS

RADIUS = 1.5  # of the disc that is fitted, in PSF FWHM: it has over 99 % of a point source's information
MAX_SHIFT = 1.0  # in PSF FWHM: further from the given centre it is another source
ITERATIONS = 30
TOLERANCE = 1e-4  # in chi^2: a hundredth of a position's standard deviation
_STEP = 0.25  # in PSF FWHM: most that one step moves a position


@dataclass
class PsfFit:
    """Point sources fitted to N stamps.

    Attributes
    ----------
    x, y : (N,) array
        Positions in pixels of the stamp.
    flux, flux_err : (N,) array
        Total flux and its standard deviation 1 / sqrt(sum P^2 / V) at that position; NaN without pixels.
    x_err, y_err : (N,) array
        Standard deviations of the position, the flux free.
    chi2 : (N,) array
        Reduced chi^2 in the disc.
    failed : (N,) bool array
        The position did not converge.
    left : (N,) bool array
        It went further than `MAX_SHIFT`.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    chi2: np.ndarray
    failed: np.ndarray
    left: np.ndarray


def response(psf):
    """Return what light at a distance adds to the flux of a point source that is fitted to a stamp.

    Of a faint neighbour, where the noise is uniform: the PSF about it, weighted as the fit weighs pixels. A fitted
    position changes nothing to first order, for the derivatives of a round PSF are orthogonal to it.

    Parameters
    ----------
    psf : (k, k) array
        On its pixels, odd k.

    Returns
    -------
    distance : (D,) array
        Pixels, from 0 on.
    weight : (D,) array
        Of the neighbour's flux; 1 at no distance.
    """
    middle = len(psf) // 2
    yy, xx = np.indices(psf.shape) - middle
    weights = np.where(xx**2 + yy**2 <= (RADIUS * equivalent_fwhm(psf)) ** 2, psf, 0)
    light = fftconvolve(psf, weights[::-1, ::-1], mode="same") / (weights**2).sum()
    return np.arange(middle + 1), light[middle, middle:]


class PsfWindow:
    """The disc about the central pixel of N stamps in one band.

    Parameters
    ----------
    stamps : (N, S, S) array
        Sky-subtracted, finite.
    image : BandImage
        For the PSF, the variance and the mask. Pixels outside of the image, without data or without a
        variance have no weight.
    x0, y0 : (N,) int array
        Pixel of the image that is each stamp's first.

    Attributes
    ----------
    pixels : (N,) int array
        Pixels with weight, of ``disc`` in all.
    """

    def __init__(self, stamps, image, x0, y0):
        psf = unit_psf(image)
        self.fwhm = equivalent_fwhm(psf)
        middle = stamps.shape[-1] // 2
        reach = RADIUS * self.fwhm if np.isfinite(self.fwhm) else 1.0
        half = min(int(np.ceil(reach)), middle, len(psf) // 2)
        self.shifted = ShiftedPsf(psf, half)
        self.middle, size = middle, 2 * half + 1
        inner = slice(middle - half, middle + half + 1)
        yy, xx = np.indices((size, size)) - half
        x1, y1 = np.asarray(x0) + middle - half, np.asarray(y0) + middle - half
        variance = cut(image.variance, x1, y1, size, 0).astype(float)
        good = (cut(image.mask & BAD, x1, y1, size, 1) == 0) & np.isfinite(variance) & (variance > 0)
        disc = xx**2 + yy**2 <= reach**2
        good &= disc
        self.disc = int(disc.sum())
        self.weight = np.where(good, 1 / np.where(good, variance, 1), 0)
        self.data = stamps[:, inner, inner].astype(float)
        self.pixels = good.sum(axis=(1, 2))
        self.total = np.einsum("nij,nij->n", self.weight, self.data**2)

    def templates(self):
        """Return P, dP/dx and dP/dy of a centred point source in the disc, (3, size, size).

        They are the weights of the pixels in its flux and position where the noise is uniform.
        """
        half = self.shifted.size // 2
        yy, xx = np.indices((self.shifted.size,) * 2) - half
        disc = xx**2 + yy**2 <= (RADIUS * self.fwhm if np.isfinite(self.fwhm) else 1.0) ** 2
        return self.shifted.draw([0.0], [0.0], derivatives=True)[0] * disc

    def fluxes(self, x, y):
        """Return flux, its standard deviation and the reduced chi^2 of point sources at given places.

        The best flux is sum P D / V over sum P^2 / V; ``x``, ``y`` in pixels of the stamp.
        """
        psf = self.shifted.draw(x - self.middle, y - self.middle)
        weighted = psf * self.weight
        norm = np.einsum("nij,nij->n", weighted, psf)
        norm = np.where(norm > 0, norm, np.nan)
        top = np.einsum("nij,nij->n", weighted, self.data)
        return top / norm, 1 / np.sqrt(norm), self._reduced(self.total - top**2 / norm, 1)

    def _reduced(self, chi2, parameters):
        free = self.pixels - parameters
        return np.where(free > 0, chi2 / np.maximum(free, 1), np.nan)

    def fit(self, x, y):
        """Fit flux and position, from the given centres, in pixels of the stamp.

        Gauss-Newton with Levenberg's damping on the positions, the flux solved exactly at each (variable
        projection): with flux f, normal matrix f^2 (M_kl - M_0k M_0l / M_00) and gradient f (g_k - f M_0k), where
        M and g are the weighted products of P, dP/dx, dP/dy among themselves and with the data. A step is taken
        only if it lowers chi^2. Where a fit fails the flux is that at the given centre.

        Returns
        -------
        PsfFit
        """
        start = np.column_stack([x, y]).astype(float)
        n = len(start)
        place, damping = start.copy(), np.full(n, 1e-3)
        matrix, gradient, chi2, error = (np.full(shape, np.nan) for shape in ((n, 2, 2), (n, 2), n, (n, 2)))
        done = np.zeros(n, bool)
        todo = np.arange(n)
        matrix[:], gradient[:], chi2[:] = self._linear(todo, place)
        todo = todo[np.isfinite(chi2)]
        for _ in range(ITERATIONS):
            diagonal = matrix[todo] * np.eye(2)
            step = _solve(matrix[todo] + damping[todo, None, None] * diagonal, gradient[todo])
            gain = np.einsum("nk,nk->n", step, gradient[todo])
            done[todo] = gain < TOLERANCE  # also where nothing can be gained; a NaN is never done
            active = np.isfinite(gain) & ~done[todo]
            todo, step = todo[active], step[active]
            if not len(todo):
                break
            step *= np.minimum(1, _STEP * self.fwhm / np.maximum(np.hypot(*step.T), 1e-12))[:, None]
            trial = place.copy()
            trial[todo] += step
            new = self._linear(todo, trial)
            better = new[2] < chi2[todo]
            taken = todo[better]
            place[taken] = trial[taken]
            for old, value in zip((matrix, gradient, chi2), new):
                old[taken] = value[better]
            damping[todo] = np.where(better, np.maximum(damping[todo] / 10, 1e-6), damping[todo] * 10)
            far = np.hypot(*(place[todo] - start[todo]).T) > MAX_SHIFT * self.fwhm
            todo = todo[~far]
        with np.errstate(invalid="ignore", divide="ignore"):
            determinant = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] ** 2
            error[:, 0] = np.sqrt(matrix[:, 1, 1] / determinant)
            error[:, 1] = np.sqrt(matrix[:, 0, 0] / determinant)
        left = np.hypot(*(place - start).T) > MAX_SHIFT * self.fwhm
        failed = ~done & ~left
        lost = failed | left | ~np.isfinite(error).all(axis=1)
        failed |= lost & ~left
        place[lost], error[lost] = start[lost], np.nan
        flux, flux_err, _ = self.fluxes(*place.T)
        reduced = self._reduced(self.total - (flux / flux_err) ** 2, 3)
        return PsfFit(*place.T, flux, flux_err, *error.T, reduced, failed, left)

    def _linear(self, rows, place):
        """Return normal matrix and gradient of the positions, and chi^2, of some of the stamps."""
        n, pixels = len(rows), self.shifted.size**2
        models = self.shifted.draw(*(place[rows] - self.middle).T, derivatives=True).reshape(n, 3, pixels)
        weighted = models * self.weight[rows].reshape(n, 1, pixels)
        products = weighted @ models.transpose(0, 2, 1)
        sides = (weighted @ self.data[rows].reshape(n, pixels, 1))[..., 0]
        norm = np.where(products[:, 0, 0] > 0, products[:, 0, 0], np.nan)
        flux = sides[:, 0] / norm
        cross = products[:, 0, 1:]
        matrix = flux[:, None, None] ** 2 * (
            products[:, 1:, 1:] - cross[:, :, None] * cross[:, None, :] / norm[:, None, None]
        )
        gradient = flux[:, None] * (sides[:, 1:] - flux[:, None] * cross)
        return matrix, gradient, self.total[rows] - flux * sides[:, 0]


def _solve(matrix, right):
    """Solve N systems of two equations; NaN where there is no solution."""
    determinant = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]
    determinant = np.where(determinant > 0, determinant, np.nan)
    return (
        np.column_stack(
            [
                matrix[:, 1, 1] * right[:, 0] - matrix[:, 0, 1] * right[:, 1],
                matrix[:, 0, 0] * right[:, 1] - matrix[:, 1, 0] * right[:, 0],
            ]
        )
        / determinant[:, None]
    )


@MEASUREMENTS.register("psf")
class PsfPhotometry(Measurement):
    """A point source fitted to every child: its position in the shape band, and fluxes of all bands there."""

    columns = {
        "flux_psf": (None, "flux of a point source at x_psf, y_psf, unit of the image"),
        "flux_psf_err": (None, "its standard deviation 1 / sqrt(sum P^2 / V); NaN for noiseless images"),
        "x_psf": ("pix", "position of the point source along axis 1, 0-based, fitted in the shape band"),
        "y_psf": ("pix", "the same along axis 2"),
        "x_psf_err": ("pix", "standard deviation of x_psf, the flux free; NaN for noiseless images"),
        "y_psf_err": ("pix", "standard deviation of y_psf"),
        "chi2_psf": (None, "reduced chi^2 of the point source in its disc; NaN for noiseless images"),
    }

    def measure(self, objects):
        """Return the columns of `columns`, and bits that say what became of the fit."""
        children, b = objects.children, objects.shape
        windows = [
            PsfWindow(stamps, image, children.x0, children.y0) for stamps, image in zip(objects.stamps, objects.images)
        ]
        fit = windows[b].fit(objects.stamp_x, objects.stamp_y)
        failed = fit.failed | objects.unusable
        flag = np.where(fit.left, BITS.PSF_LEFT, np.where(failed, BITS.PSF_NOT_CONVERGED, 0))[:, None]
        flag = flag | np.column_stack([np.where(w.pixels < w.disc, BITS.PSF_EDGE, 0) for w in windows])
        found = ~(fit.left | failed)
        _, *errors = objects.correlation(b).point_sources(windows[b], fit.flux_err, fit.x_err, fit.y_err)
        columns = {name: np.full((len(objects), len(windows)), np.nan) for name in self.columns}
        for name, origin, error in (("x", children.x0, errors[0]), ("y", children.y0, errors[1])):
            columns[f"{name}_psf"][:, b] = np.where(found, getattr(fit, name) + origin, np.nan)
            if not objects.noiseless:
                columns[f"{name}_psf_err"][:, b] = np.where(found, error, np.nan)
        for k, window in enumerate(windows):
            flux, error, chi2 = (fit.flux, fit.flux_err, fit.chi2) if k == b else window.fluxes(fit.x, fit.y)
            columns["flux_psf"][:, k] = flux
            if not objects.noiseless:
                columns["flux_psf_err"][:, k] = objects.correlation(k).point_sources(window, error)[0]
                columns["chi2_psf"][:, k] = chi2
        return {**columns, "flux_flag": flag}
