"""Crowded fields: artificial stars in simulated star fields and in a real one."""

from ..base import ScienceCase
from .figures import FIGURES
from .foms import FIGURES_OF_MERIT
from .score import score

CASE = ScienceCase("crowded_fields", "Crowded fields: stars", FIGURES_OF_MERIT, score, FIGURES)
