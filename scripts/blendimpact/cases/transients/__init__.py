"""Transients: supernovae, asteroids and comets in difference images."""

from ..base import ScienceCase
from . import asteroid_foms, comet_foms, foms
from .score import score

FIGURES_OF_MERIT = (*foms.FIGURES_OF_MERIT, *asteroid_foms.FIGURES_OF_MERIT, *comet_foms.FIGURES_OF_MERIT)
CASE = ScienceCase("transients", "Transients, asteroids, comets", FIGURES_OF_MERIT, score)
