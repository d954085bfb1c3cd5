"""Galaxies & AGN: detection and photometry of galaxies injected into a real image."""

from ..base import ScienceCase
from .foms import FIGURES_OF_MERIT
from .score import score

CASE = ScienceCase("galaxies", "Galaxies & AGN: detection, photometry", FIGURES_OF_MERIT, score)
