"""Galaxies of one Sersic profile each, without colours: for where no sample is wanted."""

import numpy as np

from ..stats.streams import stream
from . import POPULATIONS
from .base import Population
from .targets import described, place_targets

_SIZE_SCATTER = 0.2  # dex


@POPULATIONS.register("sersic")
class Sersic(Population):
    """Sersic profiles of `size_of_magnitude` with 0.2 dex of scatter, n of 1 or 4 (one in five), q from 0.3 to 1."""

    def draw(self, settings, patch, truth, seed, case, block, realisation, tables):
        """Return the targets of one patch: see `base.Population.draw`."""
        out, mag, draws, key = place_targets(settings, patch, seed, case, block, realisation, truth)
        scatter = stream(seed, *key, "sizes").standard_normal(len(out))
        out["source_type"] = "Sersic"
        for band in settings["bands"]:
            out[f"mag_{band}"] = mag
        out["n"] = np.where(draws[:, 1] < 0.2, 4.0, 1.0)
        out["half_light_radius"] = size_of_magnitude(mag) * 10 ** (_SIZE_SCATTER * scatter)
        out["q"] = 0.3 + 0.7 * draws[:, 2]
        out["beta"] = 180.0 * draws[:, 3]
        return described(out, settings["bands"])


def size_of_magnitude(mag):
    """Return the median half-light radius (arcsec) of galaxies of an AB magnitude, without a sample.

    log10 hlr = -0.2 - 0.075 (mag - 22): 0.63 arcsec at 22, 0.38 at 25. Our own rule of thumb for when no
    population is given, not a fit to data.
    """
    return 10 ** (-0.2 - 0.075 * (np.asarray(mag, float) - 22))
