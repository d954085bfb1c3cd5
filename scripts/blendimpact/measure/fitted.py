"""Errors of flux and position by the fit of the deblender, where it is one."""

import numpy as np

from . import MEASUREMENTS
from .base import Measurement


@MEASUREMENTS.register("fitted")
class FittedErrors(Measurement):
    """What the deblender's own fit says of its errors: neighbours whose light is not known either are in them.

    A point source that is fitted to a child image has the error of an isolated one, since the child no longer
    shows that its neighbours were fitted too. Children of deblenders that do not fit, and those of oracles, have none.
    """

    columns = {
        "flux_fitted_err": (None, "standard deviation of the flux by the deblender's fit, marginal over neighbours"),
        "x_fitted_err": ("pix", "the same of the position along axis 1"),
        "y_fitted_err": ("pix", "the same of the position along axis 2"),
    }

    def measure(self, objects):
        """Return the columns of `columns`; NaN without a fit."""
        n, bands = len(objects), len(objects.bands)
        errors = objects.children.errors
        if errors is None:
            errors = np.full((n, bands + 2), np.nan)
        return {
            "flux_fitted_err": errors[:, :bands],
            "x_fitted_err": errors[:, bands],
            "y_fitted_err": errors[:, bands + 1],
        }
