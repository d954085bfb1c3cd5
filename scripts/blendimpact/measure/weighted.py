"""Moments under a fixed round Gaussian weight: shapes that exist for every child image."""

import numpy as np

from ..config.options import Positive
from . import MEASUREMENTS
from .base import Measurement

REACH = 3.5  # standard deviations of the weight that are summed
REGULARISATION = 4.0  # standard deviations of M0 that are added to the denominator


def weighted_moments(stamps, x, y, sigma, noise):
    """Measure shapes without iteration, failure or division by a small number.

    The weight sits on the given centre; a full width of 1.2 arcsec is that of metadetection's weighted
    moments (Sheldon et al. 2020). The denominator is the weighted flux plus a constant, as in FPFS
    (Li et al. 2018): the shape of what has lost its light goes to 0 and not to infinity. The PSF is not
    deconvolved: fit for ratios of shear responses, not for shear itself.

    Parameters
    ----------
    stamps : (N, S, S) array
        Sky-subtracted images; pixels without data are 0.
    x, y : (N,) array
        Centres in pixels of the stamp, 0-based.
    sigma : float
        Of the weight, in pixels.
    noise : float
        Standard deviation of a pixel of empty sky. Sets the constant, so it is given for
        noiseless images as well.

    Returns
    -------
    e1, e2 : (N,) array
        (Mxx - Myy) / D and 2 Mxy / D with D = sigma^2 (M0 + C), where M is the sum of weight x image x
        (1, dx^2, dy^2, dx dy) and C is `REGULARISATION` standard deviations of M0.
    flux : (N,) array
        M0.
    error : float
        Standard deviation of M0 on empty sky.
    """
    stamps = np.asarray(stamps)
    n, side = len(stamps), stamps.shape[-1]
    half = min(int(np.ceil(REACH * sigma)) + 1, side // 2)
    grid = np.arange(-half, half + 1)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    x, y = np.where(lost, side // 2, x), np.where(lost, side // 2, y)
    cx, cy = (np.clip(np.floor(c + 0.5).astype(int), half, side - 1 - half) for c in (x, y))
    image = stamps[
        np.arange(n)[:, None, None], (cy[:, None] + grid)[:, :, None], (cx[:, None] + grid)[:, None, :]
    ].astype(float)
    dx, dy = cx[:, None] + grid - x[:, None], cy[:, None] + grid - y[:, None]
    wx, wy = (np.exp(-0.5 * (d / sigma) ** 2) for d in (dx, dy))
    # The weight separates, so all moments are products of small matrices.
    rows = [np.einsum("nij,nj->ni", image, wx * dx**k) for k in (0, 1, 2)]
    m0 = np.where(lost, np.nan, np.einsum("ni,ni->n", rows[0], wy))
    mxx = np.einsum("ni,ni->n", rows[2], wy)
    mxy = np.einsum("ni,ni->n", rows[1], wy * dy)
    myy = np.einsum("ni,ni->n", rows[0], wy * dy**2)
    error = noise * sigma * np.sqrt(np.pi)
    denominator = sigma**2 * (m0 + REGULARISATION * error)
    # Light that is more negative than the constant has no shape.
    denominator = np.where(denominator > 0, denominator, np.nan)
    return (mxx - myy) / denominator, 2 * mxy / denominator, m0, error


@MEASUREMENTS.register("weighted")
class WeightedMoments(Measurement):
    """Shapes under a fixed Gaussian weight on the given centre, in the shape band.

    Parameters
    ----------
    fwhm : float
        Full width of the weight in arcsec.
    """

    columns = {
        "e1_weighted": (
            None,
            "shape under a fixed Gaussian weight on the given centre, along the x axis, "
            "regularised: blendimpact.measure.weighted; not PSF-corrected",
        ),
        "e2_weighted": (None, "the same along the diagonal y = x"),
        "snr_weighted": (None, "signal-to-noise ratio of the flux under that weight"),
    }

    def __init__(self, fwhm: Positive = 1.2):
        self.fwhm = fwhm

    def measure(self, objects):
        """Return the columns of `columns`."""
        sigma = self.fwhm / objects.scale / (2 * np.sqrt(2 * np.log(2)))
        variance = objects.images[objects.shape].variance
        good = variance[np.isfinite(variance) & (variance > 0)]
        # The faint end of the variance is that of empty sky; the root is taken in the precision of the image.
        noise = float(np.sqrt(np.quantile(good, 0.1))) if good.size else 1.0
        x = np.where(objects.unusable, np.nan, objects.stamp_x)
        e1, e2, flux, error = weighted_moments(objects.reference, x, objects.stamp_y, sigma, noise)
        return {"e1_weighted": e1, "e2_weighted": e2, "snr_weighted": flux / error}
