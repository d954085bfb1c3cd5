"""Artificial stars: of an isochrone on simulated sky, of one band on real images."""

import numpy as np

from ..config.files import Problem
from ..config.options import Share
from . import POPULATIONS
from .base import Population
from .isochrone import RED_CLUMP, Stars
from .targets import described, place_targets


@POPULATIONS.register("stars")
class ArtificialStars(Population):
    """Stars at given magnitudes, with the colours of the isochrone there.

    Parameters
    ----------
    red_clump : float
        Share of them, at random, that are stars of the red clump, at the magnitudes that the isochrone gives them.
    """

    follows = ("isochrone",)
    visited = True

    def __init__(self, red_clump: Share = 0.0):
        self.red_clump = red_clump

    def problems(self, settings):
        """Yield what a case does not allow."""
        yield from super().problems(settings)
        image = settings.sky == "adopt"
        if not image and settings.population.stars.kind != "isochrone":
            yield Problem(
                ("inject", "population"),
                "stars of known colours need an isochrone",
                "set population.stars.kind: isochrone (a surface_density of 0 draws no others)",
            )
        if self.red_clump and image:
            yield Problem(
                ("inject", "red_clump"), "is for stars on simulated sky", "remove it: one band says nothing of a colour"
            )
        for name, none in (("shear", 0), ("ring", "false"), ("noise_pairs", "false")):
            if getattr(settings, name):
                yield Problem(
                    (name,), "is for shapes of galaxies: twins of a star field would count twice", f"set {name}: {none}"
                )

    def draw(self, settings, patch, truth, seed, case, block, realisation, tables):
        """Return the targets of one patch: see `base.Population.draw`.

        With the table of the isochrone each has an ``evolution``; without it one magnitude in all bands.
        """
        bands = list(settings["bands"])
        out, mag, draws, _ = place_targets(settings, patch, seed, case, block, realisation)
        out["source_type"] = "Star"
        magnitudes = dict.fromkeys(bands, mag)
        if "isochrone" in tables:
            stars = Stars(tables["isochrone"], settings.get("population", {}).get("stars", {}))
            magnitudes, stage = self._of_isochrone(stars, mag, draws, bands, settings.get("shape_band", bands[0]))
        for band in bands:
            out[f"mag_{band}"] = magnitudes[band]
        if "isochrone" in tables:
            out["evolution"] = stage
        return described(out, bands)

    def _of_isochrone(self, stars, mag, draws, bands, reference):
        """Return magnitudes by band and stages of evolution."""
        magnitudes, stage = stars.at_magnitude(mag, reference, draws[:, 1], bands)
        if self.red_clump > 0:
            first, last = stars.stage(RED_CLUMP)
            clump, stages = stars.at_rank(first + (last - first) * draws[:, 3], bands)
            chosen = draws[:, 2] < self.red_clump
            magnitudes = {band: np.where(chosen, clump[band], magnitudes[band]) for band in bands}
            stage = np.where(chosen, stages, stage)
        return magnitudes, stage
