"""Fluxes in apertures, of many stamps in one call of SEP."""

import numpy as np
import sep

from ..data.flags import Bits
from ..errors import StudyError

BITS = FLUX_BITS = Bits(
    {
        0: ("NOT_FINITE", "a pixel is not a finite number; it counts as 0"),
        1: ("APERTURE_EDGE", "the circular aperture reaches outside of the image"),
        2: ("KRON_EDGE", "the Kron aperture reaches outside of the image"),
        3: ("KRON_NO_MOMENTS", "no usable moments: the Kron ellipse is a circle of the PSF's size"),
        4: ("KRON_FAILED", "no positive Kron radius: the least radius is used"),
        5: ("KRON_CUT", "the Kron aperture was made smaller to fit in the stamp"),
        6: ("PSF_NOT_CONVERGED", "the position of the PSF fit did not converge: flux_psf is that at the given centre"),
        7: (
            "PSF_LEFT",
            "the PSF fit went further than a PSF FWHM from the given centre: flux_psf is that at the centre",
        ),
        8: ("PSF_EDGE", "the disc of the PSF fit has pixels outside of the image or without data"),
    }
)
LEAST_AXIS_RATIO = 0.1
KRON_EXTENT = 6.0  # ellipses within which the Kron radius is measured, as in SExtractor
PSF_RADII = 3.5  # least Kron aperture in standard deviations of the PSF: 99.8 % of a Gaussian's light


def _tall(stamps):
    """Return N stamps on top of each other as one image: SEP then needs one call for all."""
    n, size, _ = stamps.shape
    return np.ascontiguousarray(stamps).reshape(n * size, size)


def _rows(y, size):
    return np.asarray(y, dtype=float) + size * np.arange(len(y))


def largest_radius(size):
    """Return the largest radius in pixels that fits in a stamp of ``size`` from any centre.

    A centre is up to half a pixel from the middle of the central pixel. Beyond this radius an
    aperture would take pixels of the next stamp.
    """
    return (size - 1) / 2


def circular(stamps, variances, x, y, radius):
    """Return flux and error in a circular aperture with exact pixel overlaps.

    Parameters
    ----------
    stamps, variances : (N, S, S) array
        Sky-subtracted images and the variance of their pixels.
    x, y : (N,) array
        Centres in pixels of the stamp, within half a pixel of the middle of the central pixel.
    radius : float
        In pixels.

    Returns
    -------
    flux, error : (N,) array

    Raises
    ------
    StudyError
        If the aperture does not fit in the stamp.
    """
    size = stamps.shape[-1]
    if radius > largest_radius(size):
        raise StudyError(
            f"an aperture of {2 * radius:.1f} pixels does not fit in stamps of {size}",
            "measure.aperture_diameter",
            "make it smaller, or the case's stamp larger",
        )
    if not len(stamps):
        return np.zeros(0), np.zeros(0)
    flux, error, _ = sep.sum_circle(_tall(stamps), x, _rows(y, size), radius, var=_tall(variances), subpix=0)
    return flux, error


def kron_ellipses(stamps, x, y, sigma, g1, g2, psf_sigma, factor=2.5, min_radius=None):
    """Return the Kron apertures of one band's images, to be used in all bands.

    The ellipse has the shape and size of the adaptive moments; the Kron radius is
    sum r I / sum r within 6 ellipses, with r in units of the ellipse; the aperture is ``factor``
    Kron radii (Kron 1980; SExtractor's MAG_AUTO).

    Parameters
    ----------
    stamps : (N, S, S) array
        Sky-subtracted images.
    x, y : (N,) array
        Centres in pixels of the stamp.
    sigma, g1, g2 : (N,) array
        Adaptive moments; where they are not finite, a circle of the PSF's size is used.
    psf_sigma : float
        Size of the PSF in pixels.
    factor : float
        Kron radii in the aperture's.
    min_radius : float, optional
        Least geometric-mean radius of the aperture in pixels; 3.5 times the PSF's size by default.

    Returns
    -------
    a, b, theta : (N,) array
        Semi-axes of the apertures in pixels, and angle from the x axis in radians.
    flag : (N,) int32 array
        Bits of `FLUX_BITS`.
    """
    size = stamps.shape[-1]
    flag = np.zeros(len(stamps), dtype=np.int32)
    usable = np.isfinite(sigma) & np.isfinite(g1) & np.isfinite(g2)
    # A size at which 6 ellipses are the stamp is no size.
    usable &= np.where(usable, sigma, 0) < largest_radius(size) / 2
    flag[~usable] |= BITS.KRON_NO_MOMENTS
    g = np.where(usable, np.hypot(g1, g2), 0.0)
    q = np.maximum((1 - g) / (1 + g), LEAST_AXIS_RATIO)
    sigma = np.where(usable, sigma, psf_sigma)
    a, b = sigma / np.sqrt(q), sigma * np.sqrt(q)
    theta = np.where(usable, 0.5 * np.arctan2(g2, g1), 0.0)

    rows = _rows(y, size)
    fit = largest_radius(size) / _half_extent(a, b, theta)  # ellipses to the edge of the stamp
    kron, bad = np.zeros((2, 0))
    if len(stamps):
        kron, bad = sep.kron_radius(_tall(stamps), x, rows, a, b, theta, np.minimum(KRON_EXTENT, fit))
    failed = (bad != 0) | ~np.isfinite(kron) | (kron <= 0)
    flag[failed] |= BITS.KRON_FAILED
    least = (PSF_RADII * psf_sigma if min_radius is None else min_radius) / sigma
    radius = np.maximum(factor * np.where(failed, 0.0, kron), least)
    flag[radius > fit] |= BITS.KRON_CUT
    radius = np.minimum(radius, fit)
    return a * radius, b * radius, theta, flag


def _half_extent(a, b, theta):
    c, s = np.cos(theta), np.sin(theta)
    return np.maximum(np.hypot(a * c, b * s), np.hypot(a * s, b * c))


def elliptical(stamps, variances, x, y, a, b, theta):
    """Return flux and error in one elliptical aperture per stamp, exact pixel overlaps.

    Parameters
    ----------
    stamps, variances : (N, S, S) array
        As for `circular`.
    x, y : (N,) array
        Centres in pixels of the stamp.
    a, b, theta : (N,) array
        From `kron_ellipses`.

    Returns
    -------
    flux, error : (N,) array
    """
    if not len(stamps):
        return np.zeros(0), np.zeros(0)
    flux, error, _ = sep.sum_ellipse(
        _tall(stamps), x, _rows(y, stamps.shape[-1]), a, b, theta, 1.0, var=_tall(variances), subpix=0
    )
    return flux, error


def reaches_outside(x, y, a, b, theta, shape):
    """Return (N,) bool: which ellipses about (x, y) on the image have parts outside of it."""
    ny, nx = shape
    c, s = np.cos(theta), np.sin(theta)
    half_x, half_y = np.hypot(a * c, b * s), np.hypot(a * s, b * c)
    with np.errstate(invalid="ignore"):
        return ~((x - half_x >= -0.5) & (x + half_x <= nx - 0.5) & (y - half_y >= -0.5) & (y + half_y <= ny - 0.5))
