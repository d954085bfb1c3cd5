"""Bring a real image into the study: WCS, zero point, PSF, noise, mask."""
