"""Decorrelation of a difference of which one image was convolved (Reiss & Lupton, LSST DMTN-021)."""

import numpy as np

from .base import Noise, finish
from .kernels import convolve, kernel_of, odd_fast, transform


def whiten(pair, image, static, science_kernel, template_kernel, decorrelate=True, registration=0.0, **measured):
    """Make the `Difference` of an image that was convolved and one that was not, with white noise if asked.

    The difference is convolved with the kernel whose transform is

        sqrt((sigma_s^2 K_s(0)^2 + sigma_t^2 K_t(0)^2) / (sigma_s^2 |K_s|^2 + sigma_t^2 |K_t|^2)),

    sigma^2 the median variances. It is 1 at frequency 0, so fluxes stay.

    Parameters
    ----------
    pair : Pair
    image : (ny, nx) array
        Science under its kernel minus the template under its own, in the science image's unit.
    static : (ny, nx) array or None
        The template as it was subtracted.
    science_kernel, template_kernel : (k, k) array
        What either image was convolved with; one of them has a single pixel.
    decorrelate : bool
    registration : float
    **measured
        Further fields of `Difference`.
    """
    noise = [Noise(science_kernel, pair.science_variance), Noise(template_kernel, pair.template_variance)]
    size = odd_fast(pair.science_psf.shape[0] + 2 * max(n.kernel.shape[0] for n in noise))
    grid = (size, size)
    psf, s, t = (transform(k, grid) for k in (pair.science_psf, science_kernel, template_kernel))
    psf = psf * s
    if decorrelate:
        a, b = pair.levels
        level = a * abs(s[0, 0]) ** 2 + b * abs(t[0, 0]) ** 2
        white = np.sqrt(level / (a * np.abs(s) ** 2 + b * np.abs(t) ** 2))
        kernel = kernel_of(white, size)
        image = convolve(image, kernel)
        static = convolve(static, kernel) if registration else None
        noise = [Noise(kernel_of(white * k, size), n.variance) for k, n in zip((s, t), noise)]
        psf = psf * white
    return finish(pair, image, kernel_of(psf, size), noise, static=static, registration=registration, **measured)
