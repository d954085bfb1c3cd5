"""2-pt correlations: shapes of galaxies on simulated +g/-g patches, and their photometric redshifts."""

from ..base import ScienceCase
from . import foms, photo_z_foms
from .derived import derived
from .score import score

FIGURES_OF_MERIT = (*foms.FIGURES_OF_MERIT, *photo_z_foms.FIGURES_OF_MERIT)
CASE = ScienceCase("two_point", "2-pt correlations: shapes and photo-z", FIGURES_OF_MERIT, score, derived)
