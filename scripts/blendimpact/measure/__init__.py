"""Measure sky, fluxes and shapes on child images."""
