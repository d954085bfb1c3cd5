"""Transients: supernovae, asteroids and comets in difference images."""

from ..base import ScienceCase
from .foms import FIGURES_OF_MERIT
from .score import score

CASE = ScienceCase("transients", "Transients, asteroids, comets", FIGURES_OF_MERIT, score)
