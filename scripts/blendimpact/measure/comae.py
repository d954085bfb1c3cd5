"""Comets on a difference: the light of the nucleus, and the light, slope and extent of the coma."""

import numpy as np

from ..data.coma import coma_share, fading_coma
from ..subtract.linear import covariance, nearest
from .difference import BITS, UNITS, start, table
from .profile_fit import LEAST, Canvas, solve

INNER = 3.0
"""Arcsec: radius of the circle whose light, of the coma alone, is the coma's flux: that of A f rho."""
REACH = 12.0
"""Arcsec: pixels farther from the nucleus are not fitted."""
SLOPE, EXTENT = (-1.1, 0.3), (6.0, 0.6)
"""What a fit expects of a coma it knows nothing of: mean and standard deviation of its slope; its radius in arcsec, and
the standard deviation of the radius' logarithm. Where the data say more, they decide."""
STEEPEST, FLATTEST, SMALLEST, LARGEST = -1.9, -0.2, 1.0, 30.0
ITERATIONS, TOLERANCE, STEP = 25, 1e-3, (0.2, 0.4)
_NUDGE = 1e-3
_NAMES = ("nucleus", "coma", "slope", "radius")


def split_comae(difference, x, y, scale):
    """Fit a point and a fading power law, both under the PSF, to comets of known place.

    Free are the fluxes of both, and slope and radius of the coma (`data.coma.fading_coma`, round), with the loose
    expectations `SLOPE` and `EXTENT`. With M the images and derivatives, and G = M / (power of the noise) in Fourier
    space, 0 in pixels without data or beyond `REACH`, Gauss' steps solve sum G (D - M flux) = 0; the errors are
    those of this sum. A tail and one-sidedness are in no image: part of their light goes to the coma.

    Parameters
    ----------
    difference : Difference
    x, y : (N,) array
        Of the nucleus, pixels.
    scale : float
        Arcsec per pixel.

    Returns
    -------
    astropy.table.Table
        N rows: ``nucleus``, ``coma`` (science image's unit; the coma's within `INNER`), ``slope``, ``radius`` (arcsec),
        their errors ``_err``, and ``flag``.
    """
    x, y, here, flag = start(difference, x, y)
    out = np.full((2, len(_NAMES), len(x)), np.nan)
    for k in np.flatnonzero(here):  # a comet or two in a patch
        out[..., k], bits = _split(difference, x[k], y[k], scale)
        flag[k] |= bits
    texts = UNITS | {
        "nucleus": (None, "flux of the nucleus"),
        "coma": (None, f"flux of the coma within {INNER:g} arcsec"),
        "slope": (None, "exponent of the coma's brightness"),
        "radius": ("arcsec", "where it has faded to 1 / e of the power law"),
    }
    texts |= {f"{name}_err": (texts[name][0], "its standard error") for name in _NAMES}
    columns = {n: v for n, v in zip(_NAMES, out[0])} | {f"{n}_err": v for n, v in zip(_NAMES, out[1])}
    return table(columns | {"flag": flag}, texts)


class _Images:
    """Images of nucleus and coma about one place, for any slope and radius; lengths in pixels."""

    def __init__(self, difference, x, y, scale):
        self.scale, self.i, self.j = scale, *nearest(np.array([x]), np.array([y]))
        self.canvas = Canvas(difference, self.i, self.j, np.ceil(REACH / scale))
        step = np.arange(self.canvas.size) - self.canvas.size // 2
        away = np.hypot(step - (x - self.i[0]), (step - (y - self.j[0]))[:, None]) * scale
        self.whole = self.canvas.good.all()
        self.canvas.good = self.canvas.good * (away <= REACH)
        shift = self.canvas.kx * (x - self.i[0]) + self.canvas.ky * (y - self.j[0])
        self.point = self.canvas.psf * np.exp(-1j * shift)

    def coma(self, slope, log_radius):
        """Return the spectrum of a coma that has unit flux within `INNER`."""
        radius = np.exp(log_radius)
        light = fading_coma(self.canvas.kx, self.canvas.ky, radius / self.scale, slope)
        return self.point * light / coma_share(INNER, radius, slope)

    def sums(self, flux, shape):
        """Return filters, images, matrix and right-hand side of nucleus, coma and the coma's change with its shape."""
        coma = self.coma(*shape)
        changes = [
            flux
            * (self.coma(*(shape + _NUDGE * np.eye(2)[k])) - self.coma(*(shape - _NUDGE * np.eye(2)[k])))
            / (2 * _NUDGE)
            for k in range(2)
        ]
        return self.canvas.sums(np.zeros(1, int), np.stack([self.point, coma, *changes])[None])


def _split(difference, x, y, scale):
    """Return values and errors (2, 4), and flags, of one comet."""
    images, nothing = _Images(difference, x, y, scale), np.full((2, 4), np.nan)
    middle = np.array([SLOPE[0], np.log(EXTENT[0])])
    expect = np.array([0, 0, SLOPE[1] ** -2, EXTENT[1] ** -2])
    bits = 0 if images.whole else BITS.MASKED
    filters, drawn, matrix, right = images.sums(1.0, middle)
    if not images.canvas.shares(np.zeros(1, int), filters, drawn, images.point[None])[0] > LEAST:
        return nothing, bits | BITS.LOST
    fluxes, shape = solve(matrix[:, :2, :2], right[:, :2])[0], middle.copy()
    for _ in range(ITERATIONS):
        filters, _, matrix, right = images.sums(fluxes[1], shape)
        system = matrix + np.diag(expect)
        rest = right - matrix[:, :, :2] @ fluxes
        rest[0, 2:] -= expect[2:] * (shape - middle)
        step = solve(system, rest)[0]
        if not np.isfinite(step).all():
            return nothing, bits | BITS.NOT_CONVERGED
        done = step @ rest[0] < TOLERANCE
        step = step / max(1, *np.abs(step[2:]) / STEP)
        fluxes, shape = fluxes + step[:2], shape + step[2:]
        shape = np.clip(shape, (STEEPEST, np.log(SMALLEST)), (FLATTEST, np.log(LARGEST)))
        if done:
            break
    else:
        return nothing, bits | BITS.NOT_CONVERGED
    noise = covariance(difference, images.i, images.j, filters)
    errors = np.sqrt(np.diag(solve(system, solve(system, noise).transpose(0, 2, 1))[0]))
    radius = np.exp(shape[1])
    return np.array([[*fluxes, shape[0], radius], [*errors[:3], errors[3] * radius]]), bits
