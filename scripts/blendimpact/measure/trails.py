"""Trails of moving objects on a difference: place, length, angle and flux, and what light no trail explains."""

import numpy as np

from ..data.psf_shift import equivalent_fwhm
from ..search.filters import forced, trail
from ..subtract.kernels import shifted
from ..subtract.linear import nearest
from . import profile_fit
from .difference import BITS, UNITS, circles, start, table

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


def likely_angles(difference, x, y, length, number=4):
    """Return the angle of those of ``number`` trails of one length (pixels) that fits best at each place, (N,) rad."""
    angles = np.pi * np.arange(number) / number
    heights = [forced(difference, x, y, trail(difference.psf, length, angle))["snr"] for angle in angles]
    return angles[np.argmax(np.nan_to_num(heights, nan=-np.inf), axis=0)]


def line_activity(difference, x, y, flux_ap, fit, point, radius):
    """Compare the flux in a circle with that of the trail that fits best.

    E = 1 - c F / F_ap as `difference.activity` has it, but F is the flux of a trail, and c the part of its light in the
    circle: so E of any trail is 0, as of a point. Where no trail was fitted it is a point at its fitted place.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Centres of the circles, pixels.
    flux_ap : (N,) array
        Fluxes in them, in the science image's unit.
    fit, point : Table
        Of `fit_trails` and of `difference.fit_points` for these places.
    radius : float
        Of the circles, pixels.

    Returns
    -------
    (N,) array
        NaN where neither was fitted, or the circle has no light.
    """
    own = np.isfinite(fit["flux"])
    flux, px, py = (np.where(own, fit[n], point[n]) for n in ("flux", "x", "y"))
    length, angle = (np.where(own, np.nan_to_num(fit[n]), 0.0) for n in ("length", "angle"))
    out = np.full(len(x), np.nan)
    half = int(np.ceil(radius + 1))
    for k in np.flatnonzero(np.isfinite(flux) & (np.asarray(flux_ap) != 0)):
        i, j = (v[:1] for v in nearest(np.array([x[k]]), np.array([y[k]])))
        image = trail(difference.psf, length[k], angle[k])
        room = max(half + int(np.ceil(np.hypot(px[k] - i[0], py[k] - j[0]))) + 1 - image.shape[0] // 2, 1)
        drawn = shifted(np.pad(image, room), px[k : k + 1] - i, py[k : k + 1] - j)
        _, _, disc, _ = circles(difference, x[k : k + 1], y[k : k + 1], radius)
        off = (drawn.shape[-1] - disc.shape[-1]) // 2
        size = disc.shape[-1]
        share = (drawn[0, off : off + size, off : off + size] * disc[0]).sum()
        out[k] = 1 - share * flux[k] / flux_ap[k]
    return out
