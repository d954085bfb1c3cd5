"""Point-spread functions as GalSim objects and as pixels."""

import galsim
import numpy as np


def psf_object(model, pixels=None, scale=None):
    """Return the PSF of an image as a GalSim object of unit flux.

    Parameters
    ----------
    model : dict
        ``kind``: "kolmogorov" or "moffat" (with ``fwhm`` in arcsec, and ``beta`` for a Moffat),
        or "pixels": the interpolated ``pixels``.
    pixels : (k, k) array, optional
        The PSF on the image's grid. It already contains the pixel's response, so an object made
        from it is drawn with ``method="no_pixel"``.
    scale : float, optional
        Pixel scale of ``pixels`` in arcsec.
    """
    if model["kind"] == "kolmogorov":
        return galsim.Kolmogorov(fwhm=model["fwhm"])
    if model["kind"] == "moffat":
        return galsim.Moffat(beta=model["beta"], fwhm=model["fwhm"])
    if model["kind"] == "pixels":
        image = galsim.Image(np.ascontiguousarray(pixels, dtype=float), scale=scale)
        return galsim.InterpolatedImage(image, x_interpolant="lanczos5", flux=1.0)
    raise ValueError(f"unknown kind of PSF {model['kind']!r}")


def draw_method(model):
    """Return GalSim's drawing method for a source convolved with this PSF."""
    return "no_pixel" if model["kind"] == "pixels" else "auto"


def psf_pixels(model, scale, size=41):
    """Return the PSF on a grid of ``scale`` arcsec, odd ``size``, unit sum, pixel response in."""
    image = psf_object(model).drawImage(nx=size, ny=size, scale=scale, dtype=float).array
    return image / image.sum()


def psf_fwhm(image):
    """Return the full width at half maximum of a band image's PSF in arcsec.

    That of the model; where it has none, that of the PSF's pixels, which holds the pixel's response.
    """
    if "fwhm" in image.psf_model:
        return float(image.psf_model["fwhm"])
    return float(galsim.Image(np.ascontiguousarray(image.psf, dtype=float), scale=image.pixel_scale).calculateFWHM())
