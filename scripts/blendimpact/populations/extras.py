"""Columns that only some injected sources have: comets, and transients of the study's own."""

import numpy as np
from astropy import units

from ..data.catalogues import describe
from ..errors import StudyError
from ..sky.comets import STEADY, TAIL_WIDTH

COMET = {
    "nucleus_fraction": (None, "comet: part of the light that is the nucleus, a point"),
    "coma_radius": ("arcsec", "comet: where the coma has faded to 1 / e of its power law; coma_9p: where it ends"),
    "coma_slope": (None, "comet: exponent of the coma's brightness against the distance from the nucleus"),
    "coma_asymmetry": (None, "comet: part by which the coma is brighter on one side, and fainter on the other"),
    "coma_angle": ("deg", "comet: direction of that side, counter-clockwise from the x axis"),
    "tail_fraction": (None, "comet: part of the light that is the tail"),
    "tail_length": ("arcsec", "comet: length of the tail"),
    "tail_angle": ("deg", "comet: direction of the tail, counter-clockwise from the x axis"),
    "tail_width": ("arcsec", "comet: FWHM of the tail across"),
}
TRANSIENT = {
    "transient": (
        None,
        "supernova, nuclear, hostless, trail (a main-belt asteroid), near_earth, comet, coma_9p (a real one), beside, "
        "comet_beside (an asteroid and a comet put beside a static source); empty: static",
    ),
    "host_id": (None, "source_id of the host, -1: none"),
    "host_distance": ("arcsec", "distance from the host's centre"),
    "host_sb": (
        "mag / arcsec2",
        "surface brightness of all static light at the position, with the PSF, in shape_band; NaN: none",
    ),
    "static_mag": ("mag", "AB magnitude of the static light in the filter of a point source there; NaN: none"),
    "planted": (None, "1: galaxy that was added as the host of a supernova; else -1"),
    "static_id": (None, "source_id of the nearest static source with S/N >= truth_snr, -1: none"),
    "static_distance": ("arcsec", "distance to it, of a trail from the nearest point of its line"),
    "phase": ("d", "supernova: days after maximum in B, in its rest frame"),
    "excess_mag": ("mag", "supernova: drawn magnitude minus that of a normal SN Ia of this redshift and phase"),
    "rate": ("deg / d", "trail: apparent motion"),
    "r_h": ("au", "comet: distance from the Sun"),
    "delta": ("au", "comet: distance from the observer"),
    "afrho": ("cm", "comet: A f rho of the coma alone within 3 arcsec; coma_9p: of all light within coma_radius"),
}
STAMP = {
    f"stamp_{axes}": ("arcsec", f"stamp: {what} of its pixels on the image, in pixels times the pixel scale")
    for axes, what in (
        ("xx", "x axis along the x axis"),
        ("xy", "y axis along the x axis"),
        ("yx", "x axis along the y axis"),
        ("yy", "y axis along the y axis"),
    )
}
"""Matrix that maps the pixels of a stamp to the axes of the image; without it a stamp is only scaled."""
EXTRAS = {**COMET, **TRANSIENT, **STAMP}
_DEFAULTS = {
    "coma_slope": STEADY,
    "coma_asymmetry": 0.0,
    "coma_angle": 0.0,
    "tail_fraction": 0.0,
    "tail_length": 0.0,
    "tail_angle": 0.0,
    "tail_width": TAIL_WIDTH,
}
_BLANK = {"transient": "", "host_id": -1, "static_id": -1, "planted": -1}


def blank(name):
    """Return what a source without this property has."""
    return _BLANK.get(name, np.nan)


def extras_of(source, columns=EXTRAS):
    """Return those properties of a row of a catalogue, as Python's values."""
    return {name: np.asarray(source[name]).item() for name in source.colnames if name in columns}


def add_blank(truth, catalogue, columns=EXTRAS):
    """Give a truth table, in place, those of ``columns`` that a catalogue has, with nothing in them."""
    for name in (n for n in catalogue.colnames if n in columns and n not in truth.colnames):
        kind = catalogue[name].dtype
        value = {"U": "", "i": -1}.get(kind.kind, np.nan)
        truth[name] = np.full(len(truth), value, dtype=kind if kind.kind == "U" else None)
    describe(truth, {name: text for name, text in columns.items() if name in catalogue.colnames})


def comet_columns(out, given, comet, rows):
    """Read the columns of comets from a user's table into ``out``; refuse what cannot be drawn.

    Parameters
    ----------
    out : Table
        The catalogue that is made.
    given : columns.Columns
        The user's.
    comet : (N,) bool array
        Which rows are comets.
    rows : callable
        What names the rows of a mask.
    """
    for name, (unit, _) in COMET.items():
        values = given.numbers(name, units.Unit(unit) if unit else None) if name in given else np.full(len(out), np.nan)
        default = _DEFAULTS.get(name)
        if default is not None:
            values = np.where(np.isnan(values), default, values)
        out[name] = np.where(comet, values, np.nan)
    nucleus, tail, radius = (np.asarray(out[n]) for n in ("nucleus_fraction", "tail_fraction", "coma_radius"))
    slope, asymmetry = (np.asarray(out[n]) for n in ("coma_slope", "coma_asymmetry"))
    with np.errstate(invalid="ignore"):
        part = comet & ((nucleus < 0) | (tail < 0) | (nucleus + tail > 1 + 1e-9))
        flat = comet & (radius <= 0)
        steep = comet & ((slope <= -2) | (slope > 0) | (asymmetry < 0) | (asymmetry > 1))
        short = comet & (tail > 0) & ~((np.asarray(out["tail_length"]) > 0) & (np.asarray(out["tail_width"]) > 0))
    for bad, what, remedy in (
        (part, "nucleus_fraction and tail_fraction", "parts of the light from 0 to 1, together at most 1"),
        (flat, "coma_radius", "give a positive radius in arcsec"),
        (steep, "coma_slope and coma_asymmetry", "give a slope above -2 and at most 0, an asymmetry from 0 to 1"),
        (short, "tail_length and tail_width", "a tail with light needs a length and a width in arcsec"),
    ):
        if bad.any():
            raise StudyError(f"{what} out of range in {rows(bad)}", given.where, remedy)
