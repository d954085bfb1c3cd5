"""The half-light radius of a bulge with a disk."""

from functools import lru_cache

import galsim
import numpy as np


def half_light_radius(bulge_fraction, hlr_bulge, hlr_disk, n_bulge=4.0, n_disk=1.0):
    """Return the circularised half-light radius of bulge + disk, before any PSF.

    The components are taken as concentric and round; arrays broadcast.
    """
    bulge, disk = np.asarray(hlr_bulge, dtype=float), np.asarray(hlr_disk, dtype=float)
    fraction = np.asarray(bulge_fraction, dtype=float)
    low, high = np.log(np.minimum(bulge, disk)), np.log(np.maximum(bulge, disk))
    for _ in range(30):
        middle = 0.5 * (low + high)
        inside = fraction * _enclosed(n_bulge, middle - np.log(bulge)) + (1 - fraction) * _enclosed(
            n_disk, middle - np.log(disk)
        )
        low, high = np.where(inside < 0.5, middle, low), np.where(inside < 0.5, high, middle)
    return np.exp(0.5 * (low + high))


def _enclosed(n, log_radius):
    return np.interp(log_radius, *_growth(float(n)))


@lru_cache(maxsize=16)
def _growth(n):
    """Return log radius (hlr) and the light inside it, of a Sersic profile of unit flux."""
    profile = galsim.Sersic(n=n, half_light_radius=1.0)
    radius = np.concatenate([[0.0], np.geomspace(1e-6, 3000.0, 2000)])
    value = np.array([profile.xValue(r, 0.0) for r in radius])
    light = np.concatenate([[0.0], np.cumsum(np.pi * np.diff(radius**2) * 0.5 * (value[1:] + value[:-1]))])
    return np.log(radius[1:]), light[1:] / light[-1]
