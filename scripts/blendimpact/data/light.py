"""Light on the pixels of an image: of its real sources, and as a surface brightness."""

import numpy as np

FAINTEST = 1e-6
"""Least part of a pixel's variance that the sky is taken to have."""


def real_light(base, segmentation):
    """Return the light of the real sources of an image, as far as it is known.

    The pixels of the footprints that are above zero; nothing outside of the footprints. In a
    footprint it still has its noise, and wings below the detection threshold are not in it, so the
    purity of an injected source that is made with it is an upper limit by a few per cent.

    Parameters
    ----------
    base : (ny, nx) array
        The real image, sky-subtracted.
    segmentation : (ny, nx) int array
        Footprints, 0 is sky.
    """
    return np.where(segmentation > 0, np.maximum(base, 0), 0)


def sky_variance(image, light):
    """Return the variance of an image without the photon noise of known light, a positive number in every pixel.

    Parameters
    ----------
    image : BandImage
    light : (ny, nx) array
        In the unit of ``image``.
    """
    variance = np.asarray(image.variance, float)
    return np.maximum(variance - light / image.gain, FAINTEST * variance)


def surface_brightness(light, image, x, y):
    """Return the surface brightness of light at the pixels of positions.

    Parameters
    ----------
    light : (ny, nx) array
        In the unit of ``image``, a `BandImage`.
    x, y : (N,) array
        Pixels.

    Returns
    -------
    (N,) array
        AB mag / arcsec2; NaN off the image and where the light is not positive.
    """
    i, j = (np.floor(np.asarray(c, float) + 0.5).astype(int) for c in (x, y))
    ny, nx = light.shape
    here = (i >= 0) & (j >= 0) & (i < nx) & (j < ny)
    value = np.where(here, light[j.clip(0, ny - 1), i.clip(0, nx - 1)], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = image.zero_point - 2.5 * np.log10(value / image.pixel_scale**2)
    return np.where(np.isfinite(value), value, np.nan)
