"""Types of sources in injection catalogues: what they are drawn as, and the columns that say how.

Types, columns and conventions are those of LSST's source_injection package, as its code has them (its documentation
leaves the first two open):

* ``half_light_radius`` (arcsec) is GalSim's, before a shear that preserves area: it is the circularised radius,
  sqrt(a b), not the semi-major axis a. ``scale_radius``, and ``sigma`` or ``fwhm`` of a Gaussian, are GalSim's too.
* The shape is whatever `galsim.Shear` takes: ``q`` and ``beta``, or ``g1`` and ``g2``, ``e1`` and ``e2``, ``eta1`` and
  ``eta2``, or ``g``, ``e`` or ``eta`` and ``beta``. It is on the sky, with u towards east and v towards north
  (afw's ``linearizePixelToSky``): ``beta`` (deg) is from east through north, and the position angle of the major axis,
  from north through east, is 90 deg - beta.
"""

import galsim
import numpy as np
from astropy import units

from ..errors import StudyError
from .columns import named_rows
from .extras import COMET

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
SIZES = {"scale_radius": ("Sersic", "Exponential", "DeVaucouleurs"), "sigma": ("Gaussian",), "fwhm": ("Gaussian",)}
"""Columns that stand for ``half_light_radius``, and the types that GalSim has them for."""
SHEARS = ("g1", "g2", "g", "e1", "e2", "e", "eta1", "eta2", "eta")
"""Keywords of `galsim.Shear`, beside ``q`` and ``beta``."""


def sizes(given, types, n, ids):
    """Return half-light radii (arcsec, NaN where a row has none) of a user's columns.

    Parameters
    ----------
    given : columns.Columns
    types : (N,) str array
    n : (N,) array
        Sersic indices.
    ids : (N,) int array
        For messages.

    Raises
    ------
    StudyError
        If a row has two sizes.
    """
    radius = (
        given.numbers("half_light_radius", units.arcsec)
        if "half_light_radius" in given
        else np.full(len(types), np.nan)
    )
    for name, of in SIZES.items():
        if name not in given:
            continue
        values = given.numbers(name, units.arcsec)
        rows = np.isin(types, of) & ~np.isnan(values)
        if (rows & ~np.isnan(radius)).any():
            twice = named_rows(rows & ~np.isnan(radius), ids)
            raise StudyError(f"{name} beside another size in {twice}", given.where, "give one size per source")
        for kind, index in {(str(t), float(v)) for t, v in zip(types[rows], n[rows])}:
            same = rows & (types == kind) & ((n == index) | np.isnan(n))
            radius[same] = values[same] * _half_light(kind, index, name)
    return radius


def _half_light(kind, index, name):
    """Return the half-light radius of a profile whose size ``name`` is 1; NaN where GalSim has no such profile."""
    try:
        return getattr(galsim, kind)(**({"n": index} if kind == "Sersic" else {}), **{name: 1.0}).half_light_radius
    except (galsim.GalSimError, TypeError, ValueError):
        return np.nan


def shapes(given, shaped, ids):
    """Return axis ratio and angle ``beta`` (deg) of a user's columns: NaN where a row says nothing.

    Parameters
    ----------
    given : columns.Columns
    shaped : (N,) bool array
        Rows that have a shape.
    ids : (N,) int array
        For messages.

    Raises
    ------
    StudyError
        If GalSim has no such shear.
    """
    q = given.numbers("q") if "q" in given else np.full(len(shaped), np.nan)
    beta = given.numbers("beta", units.deg) if "beta" in given else np.full(len(shaped), np.nan)
    sheared = {name: given.numbers(name) for name in SHEARS if name in given}
    if not sheared:
        return q, beta
    for k in np.flatnonzero(shaped & np.any([~np.isnan(v) for v in sheared.values()], axis=0)):
        known = {name: float(v[k]) for name, v in sheared.items() if not np.isnan(v[k])}
        known |= {} if np.isnan(q[k]) else {"q": float(q[k])}
        if not np.isnan(beta[k]) or {"q", "g", "e", "eta"} & set(known):
            known["beta"] = (0.0 if np.isnan(beta[k]) else float(beta[k])) * galsim.degrees
        try:
            shear = galsim.Shear(**known)
        except (galsim.GalSimError, TypeError, ValueError) as error:
            row = named_rows(np.arange(len(shaped)) == k, ids)
            raise StudyError(
                f"{', '.join(known)} are no shape in {row} ({error})",
                given.where,
                "give q and beta, or g1 and g2, or another pair of galsim.Shear, of size below 1",
            ) from error
        q[k], beta[k] = shear.q, shear.beta.deg
    return q, beta


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


def check_complete(out, types, bands, where, ids):
    """Raise if a row of a catalogue lacks what its type needs, and say in which rows."""
    every = np.ones(len(out), bool)
    needed = {"ra": every, "dec": every, **{f"mag_{b}": every for b in bands}}
    for name, (_, _, columns) in SOURCE_TYPES.items():
        extra = tuple(f"bulge_fraction_{b}" for b in bands) if name == "Galaxy" else ()
        for column in (*columns, *extra):
            needed[column] = needed.get(column, np.zeros(len(out), bool)) | (types == name)
    for column, rows in needed.items():
        if not rows.any():
            continue
        if column not in out.colnames:
            raise StudyError(f"column {column} is missing, needed in {named_rows(rows, ids)}", where, "add it")
        values = out[column]
        empty = rows & (np.asarray(values) == "" if column == "stamp" else ~np.isfinite(np.asarray(values)))
        if empty.any():
            raise StudyError(
                f"column {column} is empty or not a number in {named_rows(empty, ids)}",
                where,
                "fill it, or leave these rows out",
            )
