"""Errors of flux and position by the fit of the deblender, where it is one."""

import numpy as np

from . import MEASUREMENTS
from .base import Measurement
from .psf import PsfWindow


@MEASUREMENTS.register("fitted")
class FittedErrors(Measurement):
    """What the deblender's own fit says of its errors: neighbours whose light is not known either are in them.

    A point source that is fitted to a child image has the error of an isolated one, since the child no longer
    shows that its neighbours were fitted too. Children of deblenders that do not fit, and those of oracles, have none.
    The fit takes the noise as white; correlated noise raises its errors as it raises those of a point source alone.
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
        errors = np.full((n, bands + 2), np.nan) if errors is None else errors.copy()
        for k in range(bands) if np.isfinite(errors).any() else ():
            flux, *places = self._factors(objects, k)
            errors[:, k] *= flux
            if k == objects.shape:
                errors[:, bands:] *= np.column_stack(places)
        return {
            "flux_fitted_err": errors[:, :bands],
            "x_fitted_err": errors[:, bands],
            "y_fitted_err": errors[:, bands + 1],
        }

    @staticmethod
    def _factors(objects, k):
        """Return by how much the noise's correlation raises the errors of flux, x and y of a point source there."""
        children = objects.children
        window = PsfWindow(objects.stamps[k], objects.images[k], children.x0, children.y0)
        _, white, _ = window.fluxes(objects.stamp_x, objects.stamp_y)
        return [error / white for error in objects.correlation(k).point_sources(window, white, white, white)]
