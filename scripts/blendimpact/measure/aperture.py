"""Fluxes in the circular aperture that the study measures with."""

import numpy as np

from . import MEASUREMENTS
from .base import Measurement
from .photometry import BITS, reaches_outside


@MEASUREMENTS.register("aperture")
class AperturePhotometry(Measurement):
    """Flux in a circle about the given centre; `measure.aperture_diameter` is shared with other measurements."""

    columns = {
        "flux_ap": (None, "flux in the circular aperture, unit of the image"),
        "flux_ap_err": (None, "its standard deviation from the pixels' variance; NaN for noiseless images"),
        "snr_ap": (None, "flux_ap / flux_ap_err"),
    }

    def measure(self, objects):
        """Return the columns of `columns`, and bits where the aperture reaches outside of the image."""
        flux, error = (np.column_stack(parts) for parts in zip(*map(objects.aperture, range(len(objects.bands)))))
        radius = objects.radius
        outside = reaches_outside(objects.x, objects.y, radius, radius, 0.0, objects.patch.shape)
        return {
            "flux_ap": flux,
            "flux_ap_err": error,
            "snr_ap": flux / error,
            "flux_flag": np.where(outside, BITS.APERTURE_EDGE, 0)[:, None],
        }
