"""Asteroids: trails of one exposure, anywhere or past a static source."""

import numpy as np

from . import POPULATIONS
from .comet import solar_colours
from .kinds import Kind

RATES, FAST = (0.1, 0.6), (0.6, 10.0)
"""Deg per day: of the main belt, uniform, and of near-Earth objects, uniform in the logarithm: stated, not a survey."""


@POPULATIONS.register("trail")
class Trail(Kind):
    """An asteroid: a trail of one exposure."""

    def look(self, row, bands, reference, options, tables, rng):
        """Give an asteroid its direction and its motion; it has the colours of the Sun."""
        row["source_type"], row["beta"] = "Trail", float(rng.uniform(0, 360))
        fast = rng.uniform() < options["fast_share"]
        row["rate"] = float(np.exp(rng.uniform(*np.log(FAST)))) if fast else float(rng.uniform(*RATES))
        row["trail_length"] = row["rate"] * 3600 * options["exposure"] / 86400
        return solar_colours(bands, reference)


@POPULATIONS.register("beside")
class Beside(Trail):
    """An asteroid whose line passes a static source within the FWHM of the PSF: for the figures of that alone."""

    look_first = True

    def place(self, sky, row, placed, separation, rng):
        """Return a place from which the trail passes a source that can be seen."""
        return next(iter(sky.free(sky.beside(row, rng), placed, separation)), None)
