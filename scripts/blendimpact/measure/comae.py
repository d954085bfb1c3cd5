"""Comets on a difference: the light of the nucleus and that of the coma."""

import numpy as np

from ..data.coma import coma_transform
from ..subtract.linear import covariance, nearest, stamps
from .difference import BITS, UNITS, start, table
from .profile_fit import LEAST, Canvas, solve


def split_comae(difference, x, y, coma_radius):
    """Fit a point and a 1 / rho coma, both under the PSF, to comets of known place.

    The two fluxes are linear. With M the two images and G = M / (power of the noise) in Fourier space, 0 in
    pixels without data, they solve sum G (D - M flux) = 0; the errors are those of this sum. A tail is in neither
    image: part of its light goes to the coma, and ``chi2`` is larger.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Of the nucleus, pixels.
    coma_radius : (N,) array
        Where the coma ends, pixels.

    Returns
    -------
    astropy.table.Table
        N rows: ``nucleus``, ``coma`` (science image's unit; the coma's is all of its light within ``coma_radius``),
        their errors ``_err``, ``chi2`` (mean of residual^2 / variance within ``coma_radius`` and data), ``flag``.
    """
    x, y, radius, here, flag = start(difference, x, y, coma_radius)
    bad = here & ~(radius > 0)
    flag[bad] |= BITS.OUTSIDE
    here &= ~bad
    out = np.full((5, len(x)), np.nan)
    for k in np.flatnonzero(here):  # a comet or two in a patch, each of its own size
        place = slice(k, k + 1)
        i, j = nearest(x[place], y[place])
        canvas = Canvas(difference, i, j, np.ceil(radius[k]))
        point = canvas.psf * np.exp(-1j * (canvas.kx * (x[k] - i[0]) + canvas.ky * (y[k] - j[0])))
        wave = np.hypot(canvas.kx, canvas.ky)
        spectra = np.stack([point, point * coma_transform(wave * radius[k])])[None]
        rows = np.zeros(1, int)
        filters, images, matrix, right = canvas.sums(rows, spectra)
        flag[k] |= 0 if canvas.good.all() else BITS.MASKED
        if not canvas.shares(rows, filters, images, spectra[:, 0])[0] > LEAST:
            flag[k] |= BITS.LOST
            continue
        noise = covariance(difference, i, j, filters)
        error = solve(matrix, solve(matrix, noise).transpose(0, 2, 1))[0]
        fluxes = solve(matrix, right)[0]
        residual = canvas.data[0] - np.tensordot(fluxes, images[0], 1)
        step = np.arange(canvas.size) - canvas.size // 2
        near = np.hypot(step - (x[k] - i[0]), (step - (y[k] - j[0]))[:, None]) <= max(radius[k], 1)
        near &= canvas.good[0] > 0
        variance = stamps(difference.variance, i, j, canvas.size)[0]
        chi2 = np.mean(residual[near] ** 2 / variance[near]) if near.any() else np.nan
        out[:, k] = [fluxes[0], np.sqrt(error[0, 0]), fluxes[1], np.sqrt(error[1, 1]), chi2]
        if not np.isfinite(fluxes).all():
            flag[k] |= BITS.NOT_CONVERGED
    names = ("nucleus", "nucleus_err", "coma", "coma_err", "chi2")
    texts = UNITS | {
        "nucleus": (None, "flux of the nucleus"),
        "nucleus_err": (None, "its standard error"),
        "coma": (None, "flux of the coma within its radius"),
        "coma_err": (None, "its standard error"),
        "chi2": (None, "mean of residual^2 / variance within the coma's radius"),
    }
    return table(dict(zip(names, out)) | {"flag": flag}, texts)
