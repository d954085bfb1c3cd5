"""Trails of moving objects on a difference: place, length, angle and flux."""

import numpy as np

from ..data.psf_shift import equivalent_fwhm
from . import profile_fit
from .difference import BITS, UNITS, start, table

_CLASS = 8  # pixels: starts whose canvas differs by less are fitted together


def fit_trails(difference, x, y, length, angle):
    """Fit the PSF drawn along a line of uniform brightness.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Middle of the trail where the fit starts, pixels.
    length : (N,) array
        At the start, pixels, > 0.
    angle : (N,) array
        At the start, rad, counterclockwise from the x axis; a trail has no direction, so it is modulo pi.

    Returns
    -------
    astropy.table.Table
        N rows: ``x``, ``y``, ``length`` (pixels), ``angle`` (rad, within half a turn of the start), their errors
        ``_err``, ``flux``, ``flux_err`` (science image's unit), ``flag``. Where the length shrinks to nothing,
        length is 0, its error and the angle NaN, and the rest is that of `fit_points` (bit UNRESOLVED): short
        trails have a length that is biased, see the tests.
    """
    x, y, length, angle, here, flag = start(difference, x, y, length, angle)
    fwhm = equivalent_fwhm(difference.psf)
    values, errors = np.full((2, len(x), 4), np.nan)
    flux, flux_err = np.full((2, len(x)), np.nan)
    # From nothing no step would lead away.
    begin = np.column_stack([np.maximum(length, 2 * profile_fit.SHORT * fwhm), angle])
    reach = np.ceil(profile_fit.longest(begin[:, 0], fwhm) / 2 / _CLASS)
    groups = [(np.flatnonzero(here & (reach == k)), k * _CLASS) for k in np.unique(reach[here])]
    for rows, wide in groups:
        found = profile_fit.fit(difference, x[rows], y[rows], begin[rows], profile_fit.trails, wide)
        values[rows], errors[rows], flux[rows], flux_err[rows] = found.values, found.errors, found.flux, found.flux_err
        flag[rows] |= found.flag
    short = np.flatnonzero(flag & BITS.UNRESOLVED)
    if len(short):
        found = profile_fit.fit(difference, x[short], y[short])
        values[short, :2], errors[short, :2], flux[short] = found.values, found.errors, found.flux
        flux_err[short], values[short, 2] = found.flux_err, np.where(np.isfinite(found.flux), 0, np.nan)
        flag[short] |= found.flag
    names = ("x", "y", "length", "angle")
    texts = UNITS | {
        "length": ("pix", "length of the trail"),
        "length_err": ("pix", "standard error of length"),
        "angle": ("rad", "angle, counterclockwise from the x axis"),
        "angle_err": ("rad", "standard error of angle"),
    }
    columns = dict(zip(names, values.T)) | {f"{n}_err": e for n, e in zip(names, errors.T)}
    columns |= {"flux": flux, "flux_err": flux_err, "flag": flag}
    order = ("x", "y", "flux", "flux_err", "length", "length_err", "angle", "angle_err", "x_err", "y_err", "flag")
    return table({name: columns[name] for name in order}, texts)
