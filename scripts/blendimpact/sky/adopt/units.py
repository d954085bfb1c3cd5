"""What a pixel value is: its unit, the AB zero point of it, and electrons per unit.

Units are those of astropy, in which case counts (mJy is no MJy). Words of headers that it does not know and that can
mean one thing only are translated first.
"""

import re
import warnings

import numpy as np
from astropy import units as u

from ...data.images import AB_NANOJANSKY
from ...errors import StudyError

AB_NANOMAGGY = 22.5
"""AB magnitude of one nanomaggy."""
TOLERANCE = 0.02
"""Magnitudes by which a given zero point may differ from that of the unit."""
AREA_TOLERANCE = 0.05
"""Part by which PIXAR_SR may differ from the area of a pixel of the WCS."""
_WORDS = {
    **dict.fromkeys(("count", "counts", "cts", "ct"), "ct"),
    **dict.fromkeys(("electron", "electrons", "e-", "e"), "electron"),
    **dict.fromkeys(("nanomaggy", "nanomaggies", "nmgy"), "nmgy"),
    **dict.fromkeys(("maggy", "maggies"), "mgy"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
    **dict.fromkeys(("njy", "nanojansky", "nanojanskys"), "nJy"),
    **dict.fromkeys(("ujy", "microjy", "microjansky", "microjanskys"), "uJy"),
    **dict.fromkeys(("jy", "jansky", "janskys"), "Jy"),
    **dict.fromkeys(("millijy", "millijansky", "millijanskys"), "mJy"),
    **dict.fromkeys(("megajy", "megajansky", "megajanskys"), "MJy"),
    "adu": "adu",
    "dn": "DN",
    "beam": "beam",
    "mag": "mag",
    "abmag": "mag",
}
_REFUSED = ("mag", "dex", "log", "arcsec")


def parse(text):
    """Return the unit of astropy that a header's text means, or None if it means none."""
    plain = re.sub(r"(?<![\d.])(e-(?!\d)|[A-Za-z]+)", lambda m: _WORDS.get(m[0].lower(), m[0]), text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            return u.Unit(plain, parse_strict="raise")
    except (ValueError, TypeError):
        return None


def unit_zero_point(text, area, where):
    """Return the AB zero point of a unit, None where it has none of its own (counts).

    Parameters
    ----------
    text : str
        As in BUNIT.
    area : float
        Solid angle of a pixel in sr, for surface brightnesses.
    where : str
        For messages.

    Raises
    ------
    StudyError
        For pixels that cannot be summed to a flux: magnitudes, logarithms, a flux per beam.
    """
    unit = parse(text)
    if unit is None:
        bad = any(word in text.lower() for word in _REFUSED)
    else:
        bases = set(getattr(unit, "bases", ()))
        bad = not isinstance(unit, u.UnitBase) or bool(bases & {u.mag, u.dex, u.dB, u.beam})
        for flux in () if bad else (unit, unit * u.pix):
            for scale, known in ((u.nJy, AB_NANOJANSKY), (u.nmgy, AB_NANOMAGGY)):
                if flux.is_equivalent(scale):
                    return _clean(known - 2.5 * np.log10(flux.to(scale)))
                if (flux * u.sr).is_equivalent(scale):
                    return float(known - 2.5 * np.log10((flux * u.sr).to(scale) * area))
        bad = bad or bool(bases & {u.sr, u.arcsec})
    if bad:
        raise StudyError(
            f"pixels in {text!r} cannot be summed to a flux",
            f"{where}: BUNIT",
            "convert to a flux per pixel (counts, nJy) with a zero point",
        )
    return None


def _clean(value):
    """Return a number without the last digits of its computation: 31.4, not 31.399999999999995."""
    return float(round(value, 9))


def pixel_area(hdu, wcs):
    """Return the solid angle of a pixel in sr: of the header (PIXAR_SR), or of the WCS.

    Raises
    ------
    StudyError
        If they disagree: the flux of every source would be wrong by as much.
    """
    own = float(abs(np.linalg.det(wcs.pixel_scale_matrix)) * u.deg.to(u.rad) ** 2)
    given = hdu.card("PIXAR_SR")
    if not isinstance(given, (int, float)) or not given > 0:
        return own
    if abs(given / own - 1) > AREA_TOLERANCE:
        raise StudyError(
            f"the header says PIXAR_SR = {given:.4g}, the pixels of its WCS have {own:.4g} sr",
            hdu.path,
            "correct the one that is wrong: was the image resampled to other pixels?",
        )
    return float(given)


def number_of(spec, key, hdu, remedy, default=None):
    """Return a number that the entry gives, or that it names a header keyword for."""
    if spec.get(key) is not None:
        value = spec[key]
    elif spec.get(f"{key}_key"):
        card = spec[f"{key}_key"]
        value = hdu.card(card)
        if value is None:
            raise StudyError(f"the header has no {card} ({key}_key), nor has the primary one", hdu.path, remedy)
    else:
        return default
    try:
        value = float(value)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise StudyError(f"{key} is not a finite number", hdu.path, remedy)
    return value


def read_zero_point(spec, hdu, wcs):
    """Return (unit, zero point) of an image; a flux density knows its zero point."""
    unit = str(hdu.card("BUNIT", "")).strip()
    given = number_of(spec, "zero_point", hdu, "give zero_point as a number")
    known = unit_zero_point(unit, pixel_area(hdu, wcs), hdu.path)
    if given is None and known is None:
        found = f"BUNIT is {unit!r}, which says nothing of it" if unit else "there is no BUNIT"
        raise StudyError(
            f"no zero point: {found}",
            hdu.path,
            "give zero_point (AB magnitude of one unit of the image) or zero_point_key",
        )
    if None not in (given, known) and abs(known - given) > TOLERANCE:
        raise StudyError(
            f"pixels in {unit} have the AB zero point {known:.6g}, but zero_point is {given}",
            f"{hdu.path}: BUNIT",
            "correct the one that is wrong",
        )
    return unit or "count", known if given is None else given


def read_gain(spec, hdu, unit):
    """Return electrons per image unit, over all exposures.

    Electrons have 1 of themselves. Where pixels are per second, the gain is multiplied by the exposure time: by
    ``exposure`` or ``exposure_key``, or by EXPTIME for electrons per second.
    """
    remedy = "give gain as a number: electrons per image unit"
    gain = number_of(spec, "gain", hdu, remedy)
    known = parse(unit)
    bases = dict(zip(known.bases, known.powers)) if isinstance(known, u.UnitBase) else {}
    per_second = bases.get(u.s, 0) < 0
    exposure = number_of(spec, "exposure", hdu, "give exposure as a number: seconds, over all exposures")
    if gain is None and bases.get(u.electron) == 1:
        gain = 1.0 / known.scale
        if per_second and exposure is None:
            exposure = number_of({"exposure_key": "EXPTIME"}, "exposure", hdu, "give exposure: seconds")
    if gain is None or not gain > 0:
        raise StudyError(
            "no positive gain",
            hdu.path,
            "give gain or gain_key: electrons per image unit, over all exposures; it sets the "
            "photon noise of what is injected",
        )
    if exposure is None:
        return gain
    if not exposure > 0 or (known is not None and not per_second):
        wrong = "is not positive" if not exposure > 0 else f"is given, but pixels in {unit} are not per second"
        raise StudyError(f"the exposure {wrong}", hdu.path, "leave exposure out, or correct it")
    return gain * exposure
