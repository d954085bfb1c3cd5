"""The half-light radius of a bulge with a disk."""

import numpy as np

from .sersic_tables import enclosed


def half_light_radius(bulge_fraction, hlr_bulge, hlr_disk, n_bulge=4.0, n_disk=1.0):
    """Return the circularised half-light radius of bulge + disk, before any PSF.

    The components are taken as concentric and round; arrays broadcast.
    """
    fraction, bulge, disk, n_bulge, n_disk = np.broadcast_arrays(
        *(np.asarray(value, float) for value in (bulge_fraction, hlr_bulge, hlr_disk, n_bulge, n_disk))
    )
    out = np.where(fraction > 0.5, bulge, disk)
    both = (fraction > 0) & (fraction < 1)  # of one component alone it is that of the component
    fraction, bulge, disk, n_bulge, n_disk = (a[both] for a in (fraction, bulge, disk, n_bulge, n_disk))
    low, high = np.log(np.minimum(bulge, disk)), np.log(np.maximum(bulge, disk))
    for _ in range(30):
        middle = np.exp(0.5 * (low + high))
        inside = fraction * enclosed(n_bulge, middle / bulge) + (1 - fraction) * enclosed(n_disk, middle / disk)
        low, high = np.where(inside < 0.5, np.log(middle), low), np.where(inside < 0.5, high, np.log(middle))
    out[both] = np.exp(0.5 * (low + high))
    return out[()]
