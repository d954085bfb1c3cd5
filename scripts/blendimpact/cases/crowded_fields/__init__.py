"""Crowded fields: artificial stars in simulated star fields and in a real one."""

from ..base import ScienceCase
from .derived import derived
from .foms import FIGURES_OF_MERIT
from .score import score

CASE = ScienceCase(
    "crowded_fields", "Crowded fields: stars", FIGURES_OF_MERIT, score, derived, measurements=("psf", "fitted")
)
