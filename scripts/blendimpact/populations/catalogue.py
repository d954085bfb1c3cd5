"""Injection catalogues with the columns of LSST's source_injection package.

Conventions, as that package's code has them (its documentation leaves the first two open):

* ``half_light_radius`` (arcsec) is GalSim's, before a shear by ``q`` and ``beta`` that preserves area: it is
  the circularised radius, sqrt(a b), not the semi-major axis a.
* ``beta`` (deg) of a galaxy is GalSim's angle in sky coordinates with u towards east and v towards north
  (afw's ``linearizePixelToSky``): from east through north. The position angle of the major axis, from
  north through east, is 90 deg - beta. A catalogue whose ``beta`` is a position angle is read
  with ``beta="position_angle"``.
* ``beta`` of a Trail is measured in the image, from the x axis counterclockwise, and ``trail_length`` is in
  pixels unless the column has a unit; ``mag`` is that of a piece one pixel long, unless read with
  ``trail_mag="total"``.
* ``mag`` is one band's; ``mag_<band>`` columns, if there are any, go before it.
* ``Comet`` is the study's own: `sky.comets` has the profile. ``mag`` is that of nucleus, coma and tail
  together, ``tail_angle`` is measured as that of a trail.
* ``draw_size`` is not used: a stamp ends where its surface brightness is negligible.
"""

import os

import numpy as np
from astropy import units
from astropy.table import MaskedColumn, Table

from ..data.catalogues import describe
from ..data.frames import pixel_to_sky, sky_to_pixel
from ..errors import StudyError
from ..sky.blends import moments_to_shape
from .extras import COMET, comet_columns

# source_type -> (kind, Sersic index if it is fixed, columns that a row needs)
SOURCE_TYPES = {
    "Sersic": ("sersic", None, ("n", "half_light_radius")),
    "Exponential": ("sersic", 1.0, ("half_light_radius",)),
    "DeVaucouleurs": ("sersic", 4.0, ("half_light_radius",)),
    "Gaussian": ("sersic", 0.5, ("half_light_radius",)),
    "DeltaFunction": ("star", None, ()),
    "Star": ("star", None, ()),
    "Stamp": ("stamp", None, ("stamp",)),
    "Trail": ("trail", None, ("trail_length",)),
    "Comet": ("comet", None, ("nucleus_fraction", "coma_radius")),
    "Galaxy": (
        "galaxy",
        None,
        ("hlr_bulge", "n_bulge", "g1_bulge", "g2_bulge", "hlr_disk", "n_disk", "g1_disk", "g2_disk"),
    ),
}
COLUMNS = {
    "injection_id": (None, "id of the source in its catalogue"),
    "ra": ("deg", "right ascension"),
    "dec": ("deg", "declination"),
    "source_type": (None, "type of profile, as in LSST's source_injection; Galaxy: bulge and disk"),
    "n": (None, "Sersic index"),
    "half_light_radius": ("arcsec", "circularised half-light radius"),
    "q": (None, "axis ratio"),
    "beta": ("deg", "galaxy: angle of the major axis from east through north; trail: from the x axis"),
    "stamp": (None, "FITS file of a stamp"),
    "trail_length": ("arcsec", "length of a trail"),
    **COMET,
}
FORMATS = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".parq": "parquet",
}
PADDING = 100.0
_LISTED = 5


def _rows(bad, ids=None):
    """Return text that names the rows (0-based) where ``bad`` is set."""
    where = np.flatnonzero(bad)
    shown = ", ".join(str(k) if ids is None else f"{k} (injection_id {ids[k]})" for k in where[:_LISTED])
    return f"{len(where)} rows: {shown}" + (", ..." if len(where) > _LISTED else "")


def completed(drawn, who):
    """Return what a population has drawn, as a catalogue would be read.

    Sersic profiles that say nothing of it are round, and each type has its index.

    Parameters
    ----------
    drawn : Table
        Columns of an injection catalogue.
    who : str
        The population, for messages.

    Raises
    ------
    StudyError
        If a source has an unknown type, or a column that its type needs is missing.
    """
    types = np.asarray(drawn["source_type"]).astype(str)
    for name in map(str, np.unique(types)):
        if name not in SOURCE_TYPES:
            known = f"known are {', '.join(SOURCE_TYPES)}"
            raise StudyError(f"{who} drew the unknown source_type {name!r}", None, known)
        kind, index, needed = SOURCE_TYPES[name]
        if missing := [c for c in needed if c not in drawn.colnames]:
            raise StudyError(f"{who} drew {name} sources without {', '.join(missing)}", None, "add these columns")
        if kind == "sersic":
            for column, default in (("q", 1.0), ("beta", 0.0), ("n", index)):
                if column not in drawn.colnames:
                    drawn[column] = np.full(len(drawn), np.nan)
                unsaid = (types == name) & np.isnan(np.asarray(drawn[column], float))
                if default is not None:
                    drawn[column][unsaid] = default
            if index is not None:
                drawn["n"][types == name] = index
    return drawn


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
        ``mag_<band>`` of a trail is that of the whole trail.

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
        given = Table.read(path, format=kind)
    except FileNotFoundError as error:
        raise StudyError("the injection catalogue is not there", where, "check inject.catalogue") from error
    except Exception as error:  # each reader raises its own
        raise StudyError(
            f"the injection catalogue cannot be read ({error})", where, f"check that it is {kind}"
        ) from error
    if not len(given):
        raise StudyError("the injection catalogue is empty", where, "give at least one source")
    return standardise(given, bands, pixel_scale, where, beta, trail_mag)


def standardise(given, bands, pixel_scale, where="catalogue", beta="source_injection", trail_mag="pixel"):
    """Check a table of sources and convert it to the units of `read_catalogue`, which see."""
    missing = [name for name in ("ra", "dec", "source_type") if name not in given.colnames]
    if missing:
        raise StudyError(
            f"columns missing: {', '.join(missing)}",
            where,
            "the columns are those of LSST's source_injection; there are " + ", ".join(given.colnames),
        )
    n = len(given)
    out = Table()
    out["injection_id"] = _ids(given, where)
    ids = np.asarray(out["injection_id"])
    types = np.array([str(t.decode() if isinstance(t, bytes) else t).strip() for t in given["source_type"]])
    unknown = ~np.isin(types, list(SOURCE_TYPES))
    if unknown.any():
        raise StudyError(
            f"unknown source_type {', '.join(sorted(set(types[unknown])))} in {_rows(unknown, ids)}",
            where,
            f"known are {', '.join(SOURCE_TYPES)}",
        )
    for name in ("ra", "dec"):
        out[name] = _numbers(given, name, units.deg, where)
    out["source_type"] = types
    for band in bands:
        names = [m for m in (f"mag_{band}", f"{band}_mag", "mag") if m in given.colnames]
        if not names:
            raise StudyError(f"no magnitudes in band {band}", where, f"add a column mag_{band}, or mag for all bands")
        out[f"mag_{band}"] = _numbers(given, names[0], units.mag, where)
    for name, unit in (("n", None), ("half_light_radius", units.arcsec), ("q", None), ("beta", units.deg)):
        out[name] = _numbers(given, name, unit, where) if name in given.colnames else np.full(n, np.nan)
    kinds = np.array([SOURCE_TYPES[t][0] for t in types])
    for t, (_, index, _) in SOURCE_TYPES.items():
        if index is not None:
            out["n"][types == t] = index
    shaped = kinds == "sersic"
    # round where it says nothing, as source_injection has it
    out["q"] = np.where(shaped & np.isnan(out["q"]), 1.0, out["q"])
    out["beta"] = np.where((shaped | (kinds == "trail")) & np.isnan(out["beta"]), 0.0, out["beta"])
    if beta == "position_angle":
        out["beta"] = np.where(shaped, 90.0 - out["beta"], out["beta"])
    elif beta != "source_injection":
        raise StudyError(f"unknown convention {beta!r} of beta", "inject.beta", "source_injection or position_angle")
    _trails(out, given, kinds, pixel_scale, bands, trail_mag, where)
    if (kinds == "comet").any():
        comet_columns(out, given, kinds == "comet", _numbers, where, lambda bad: _rows(bad, ids))
    folder = os.path.dirname(where)
    out["stamp"] = (
        [os.path.join(folder, p) if p else "" for p in _texts(given["stamp"])]
        if "stamp" in given.colnames
        else np.full(n, "", dtype="U1")
    )
    for name in ("redshift", *SOURCE_TYPES["Galaxy"][2], *(f"bulge_fraction_{b}" for b in bands)):
        if name in given.colnames:
            out[name] = _numbers(given, name, units.arcsec if name.startswith("hlr") else None, where)
    _complete(out, types, bands, where, ids)
    return describe(out, {**COLUMNS, **{f"mag_{b}": ("mag", f"AB magnitude in {b}") for b in bands}})


def _ids(given, where):
    if "injection_id" not in given.colnames:
        return np.arange(len(given), dtype=np.int64)
    values = given["injection_id"]
    values = values.filled(-1) if isinstance(values, MaskedColumn) else values
    try:
        ids = np.asarray(values, dtype=np.int64)
        wrong = (ids != np.asarray(values)) | (ids < 0) | (ids >= 2**62)
    except (TypeError, ValueError):
        ids, wrong = None, np.ones(len(given), bool)
    if wrong.any():
        raise StudyError(
            f"injection_id must be a whole number >= 0, and is not in {_rows(wrong)}",
            where,
            "number the sources, or leave the column out",
        )
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if (counts > 1).any():
        twice = np.isin(ids, ids[first[counts > 1]])
        raise StudyError(f"the same injection_id in {_rows(twice, ids)}", where, "give each source its own")
    return ids


def _texts(column):
    column = column.filled("") if isinstance(column, MaskedColumn) else column
    return [(v.decode() if isinstance(v, bytes) else str(v)).strip() for v in column]


def _numbers(given, name, unit, where):
    """Return a column as float64 in ``unit`` (what has no unit is in it already), NaN where masked."""
    column = given[name]
    if isinstance(column, MaskedColumn) or hasattr(column, "mask"):
        column = column.astype(float).filled(np.nan) if hasattr(column, "filled") else column
    try:
        own = getattr(column, "unit", None)
        values = np.asarray(column, dtype=float)
        if unit is not None and own is not None and own != unit:
            values = (values * units.Unit(own)).to(unit).value
    except (TypeError, ValueError, units.UnitConversionError) as error:
        raise StudyError(
            f"column {name} does not hold numbers in {unit or 'no unit'} ({error})",
            where,
            f"convert it to {unit}" if unit else "give numbers",
        ) from error
    return values.copy()


def _trails(out, given, kinds, pixel_scale, bands, trail_mag, where):
    """Put ``trail_length`` in arcsec and the magnitudes of trails for their whole length."""
    if trail_mag not in ("pixel", "total"):
        raise StudyError(f"unknown magnitude {trail_mag!r} of trails", "inject.trail_mag", "pixel or total")
    out["trail_length"] = np.full(len(out), np.nan)
    if "trail_length" not in given.colnames:
        return
    column = given["trail_length"]
    own = getattr(column, "unit", None)
    if own is None or own == units.pix:
        length = _numbers(given, "trail_length", None, where) * pixel_scale
    else:
        length = _numbers(given, "trail_length", units.arcsec, where)
    trail = kinds == "trail"
    out["trail_length"] = np.where(trail, length, np.nan)
    if trail_mag == "pixel":
        with np.errstate(divide="ignore", invalid="ignore"):
            brighter = np.where(trail & (length > 0), 2.5 * np.log10(length / pixel_scale), 0.0)
        for band in bands:
            out[f"mag_{band}"] = np.where(trail, out[f"mag_{band}"] - brighter, out[f"mag_{band}"])


def _complete(out, types, bands, where, ids):
    """Raise if a row lacks what its type needs."""
    needed = {
        "ra": np.ones(len(out), bool),
        "dec": np.ones(len(out), bool),
        **{f"mag_{b}": np.ones(len(out), bool) for b in bands},
    }
    for name, (_, _, columns) in SOURCE_TYPES.items():
        extra = tuple(f"bulge_fraction_{b}" for b in bands) if name == "Galaxy" else ()
        for column in (*columns, *extra):
            needed[column] = needed.get(column, np.zeros(len(out), bool)) | (types == name)
    for column, rows in needed.items():
        if not rows.any():
            continue
        if column not in out.colnames:
            raise StudyError(f"column {column} is missing, needed in {_rows(rows, ids)}", where, "add it")
        values = out[column]
        empty = rows & (np.asarray(values) == "" if column == "stamp" else ~np.isfinite(np.asarray(values)))
        if empty.any():
            raise StudyError(
                f"column {column} is empty or not a number in {_rows(empty, ids)}",
                where,
                "fill it, or leave these rows out",
            )


def on_patch(catalogue, patch, padding=PADDING):
    """Return the rows of a catalogue that lie on a patch or within ``padding`` pixels of it."""
    image = patch.reference
    ny, nx = patch.shape
    ra, dec = (np.radians(np.asarray(catalogue[name], float)) for name in ("ra", "dec"))
    ra0, dec0 = np.radians(pixel_to_sky(image.wcs, (nx - 1) / 2, (ny - 1) / 2))
    # first by distance on the sphere: a tangent plane also shows the other half of the sky
    square = np.sin((dec - dec0) / 2) ** 2 + np.cos(dec) * np.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    reach = np.radians((0.5 * np.hypot(nx, ny) + 1.5 * padding) * image.pixel_scale / 3600)
    near = catalogue[2 * np.arcsin(np.sqrt(np.minimum(square, 1))) < reach]
    if not len(near):
        return near
    x, y = sky_to_pixel(image.wcs, near["ra"], near["dec"])
    return near[(x > -padding) & (x < nx - 1 + padding) & (y > -padding) & (y < ny - 1 + padding)]


class UserCatalogue:
    """The sources of an injection catalogue, drawn as a population is.

    Parameters
    ----------
    path : path-like
    settings : dict
        ``bands``, ``pixel_scale`` and ``inject``: ``beta``, ``trail_mag``.
    """

    columns = COMET

    def __init__(self, path, settings):
        inject = settings["inject"]
        self.path, self.bands, self.sources = path, settings["bands"], None
        self.options = {key: inject[key] for key in ("beta", "trail_mag") if key in inject}

    def draw(self, settings, patch, *_):
        """Return the sources on a patch; the file is read for the first one."""
        if self.sources is None:
            self.sources = read_catalogue(self.path, self.bands, patch.pixel_scale, **self.options)
        return on_patch(self.sources, patch)


def sky_shape_to_pixels(q, beta, matrix):
    """Return the reduced shear (g1, g2) along the pixel axes of a galaxy given on the sky.

    Parameters
    ----------
    q, beta : float
        Axis ratio, and angle of the major axis in deg from east through north.
    matrix : (2, 2) array
        From `data.frames.jacobian`.

    Returns
    -------
    tuple of float
        |g| = (1 - q) / (1 + q). Second moments transform as M^-1 Q M^-T, so orientation, parity and
        anisotropy of the WCS are all in it.
    """
    angle = np.radians(beta)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(matrix)
    moments = inverse @ turn @ np.diag([1 / q, q]) @ turn.T @ inverse.T
    g1, g2 = moments_to_shape(moments)
    return float(g1), float(g2)
