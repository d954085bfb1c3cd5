"""The PSF of a simulated image as a survey knows it: measured on stars that the same detector has elsewhere."""

import galsim
import numpy as np
from scipy import fft

from ..data.psf import draw_method, psf_object
from ..errors import StudyError
from .adopt.psf import fit_field, fit_moffat
from .adopt.stars import find_objects, select_stars

BRIGHTEST, COUNTS_SLOPE = 3000.0, 0.12
"""S/N of the brightest stars, which do not saturate, and the slope of star counts in log10 per mag at high Galactic
latitude, rounded [A]."""
LEAST_SNR = 100.0
"""S/N from which the PSF is measured on a star: that of `adopt.stars.select_stars`."""
PASSED = 0.02
"""Of the light, at a frequency: below it a PSF is taken from the profile that was fitted."""
_CELL = 56
"""Pixels between neighbouring stars, so that each is isolated."""


def measured_psf(image, sky_variance, number, rng):
    """Return the PSF of an image as it is measured on stars.

    The stars are drawn with the PSF of the image, and what is done to find, select, centre and stack them is what is
    done on real images. One PSF holds for the whole detector: that it does not vary is left known.

    Parameters
    ----------
    image : BandImage
        PSF and its model, gain, zero point.
    sky_variance : float
        Of a pixel, the image's square unit.
    number : int
        Stars. Their magnitudes follow the counts of stars between S/N `LEAST_SNR` and `BRIGHTEST`.
    rng : numpy.random.Generator

    Returns
    -------
    (k, k) array
        As ``image.psf``: k odd, unit sum.

    Raises
    ------
    StudyError
        If the selection leaves none.
    """
    plane, variance = _field(image, sky_variance, number, rng)
    bad = np.zeros(plane.shape, bool)
    objects, segmentation = find_objects(plane, np.sqrt(variance), bad)
    stars = select_stars(plane, bad, objects, segmentation, image.psf.shape[0], snr_min=LEAST_SNR)
    if not len(stars):
        raise StudyError(f"none of {number} stars is fit to measure the PSF on", "epochs.psf_stars", "give more")
    stacked = fit_field(stars, plane.shape[::-1], 0)[0]
    return smoothed(stacked / stacked.sum(), image.pixel_scale)


def smoothed(pixels, scale):
    """Return a PSF that was stacked without the noise that it has where a PSF lets nothing through.

    It is a Moffat profile and that part of the rest which lies at the frequencies that the profile lets through. An
    engine that divides by a PSF would make long kernels of the noise of the others.

    Parameters
    ----------
    pixels : (k, k) array
        k odd, unit sum.
    scale : float
        Arcsec per pixel.
    """
    size = pixels.shape[0]
    fit = fit_moffat(pixels, scale, elliptical=True)
    profile = galsim.Moffat(beta=fit["beta"], fwhm=fit["fwhm"]).shear(g1=fit["g1"], g2=fit["g2"])
    profile = profile.drawImage(nx=size, ny=size, scale=scale, dtype=float).array
    profile /= profile.sum()
    through = np.abs(fft.rfft2(profile)) ** 2
    rest = fft.irfft2(fft.rfft2(pixels - profile) * through / (through + PASSED**2), s=pixels.shape)
    rest *= np.hypot(*(np.indices(pixels.shape) - size // 2)) <= size // 2
    out = profile + rest
    return out / out.sum()


def _field(image, sky_variance, number, rng):
    """Return pixels and variance of a square with stars, one in each cell of a grid."""
    side = int(np.ceil(np.sqrt(number)))
    margin = image.psf.shape[0] // 2 + 16
    size = side * _CELL + 2 * margin
    # A count that is uniform; S/N on the sky, so without the noise of the star's own light.
    counts = rng.uniform(*np.power([BRIGHTEST, LEAST_SNR], -2.5 * COUNTS_SLOPE), number)
    snr = counts ** (-0.4 / COUNTS_SLOPE)
    flux = snr * np.sqrt(sky_variance / (image.psf**2).sum())
    scale, method = image.pixel_scale, draw_method(image.psf_model)
    psf = psf_object(image.psf_model, image.psf, scale)
    light, half = np.zeros((size, size)), _CELL // 2
    for k, total in enumerate(flux):
        row, column = (margin + half + _CELL * n for n in divmod(k, side))
        dx, dy = rng.uniform(-0.5, 0.5, 2) * scale
        stamp = psf.withFlux(total).shift(dx, dy).drawImage(nx=_CELL + 1, ny=_CELL + 1, scale=scale, method=method)
        light[row - half : row + half + 1, column - half : column + half + 1] += stamp.array
    variance = sky_variance + np.maximum(light, 0) / image.gain
    return light + np.sqrt(variance) * rng.standard_normal(light.shape), variance
