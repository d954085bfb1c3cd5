"""2-pt correlations: shapes of galaxies on simulated +g/-g patches."""

from ..base import ScienceCase
from .derived import derived
from .foms import FIGURES_OF_MERIT
from .score import score

CASE = ScienceCase("two_point", "2-pt correlations: shapes", FIGURES_OF_MERIT, score, derived)
