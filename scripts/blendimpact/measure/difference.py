"""What is measured on a difference at given places: positions, apertures, activity, residuals.

Positions are in pixels, 0-based; fluxes in the science image's unit, negative where light is missing. All errors
are those of all terms of `Difference.noise`, correlation and varying depth in them; the `registration` term is not.
A place where nothing can be measured has NaN and says why in its ``flag``.
"""

import numpy as np
from astropy.table import Table

from ..data.catalogues import describe
from ..search.filters import LEAST, filters_at, padded_filter
from ..subtract.kernels import shifted
from ..subtract.linear import covariance, inside, nearest, stamps
from .profile_fit import BITS, fit

UNITS = {
    "x": ("pix", "position along axis 1, 0-based"),
    "y": ("pix", "position along axis 2, 0-based"),
    "x_err": ("pix", "standard error of x"),
    "y_err": ("pix", "standard error of y"),
    "flux": (None, "flux in the science image's unit"),
    "flux_err": (None, "its standard error"),
    "flag": (None, "bits of blendimpact.measure.difference.MEASURE_BITS"),
}


def table(columns, texts):
    """Return a described table of columns by name."""
    return describe(Table(columns), {name: texts[name] for name in columns})


def start(difference, *columns):
    """Return columns as float arrays, which rows can be measured, and the flags of the others."""
    columns = [np.atleast_1d(np.asarray(c, dtype=float)) for c in columns]
    here = inside(difference.image.shape, *columns[:2]) & np.all(np.isfinite(columns), axis=0)
    flag = np.where(here, 0, BITS.OUTSIDE)
    if not difference.good.any():
        flag = np.where(here, BITS.LOST, flag)
        here = np.zeros(len(here), dtype=bool)
    return *columns, here, flag.astype(np.int32)


def fit_points(difference, x, y):
    """Fit position and flux of point sources.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Where the fit starts, in pixels; off by half a PSF FWHM at most.

    Returns
    -------
    astropy.table.Table
        N rows: ``x``, ``y``, ``x_err``, ``y_err`` (pixels), ``flux``, ``flux_err`` (science image's unit, at the fitted
        position), ``flag``. See `profile_fit.fit` for the method.
    """
    x, y, here, flag = start(difference, x, y)
    out = np.full((6, len(x)), np.nan)
    if here.any():
        found = fit(difference, x[here], y[here])
        flag[here] |= found.flag
        out[:, here] = [*found.values.T, *found.errors.T, found.flux, found.flux_err]
    return table(dict(zip(("x", "y", "x_err", "y_err", "flux", "flux_err"), out)) | {"flag": flag}, UNITS)


def circles(difference, x, y, radius):
    """Return column, row, exact overlaps of circles with the pixels about them, and which of these have data."""
    from photutils.geometry import circular_overlap_grid  # over a second of CPU time to import

    i, j = nearest(x, y)
    half = int(np.ceil(radius + 0.5))
    size = 2 * half + 1
    weights = np.zeros((len(x), size, size))
    for k, (dx, dy) in enumerate(zip(x - i, y - j)):
        weights[k] = circular_overlap_grid(
            -half - 0.5 - dx, half + 0.5 - dx, -half - 0.5 - dy, half + 0.5 - dy, size, size, radius, 1, 1
        )
    return i, j, weights, stamps(difference.good, i, j, size)


def _point_shares(difference, x, y, i, j, weights, good):
    """Return the part of a point source's light within weights, and within those of them that have data."""
    half, own = weights.shape[-1] // 2, difference.psf.shape[0] // 2
    psf = np.pad(difference.psf, max(half + 1 - own, 1))
    points = shifted(psf, x - i, y - j)
    off = psf.shape[0] // 2 - half
    points = points[:, off : psf.shape[0] - off, off : psf.shape[0] - off] * weights
    return points.sum(axis=(1, 2)), (points * good).sum(axis=(1, 2))


def activity(difference, x, y, radius):
    """Compare the flux in a circle with that of the PSF.

    E = 1 - c F_psf / F_ap, where c is the part of a point source's light that is in the circle, so that E of a point
    source is 0. Its error is to first order in those of both fluxes, with their covariance; a ratio of noisy
    fluxes is biased by (error / flux)^2 and has wide wings. Where pixels without data lie in the circle, its sum is
    multiplied by a point source's light in the circle over that on pixels with data.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Centres, pixels.
    radius : float
        Of the circle, pixels.

    Returns
    -------
    astropy.table.Table
        N rows: ``flux_psf``, ``flux_psf_err`` (as `search.filters.forced`), ``flux_ap``, ``flux_ap_err``
        (exact overlaps of pixels; science image's unit), ``activity``, ``activity_err``, ``flag``.
    """
    x, y, here, flag = start(difference, x, y)
    out = np.full((6, len(x)), np.nan)
    if here.any():
        rows = np.flatnonzero(here)
        x, y = x[rows], y[rows]
        g, source = padded_filter(difference, difference.psf)
        i, j, filters, norm, bits = filters_at(difference, x, y, g, source)
        _, _, discs, good = circles(difference, x, y, radius)
        share, seen = _point_shares(difference, x, y, i, j, discs, good)
        bits = bits | np.where(((good > 0) | (discs == 0)).all(axis=(1, 2)), 0, BITS.MASKED)
        lost = (seen <= LEAST * share) | np.isnan(norm)
        filters = filters / norm[:, None, None]
        discs = discs * good * (share / np.where(lost, np.nan, seen))[:, None, None]
        size = max(filters.shape[-1], discs.shape[-1])
        weights = np.zeros((len(x), 2, size, size))
        for k, one in enumerate((filters, discs)):
            off = (size - one.shape[-1]) // 2
            weights[:, k, off : size - off, off : size - off] = np.where(lost[:, None, None], 0, one)
        data = stamps(difference.image, i, j, size).reshape(len(x), -1, 1)
        fluxes = (weights.reshape(len(x), 2, -1) @ data)[..., 0]
        matrix = covariance(difference, i, j, weights)
        fluxes[lost], matrix[lost] = np.nan, np.nan
        (psf, aperture), errors = fluxes.T, np.sqrt(np.einsum("nkk->kn", matrix))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = psf / aperture
            noise = matrix[:, 0, 0] + ratio**2 * matrix[:, 1, 1] - 2 * ratio * matrix[:, 0, 1]
            out[:, rows] = [
                psf,
                errors[0],
                aperture,
                errors[1],
                1 - share * ratio,
                np.abs(share / aperture) * np.sqrt(noise),
            ]
        flag[rows] |= (bits | np.where(lost, BITS.LOST, 0)).astype(np.int32)
    names = ("flux_psf", "flux_psf_err", "flux_ap", "flux_ap_err", "activity", "activity_err")
    texts = {
        "flux_psf": (None, "flux of a point source in the science image's unit"),
        "flux_ap": (None, "flux in the circle in the science image's unit"),
        "activity": (None, "E = 1 - c F_psf / F_ap: 0 for a point source"),
    }
    texts |= {f"{name}_err": (None, f"standard error of {name}") for name in texts}
    return table(dict(zip(names, out)) | {"flag": flag}, UNITS | texts)


def residuals(difference, x, y, radius):
    """Return how far a difference is from noise about given places.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Pixels.
    radius : float
        Pixels.

    Returns
    -------
    astropy.table.Table
        N rows: ``chi2``, the mean of image^2 / variance over the pixels that have data and whose centres are within
        ``radius`` (noise has 1; NaN: no such pixel), and ``npix``, their number. Pixels are correlated:
        the scatter of ``chi2`` is more than sqrt(2 / npix).
    """
    x, y, here, _ = start(difference, x, y)
    chi2, number = np.full(len(x), np.nan), np.zeros(len(x), dtype=int)
    if here.any():
        i, j = nearest(x[here], y[here])
        half = int(np.ceil(radius + 0.5))
        step = np.arange(-half, half + 1)
        near = (step - (x[here] - i)[:, None])[:, None, :] ** 2 + (step - (y[here] - j)[:, None])[
            :, :, None
        ] ** 2 <= radius**2
        square, variance = np.square(difference.image, dtype=float), difference.variance
        plane = np.divide(square, variance, out=np.zeros_like(square), where=difference.good & (variance > 0))
        near &= stamps(difference.good, i, j, 2 * half + 1) > 0
        number[here] = near.sum(axis=(1, 2))
        top = (stamps(plane, i, j, 2 * half + 1) * near).sum(axis=(1, 2))
        chi2[here] = np.where(number[here] > 0, top / np.maximum(number[here], 1), np.nan)
    return table(
        {"chi2": chi2, "npix": number},
        {"chi2": (None, "mean of image^2 / variance in the disc"), "npix": (None, "pixels of the disc with data")},
    )
