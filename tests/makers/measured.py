"""Measurements of child images, as tests ask for them."""

from blendimpact.measure import MEASUREMENTS
from blendimpact.measure.objects import measure_children

USUAL = ("aperture", "kron", "moments", "weighted")
SETTINGS = {"aperture_diameter": 2.0}


def asked(*also):
    """Return the block ``measure`` of a case's settings: the usual measurements and some more."""
    return {**SETTINGS, "measurements": {name: {} for name in (*USUAL, *also)}}


def measured(children, x, y, patch, also=(), shape_band=None, noiseless=False, options=None, **settings):
    """Return the table of the usual measurements and those of ``also``; ``options``: {measurement: dict}."""
    chosen = [MEASUREMENTS.create(name, (options or {}).get(name)) for name in (*USUAL, *also)]
    return measure_children(children, x, y, patch, chosen, {**SETTINGS, **settings}, shape_band, noiseless)
