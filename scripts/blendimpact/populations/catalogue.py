"""Injection catalogues: read from the files that users have, checked, in the units and conventions of the study.

`source_types` has the types, and what sizes and shapes mean. The other conventions of LSST's source_injection:

* ``beta`` of a Trail is measured in the image, from the x axis counterclockwise, and ``trail_length`` is in
  pixels unless the column has a unit; ``mag`` is that of a piece one pixel long, unless read with
  ``trail_mag="total"``. A catalogue whose ``beta`` of galaxies is a position angle is read with
  ``beta="position_angle"``.
* ``mag`` is one band's; ``mag_<band>`` columns, if there are any, go before it.
* ``Comet`` is the study's own: `sky.comets` has the profile. ``mag`` is that of nucleus, coma and tail
  together, ``tail_angle`` is measured as that of a trail.
* Every row is injected, whatever its visit or detector, at its ra and dec; a stamp ends where its surface brightness
  is negligible, whatever ``draw_size`` says. Columns that are not used are named in ``meta["notes"]``.
"""

import os
from pathlib import Path

import numpy as np
from astropy import units
from astropy.table import Table

from ..data.catalogues import describe
from ..errors import StudyError
from .columns import Columns, named_rows
from .extras import comet_columns
from .source_types import COLUMNS, SOURCE_TYPES, check_complete, shapes, sizes

FORMATS = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".parq": "parquet",
}
MAGNITUDES = (0.0, 40.0)
"""Catalogues have numbers outside of these (99, -99, -9999) where they know no magnitude."""
UNUSED = {
    "visit": "every row is injected, whatever its visit",
    "detector": "every row is injected, whatever its detector",
    "draw_size": "a source is drawn to where it is negligible",
    "x": "sources are put at ra and dec",
    "y": "sources are put at ra and dec",
}
"""Columns of source_injection that say nothing here, and why."""
REFUSED = {
    "trunc": "truncated profiles are not drawn",
    "flux_untruncated": "truncated profiles are not drawn",
    "shear": "give g1 and g2, or q and beta",
    "band": "give one row per source, with a column mag_<band> for each band",
}
"""Columns that would change what is drawn, and what to do."""


def read_catalogue(path, bands, pixel_scale, beta="source_injection", trail_mag="pixel"):
    """Read an injection catalogue.

    Parameters
    ----------
    path : path-like
        CSV, ECSV, FITS or Parquet.
    bands : sequence of str
        Bands that magnitudes are needed for.
    pixel_scale : float
        Arcsec per pixel: trails without a unit have their length in pixels.
    beta : {"source_injection", "position_angle"}
        What the angle of a galaxy is; see the module's text.
    trail_mag : {"pixel", "total"}
        What the magnitude of a trail is that of.

    Returns
    -------
    Table
        ``injection_id``, ``ra``, ``dec`` (deg), ``source_type``, ``mag_<band>``, and what there is of
        ``n``, ``half_light_radius`` (arcsec), ``q``, ``beta`` (deg, source_injection's), ``stamp`` (path,
        relative to the catalogue's folder), ``trail_length`` (arcsec), NaN where a row has none.
        ``mag_<band>`` of a trail is that of the whole trail. ``meta["notes"]``: sentences on what is not used, and on
        rows that cannot be drawn.

    Raises
    ------
    StudyError
        If the catalogue cannot be read, is empty, lacks columns, or rows have no number where one is
        needed, an unknown ``source_type`` or the id of another; rows are listed.
    """
    where = str(path)
    kind = FORMATS.get(os.path.splitext(where)[1].lower())
    if kind is None:
        raise StudyError("unknown format of an injection catalogue", where, f"use one of {', '.join(FORMATS)}")
    try:
        given = _table(path, kind)
    except FileNotFoundError as error:
        raise StudyError("the injection catalogue is not there", where, "check inject.catalogue") from error
    except Exception as error:  # each reader raises its own
        raise StudyError(
            f"the injection catalogue cannot be read ({error})", where, f"check that it is {kind}"
        ) from error
    if not len(given):
        raise StudyError("the injection catalogue is empty", where, "give at least one source")
    return standardise(given, bands, pixel_scale, where, beta, trail_mag)


def _table(path, kind):
    """Return a table as it stands in its file; text may begin with a byte order mark, and with comments."""
    if not kind.startswith("ascii"):
        return Table.read(path, format=kind)
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    if kind == "ascii.csv":
        lines = [line for line in lines if not line.startswith("#")]
    return Table.read(lines, format=kind)


def standardise(given, bands, pixel_scale, where="catalogue", beta="source_injection", trail_mag="pixel"):
    """Check a table of sources and convert it to the units of `read_catalogue`, which see."""
    missing = [name for name in ("ra", "dec", "source_type") if name not in given.colnames]
    if missing:
        raise StudyError(
            f"columns missing: {', '.join(missing)}",
            where,
            "the columns are those of LSST's source_injection; there are " + ", ".join(given.colnames),
        )
    given, out = Columns(given, where), Table()
    out["injection_id"] = ids = given.ids("injection_id")
    types = np.array(given.texts("source_type"))
    unknown = ~np.isin(types, list(SOURCE_TYPES))
    if unknown.any():
        raise StudyError(
            f"unknown source_type {', '.join(sorted(set(types[unknown])))} in {named_rows(unknown, ids)}",
            where,
            f"known are {', '.join(SOURCE_TYPES)}",
        )
    kinds = np.array([SOURCE_TYPES[t][0] for t in types])
    for name in ("ra", "dec"):
        out[name] = given.numbers(name, units.deg)
    out["source_type"] = types
    for band in bands:
        out[f"mag_{band}"] = given.magnitudes(band)
    _profiles(out, given, types, kinds, ids, beta)
    _trails(out, given, kinds, pixel_scale, bands, trail_mag)
    if (kinds == "comet").any():
        comet_columns(out, given, kinds == "comet", lambda bad: named_rows(bad, ids))
    folder = os.path.dirname(where)
    stamps = given.texts("stamp") if "stamp" in given else [""] * len(out)
    out["stamp"] = np.array([os.path.join(folder, p) if p else "" for p in stamps], dtype=str)
    for name in ("redshift", *SOURCE_TYPES["Galaxy"][2], *(f"bulge_fraction_{b}" for b in bands)):
        if name in given:
            out[name] = given.numbers(name, units.arcsec if name.startswith("hlr") else None)
    check_complete(out, types, bands, where, ids)
    _check_places(out, ids, where)
    out.meta["notes"] = [*_unused(given, bands), *_without_magnitude(out, bands, ids, where)]
    return describe(out, {**COLUMNS, **{f"mag_{b}": ("mag", f"AB magnitude in {b}") for b in bands}})


def _profiles(out, given, types, kinds, ids, beta):
    """Add index, size and shape of Sersic profiles, and the angle of trails."""
    out["n"] = given.numbers("n") if "n" in given else np.full(len(out), np.nan)
    for name, (_, index, _) in SOURCE_TYPES.items():
        if index is not None:
            out["n"][types == name] = index
    out["half_light_radius"] = sizes(given, types, np.asarray(out["n"]), ids)
    shaped = kinds == "sersic"
    q, angle = shapes(given, shaped, ids)
    # round where it says nothing, as source_injection has it
    out["q"] = np.where(shaped & np.isnan(q), 1.0, q)
    angle = np.where((shaped | (kinds == "trail")) & np.isnan(angle), 0.0, angle)
    if beta not in ("source_injection", "position_angle"):
        raise StudyError(f"unknown convention {beta!r} of beta", "inject.beta", "source_injection or position_angle")
    out["beta"] = np.where(shaped, 90.0 - angle, angle) if beta == "position_angle" else angle


def _check_places(out, ids, where):
    """Raise if there is no such place on the sky."""
    for name, low, high in (("ra", -180, 360), ("dec", -90, 90)):
        values = np.asarray(out[name])
        outside = (values < low) | (values > high)
        if outside.any():
            raise StudyError(
                f"{name} is outside of {low} to {high} deg in {named_rows(outside, ids)} ({values[outside][0]:g})",
                where,
                "give ICRS degrees, or the column's unit",
            )


def _unused(given, bands):
    """Return sentences on the columns that are not used; raise if they would change what is drawn."""
    unread = given.unread()
    for name in (n for n in REFUSED if n in unread):
        if name == "band" and set(given.texts(name)) <= {bands[0]} and len(bands) == 1:
            continue
        if given.filled(name).any():
            raise StudyError(f"column {name} cannot be used", given.where, f"{REFUSED[name]}, or remove the column")
    known = {name: UNUSED[name] for name in unread if name in UNUSED}
    others = [name for name in unread if name not in UNUSED]
    said = [f"{given.where}: column {name} is not used: {why}" for name, why in known.items()]
    return said + ([f"{given.where}: columns that are not used: {', '.join(others)}"] if others else [])


def _without_magnitude(out, bands, ids, where):
    """Return a sentence on the rows whose numbers are no magnitudes; raise if no row has any."""
    bad = np.zeros(len(out), bool)
    for band in bands:
        mag = np.asarray(out[f"mag_{band}"])
        bad |= ~((mag > MAGNITUDES[0]) & (mag < MAGNITUDES[1]))
    if bad.all():
        raise StudyError(
            f"no row has a magnitude between {MAGNITUDES[0]:g} and {MAGNITUDES[1]:g}", where, "give AB magnitudes"
        )
    if not bad.any():
        return []
    return [f"{where}: no magnitude, so flagged BAD_PARAMETERS and not injected: {named_rows(bad, ids)}"]


def _trails(out, given, kinds, pixel_scale, bands, trail_mag):
    """Put ``trail_length`` in arcsec and the magnitudes of trails for their whole length."""
    if trail_mag not in ("pixel", "total"):
        raise StudyError(f"unknown magnitude {trail_mag!r} of trails", "inject.trail_mag", "pixel or total")
    out["trail_length"] = np.full(len(out), np.nan)
    if "trail_length" not in given:
        return
    if given.unit("trail_length") in (None, units.pix):
        length = given.numbers("trail_length") * pixel_scale
    else:
        length = given.numbers("trail_length", units.arcsec)
    trail = kinds == "trail"
    out["trail_length"] = np.where(trail, length, np.nan)
    if trail_mag == "pixel":
        with np.errstate(divide="ignore", invalid="ignore"):
            brighter = np.where(trail & (length > 0), 2.5 * np.log10(length / pixel_scale), 0.0)
        for band in bands:
            out[f"mag_{band}"] = np.where(trail, out[f"mag_{band}"] - brighter, out[f"mag_{band}"])
