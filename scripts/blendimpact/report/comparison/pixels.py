"""Child images against the source alone: pixels, not catalogues."""

import numpy as np

from ...data.stamps import cut, disc, origins

LIGHT = 0.5
"""Standard deviations of the sky per pixel above which a source's noiseless light counts as light in `correlation`."""


def correlation(child, isolated, light, noise):
    """Return the normalised correlation of child images with the sources alone.

    kappa = sum c s / sqrt(sum c^2 sum s^2) over the pixels in which the noiseless light exceeds `LIGHT` times the
    noise: 1 for a child that is the isolated image times any positive number.

    Parameters
    ----------
    child, isolated, light : (N, S, S) array
        Child images, the sources alone in the same noise, and without noise; one band.
    noise : float
        Standard deviation of the sky per pixel.

    Returns
    -------
    (N,) array
        NaN where a source has no such pixel, or where child or isolated image are 0.
    """
    seen = light > LIGHT * noise
    c, s = (np.where(seen, stamps, 0).astype(float) for stamps in (child, isolated))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (c * s).sum(axis=(1, 2)) / np.sqrt((c * c).sum(axis=(1, 2)) * (s * s).sum(axis=(1, 2)))


def residual_chi2(canvas, x, y, radius):
    """Return the mean of ((pixels - all models) / noise)^2 about each centre, in all bands.

    It says how well the sum of all models describes the pixels, not whether the light went to the right source.

    Parameters
    ----------
    canvas : blendimpact.fitting.canvas.Canvas or None
        With all models on it; None for a deblender that has none.
    x, y : (N,) array
        Centres in pixels of the patch.
    radius : float
        Of the disc, in pixels.

    Returns
    -------
    (N,) array
        About 1 for models that describe the pixels; NaN without models, or without a pixel with data.
    """
    x = np.asarray(x, dtype=float)
    if canvas is None or not len(x):
        return np.full(len(x), np.nan)
    size = 2 * int(np.ceil(radius)) + 1
    x0, y0 = origins(x, y, size)
    near, chi2, count = disc(size, radius), 0.0, 0.0
    for data, model, weight in zip(canvas.data, canvas.model, canvas.noise_weight):
        square = cut(weight * (data - model) ** 2, x0 + canvas.pad, y0 + canvas.pad, size)
        chi2 = chi2 + square[:, near].sum(axis=1)
        count = count + (cut(weight, x0 + canvas.pad, y0 + canvas.pad, size)[:, near] > 0).sum(axis=1)
    return np.where(count > 0, chi2 / np.maximum(count, 1), np.nan)
