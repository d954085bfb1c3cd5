"""Morphologies for scarlet2 scenes. Imports JAX: import it after `jaxenv.scarlet2`.

Both are normalised to unit flux, so that flux and shape do not trade. A scarlet2 model lives at the
resolution of the model frame, here a Gaussian of `MODEL_SIGMA` pixels: that is the smallest a source can be.
"""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scarlet2 as sc2

from . import sersic

MODEL_SIGMA = 0.7  # of scarlet2's default model frame
# The frame's PSF is integrated over pixels, which adds 1/12 to its variance.
MODEL_VARIANCE = MODEL_SIGMA**2 + 1 / 12
_POWERS = np.asarray(sersic._powers()[: sersic.WIDTHS.size], dtype=np.float32)


def mixture(n):
    """Return the amplitudes of the Gaussians of a Sersic profile of index n."""
    t = 2 * jnp.log(n / sersic.INDEX_RANGE[0]) / sersic._SPAN - 1
    return _POWERS @ t ** jnp.arange(sersic.DEGREE + 1)


class MixtureSersic(sc2.SersicMorphology):
    """Sersic profile of unit flux at the model frame's resolution, as a sum of elliptical Gaussians.

    scarlet2's own profile is sampled at pixel centres without the frame's PSF, which fails below a pixel, and
    is normalised at the half-light radius, which ties size to flux. Parameters are the same: ``n``, ``size``
    (half-light radius in pixels), ``ellipticity`` (scarlet2's: (1 - q^2) / (1 + q^2)).
    """

    def __call__(self, delta_center=(0.0, 0.0)):
        """Evaluate the model."""
        y = jnp.arange(-(self.shape[-2] // 2), self.shape[-2] // 2 + 1, dtype=float)[:, None] - delta_center[-2]
        x = jnp.arange(-(self.shape[-1] // 2), self.shape[-1] // 2 + 1, dtype=float)[None, :] - delta_center[-1]
        e1, e2 = self.ellipticity
        norm = 1 / jnp.sqrt(1 - e1**2 - e2**2)
        s2 = (sersic.WIDTHS**2).astype(np.float32) * self.size**2 * norm
        xx, yy, xy = s2 * (1 + e1) + MODEL_VARIANCE, s2 * (1 - e1) + MODEL_VARIANCE, s2 * e2
        det = xx * yy - xy**2
        weight = mixture(self.n) / (2 * jnp.pi * jnp.sqrt(det))
        # One matrix product makes the exponents of all Gaussians.
        form = jnp.stack([-0.5 * yy, xy, -0.5 * xx], axis=-1) / det[:, None]
        square = jnp.stack(jnp.broadcast_arrays(x * x, x * y, y * y)).reshape(3, -1)
        return (weight @ jnp.exp(form @ square)).reshape(y.shape[0], x.shape[1])


class PolarMorphology(sc2.Morphology):
    """Free-form morphology that is positive and falls monotonically from the centre along every direction.

    ln m is interpolated linearly between knots in radius and angle of a polar grid, which ``shear`` makes
    elliptical; from knot to knot outward it falls by softplus(``slopes``), so any finite slopes give a positive,
    monotone image. There is no symmetry and no profile. Unit flux within the box.
    """

    slopes: jnp.ndarray
    """Unconstrained falls of ln m, (radii - 1, angles)"""
    shear: jnp.ndarray
    """Conformal shear (eta1, eta2) of the grid"""
    _shape: tuple = eqx.field(repr=False)

    def __init__(self, slopes, shape, shear=(0.0, 0.0)):
        self.slopes = slopes
        self.shear = jnp.asarray(shear)
        self._shape = tuple(shape)

    @property
    def shape(self):
        """Shape of the box."""
        return self._shape

    def __call__(self, delta_center=(0.0, 0.0)):
        """Evaluate the model."""
        half = self.shape[-1] // 2
        y = jnp.arange(-half, half + 1, dtype=float)[:, None] - delta_center[-2]
        x = jnp.arange(-half, half + 1, dtype=float)[None, :] - delta_center[-1]
        radii, angles = self.slopes.shape[0] + 1, self.slopes.shape[1]
        xx, yy, xy = stretch(-self.shear)
        x, y = xx * x + xy * y, xy * x + yy * y
        fall = jnp.cumsum(jax.nn.softplus(self.slopes), axis=0)
        table = -jnp.concatenate([jnp.zeros((1, angles)), fall])
        q = jnp.clip(knot(x**2 + y**2, radii, half), 0, radii - 1).reshape(-1, 1)
        turn = (jnp.arctan2(y, x + 1e-6) / (2 * jnp.pi) * angles).reshape(-1, 1)
        # Hat functions: products of matrices are faster than look-up, and much faster to differentiate.
        ring = jnp.maximum(1 - jnp.abs(q - jnp.arange(radii)), 0)
        apart = (turn - jnp.arange(angles) + angles / 2) % angles - angles / 2
        log_m = ((ring @ table) * jnp.maximum(1 - jnp.abs(apart), 0)).sum(axis=1)
        m = jnp.exp(log_m).reshape(self.shape)
        return m / m.sum()


def stretch(eta, np=jnp):
    """Return (xx, yy, xy) of the symmetric matrix of unit determinant that makes a circle an ellipse.

    Parameters
    ----------
    eta : (2,) array
        Conformal shear; the ellipse has axis ratio exp(-|eta|).
    """
    size = np.sqrt(eta[0] ** 2 + eta[1] ** 2 + 1e-12)
    c, s = np.cosh(size / 2), np.sinh(size / 2) / size
    return c + s * eta[0], c - s * eta[0], s * eta[1]


def knot(r2, radii, half, np=jnp):
    """Return the (fractional) number of the knot at squared radius ``r2``: like r^2 inside, like ln r outside."""
    t = lambda s: 0.5 * s / (1 + np.sqrt(s + 1e-6) / 4)  # noqa: E731
    return (radii - 1) * np.log1p(t(r2)) / np.log1p(t(2.0 * half**2))


@lru_cache(maxsize=32)
def knot_radii(radii, half):
    """Return the radii of the knots in pixels."""
    fine = np.linspace(0, np.sqrt(2) * half, 4000)
    return np.interp(np.arange(radii), knot(fine**2, radii, half, np), fine)


def seen_shear(size, eta):
    """Return the conformal shear of a source of half-light radius ``size`` at the frame's resolution."""
    length = np.hypot(*eta)
    a, b = size**2 * np.exp([length, -length]) + MODEL_VARIANCE
    return np.asarray(eta) * (0.5 * np.log(a / b) / length if length > 1e-6 else 1.0)


def start_slopes(size, n, radii, angles, half, eta=(0.0, 0.0), shear=(0.0, 0.0)):
    """Return the ``slopes`` of a Sersic profile at the frame's resolution.

    Parameters
    ----------
    size, n : float
        Half-light radius in pixels (of the circle of equal area), index.
    radii, angles, half : int
        Of the `PolarMorphology`: knots, and half the width of its box.
    eta, shear : (2,) array
        Conformal shear of the profile and of the polar grid.
    """
    turn = 2 * np.pi * np.arange(angles) / angles
    r = knot_radii(radii, half)[:, None]
    xx, yy, xy = stretch(shear, np)
    x, y = r * (xx * np.cos(turn) + xy * np.sin(turn)), r * (xy * np.cos(turn) + yy * np.sin(turn))
    cxx, cyy, cxy = stretch(2 * np.asarray(eta, float), np)
    s2 = (sersic.WIDTHS * size) ** 2
    vxx, vyy, vxy = s2 * cxx + MODEL_VARIANCE, s2 * cyy + MODEL_VARIANCE, s2 * cxy
    det = vxx * vyy - vxy**2
    form = [np.multiply.outer(a, b) for a, b in ((x * x, vyy / det), (x * y, -2 * vxy / det), (y * y, vxx / det))]
    profile = np.exp(-0.5 * sum(form)) @ (sersic.amplitudes(np.log(n))[0] / np.sqrt(det))
    fall = np.maximum(-np.diff(np.log(np.maximum(profile, 1e-12 * profile[0])), axis=0), 1e-3)
    return np.where(fall > 20, fall, np.log(np.expm1(np.minimum(fall, 20)))).astype(np.float32)
