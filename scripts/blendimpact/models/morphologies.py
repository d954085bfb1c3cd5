"""Morphologies for scarlet2 scenes. Imports JAX: import it after `jaxenv.scarlet2`.

Both are normalised to unit flux, so that flux and shape do not trade. A scarlet2 model lives at the
resolution of the model frame, here a Gaussian of `MODEL_SIGMA` pixels: that is the smallest a source can be.
"""

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

    ln m is interpolated linearly between knots in radius and angle; from knot to knot outward it falls by
    softplus(``slopes``), so any finite slopes give a positive, monotone image. There is no symmetry and no
    profile. Unit flux within the box.
    """

    slopes: jnp.ndarray
    """Unconstrained falls of ln m, (radii - 1, angles)"""
    _shape: tuple = eqx.field(repr=False)

    def __init__(self, slopes, shape):
        self.slopes = slopes
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
        fall = jnp.cumsum(jax.nn.softplus(self.slopes), axis=0)
        table = -jnp.concatenate([jnp.zeros((1, angles)), fall])
        q = jnp.clip(knot(x**2 + y**2, radii, half), 0, radii - 1.001)
        turn = (jnp.arctan2(y, x + 1e-6) / (2 * jnp.pi) % 1.0) * angles
        i, k = jnp.floor(q).astype(int), jnp.floor(turn).astype(int)
        u, v, k = q - i, turn - k, k % angles
        k1 = (k + 1) % angles
        log_m = ((1 - u) * ((1 - v) * table[i, k] + v * table[i, k1])
                 + u * ((1 - v) * table[i + 1, k] + v * table[i + 1, k1]))
        m = jnp.exp(log_m)
        return m / m.sum()


def knot(r2, radii, half):
    """Return the (fractional) number of the knot at squared radius ``r2``: like r^2 inside, like ln r outside."""
    t = lambda s: 0.5 * s / (1 + jnp.sqrt(s + 1e-6) / 4)  # noqa: E731
    return (radii - 1) * jnp.log1p(t(r2)) / jnp.log1p(t(jnp.asarray(2.0 * half**2)))


def knot_radii(radii, half):
    """Return the radii of the knots in pixels."""
    fine = np.linspace(0, np.sqrt(2) * half, 4000)
    return np.interp(np.arange(radii), np.asarray(knot(jnp.asarray(fine**2), radii, half)), fine)


def start_slopes(size, n, radii, angles, half):
    """Return the ``slopes`` of a round Sersic profile of half-light radius ``size`` at the frame's resolution."""
    variance = (sersic.WIDTHS * size) ** 2 + MODEL_VARIANCE
    weight = sersic.amplitudes(np.log(n))[0] / variance
    profile = np.exp(-0.5 * knot_radii(radii, half)[:, None] ** 2 / variance) @ weight
    fall = np.maximum(-np.diff(np.log(np.maximum(profile, 1e-12 * profile[0]))), 1e-3)
    inverse = np.where(fall > 20, fall, np.log(np.expm1(np.minimum(fall, 20))))
    return np.repeat(inverse[:, None], angles, axis=1).astype(np.float32)
