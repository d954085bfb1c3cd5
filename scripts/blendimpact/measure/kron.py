"""Kron photometry: fluxes in an ellipse of the source's own size, the same in all bands."""

import numpy as np

from ..config.options import Positive
from . import MEASUREMENTS
from .base import Measurement
from .photometry import BITS, elliptical, kron_ellipses, reaches_outside


@MEASUREMENTS.register("kron")
class KronPhotometry(Measurement):
    """Flux in the Kron ellipse of the shape band.

    Parameters
    ----------
    factor : float
        Kron radii in the aperture's radius.
    min_radius : float, optional
        Least radius in arcsec; by default 3.5 standard deviations of the PSF.
    """

    columns = {
        "flux_kron": (None, "flux in the Kron ellipse of the shape band, unit of the image"),
        "flux_kron_err": (None, "its standard deviation; NaN for noiseless images"),
        "kron_radius": ("arcsec", "geometric mean of the Kron aperture's semi-axes"),
    }

    def __init__(self, factor: Positive = 2.5, min_radius: Positive | None = None):
        self.factor, self.min_radius = factor, min_radius

    def measure(self, objects):
        """Return the columns of `columns`, and bits that say how good the ellipse is."""
        found, psf = objects.moments, objects.psf_sigma
        least = None if self.min_radius is None else self.min_radius / objects.scale
        usable = (found.flag == 0) & (found.flux > 0) & (found.sigma > 0.5 * psf)
        a, b, theta, flag = kron_ellipses(
            objects.reference,
            objects.stamp_x,
            objects.stamp_y,
            np.where(usable, found.sigma, np.nan),
            found.g1,
            found.g2,
            psf,
            self.factor,
            least,
        )
        radius = np.sqrt(a * b)
        columns = {name: np.full((len(objects), len(objects.bands)), np.nan) for name in self.columns}
        for k, image in enumerate(objects.images):
            flux, error = elliptical(
                objects.stamps[k], objects.variances(k), objects.stamp_x, objects.stamp_y, a, b, theta
            )
            columns["flux_kron"][:, k] = flux
            if not objects.noiseless:
                columns["flux_kron_err"][:, k] = objects.correlation(k).apertures(error, radius)
            columns["kron_radius"][:, k] = radius * image.pixel_scale
        outside = reaches_outside(objects.x, objects.y, a, b, theta, objects.patch.shape)
        return {**columns, "flux_flag": (flag | np.where(outside, BITS.KRON_EDGE, 0))[:, None]}
