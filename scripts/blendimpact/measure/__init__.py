"""Measurements: from child images to fluxes, shapes and positions."""

from ..config.plugins import Family

MEASUREMENTS = Family("measurement", "blendimpact.measure", "measurements")
