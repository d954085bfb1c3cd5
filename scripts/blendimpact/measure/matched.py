"""Fluxes under one Gaussian on the sky as it is before any PSF: colours that no PSF changes."""

import numpy as np

from ..config.options import Positive
from ..data.psf_shift import ShiftedPsf, unit_psf
from ..data.significance import BAD
from ..data.stamps import cut
from ..errors import StudyError
from . import MEASUREMENTS
from .base import Measurement

FLOOR = 1e-3
"""Of the PSF's Fourier transform: below it the noise of a measured PSF is not divided by."""
MOST_LOST = 0.01
"""Share of the weight, in squares, on pixels without data from which a flux is missing."""


def matched_weights(psf, sigma):
    """Return the weights of pixels whose sum over an image is the light under a Gaussian before the PSF.

    With w~ = G~ / conj(P~) the sum over pixels of w (P * f) is the integral of G f: the light of the sky f under
    G = exp(-r^2 / 2 sigma^2), whatever the PSF P is. Of a point source that is its flux. It is what photometry on
    images that were brought to a common Gaussian PSF measures (GAaP, Kuijken 2008), with the weights taken to the
    original pixels, whose noise is known.

    Parameters
    ----------
    psf : (k, k) array
        On its pixels, k odd, centred.
    sigma : float
        Of the Gaussian, in pixels.

    Returns
    -------
    (k, k) array
    """
    half = len(psf) // 2
    axis = np.arange(-half, half + 1)
    gauss = np.exp(-0.5 * (axis[:, None] ** 2 + axis**2) / sigma**2)
    light, wanted = (np.fft.fft2(np.fft.ifftshift(plane)) for plane in (psf, gauss))
    return np.fft.fftshift(np.fft.ifft2(wanted * light / (np.abs(light) ** 2 + FLOOR**2)).real)


@MEASUREMENTS.register("matched")
class MatchedPhotometry(Measurement):
    """Flux under a round Gaussian about the given centre, on the sky before the PSF, in every band alike.

    Parameters
    ----------
    sigma : float
        Of the Gaussian, arcsec; more than the widest PSF's, for the weights would amplify noise.
    """

    columns = {
        "flux_matched": (
            None,
            "flux under a Gaussian before the PSF, 1 at the centre, of one width in all bands; NaN without data",
        ),
        "flux_matched_err": (None, "its standard deviation from the pixels' variance; NaN for noiseless images"),
    }

    def __init__(self, sigma: Positive = 0.6):
        self.sigma = sigma

    def measure(self, objects):
        """Return the columns of `columns`."""
        if self.sigma / objects.scale < max(objects.psf_sigmas.values()):
            widest = max(objects.psf_sigmas.values()) * objects.scale
            raise StudyError(
                f"a Gaussian of sigma {self.sigma} arcsec is narrower than the widest PSF ({widest:.2f})",
                "measure.measurements.matched.sigma",
                f"give more than {widest:.2f}",
            )
        parts = (self._of_band(objects, k) for k in range(len(objects.bands)))
        flux, error = (np.column_stack(columns) for columns in zip(*parts))
        return {"flux_matched": flux, "flux_matched_err": np.full_like(flux, np.nan) if objects.noiseless else error}

    def _of_band(self, objects, k):
        """Return fluxes and their errors, (N,), in band number ``k``."""
        image, middle = objects.images[k], objects.stamps.shape[-1] // 2
        centred = matched_weights(unit_psf(image), self.sigma / objects.scale)
        half = min(middle, len(centred) // 2)
        inner = slice(middle - half, middle + half + 1)
        weights = ShiftedPsf(centred, half).draw(objects.stamp_x - middle, objects.stamp_y - middle)
        flux = np.einsum("nij,nij->n", weights, objects.stamps[k][:, inner, inner])
        squares, variance = weights**2, objects.variances(k)[:, inner, inner]
        x0, y0 = (origin + middle - half for origin in (objects.children.x0, objects.children.y0))
        empty = (variance <= 0) | (cut(image.mask & BAD, x0, y0, 2 * half + 1, 1) != 0)
        lost = np.einsum("nij,nij->n", squares, empty) > MOST_LOST * squares.sum(axis=(1, 2))
        error = np.sqrt(np.einsum("nij,nij->n", squares, variance))
        missing = lost | ~objects.good[k]
        error = objects.correlation(k).sums(error, centred)
        return np.where(missing, np.nan, flux), np.where(missing, np.nan, error)
