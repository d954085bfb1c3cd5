"""scarlet2 scenes of one source, one per box width, and the compiled programs that draw and fit them.

``scarlet2.Scene.fit`` traces and compiles anew for every scene, as positions, optimiser and parameter
specifications are static. Here a template scene of one source is made once per box width, all values are traced
arguments, and one program per width serves every source.

Imports JAX: import it after `jaxenv.scarlet2`.
"""

from dataclasses import dataclass
from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scarlet2 as sc2
from scarlet2 import fft as sc2fft
from scarlet2.fft import _get_fast_shape
from scarlet2.renderer import ConvolutionRenderer

from .morphologies import MODEL_SIGMA, MixtureSersic, PolarMorphology, start_slopes

INNER = 8  # conjugate-gradient steps per Gauss-Newton step, at most, and
INNER_TOLERANCE = 0.03  # the residual, relative, at which they end
DAMPING = (0.1, 10.0, 0.1)  # at first, and factors after a step that failed and one that did not


class SharedRenderer(ConvolutionRenderer):
    """scarlet2's renderer for morphologies that are the same in all channels: transformed forward only once.

    It is made without kernels, which are those of each patch (`Template.kernels`).
    """

    def __init__(self, model_shape, psf_shape):
        self._fft_shape = _get_fast_shape(model_shape, psf_shape, padding=3, axes=(-2, -1))
        self.kernel_fft = self.shift = self._kcoords_out = np.zeros(2, np.float32)

    def __call__(self, model, key=None):
        """Convolve images (m, H, W) with each channel's difference kernel: (channels, m, H, W)."""
        size = tuple(self._fft_shape)
        image = sc2fft.transform(model, size, axes=(-2, -1)) * self.kernel_fft[:, None]
        return sc2fft.inverse(image, size, (self.kernel_fft.shape[0], *model.shape), axes=(-2, -1))


@dataclass(frozen=True)
class Settings:
    """What makes a program: one for each set of settings and each bucket.

    Lengths in pixels; see `scarlet_scene.ScarletOptions`.
    """

    kind: str  # "sersic" or "free"
    bands: int
    size: float
    index: float
    radii: int = 0
    angles: int = 0
    slope_spread: float = 0.0
    twist_spread: float = 0.0


class Template:
    """A scarlet2 scene of one source in a box of its own, with its parameters, priors and renderer."""

    def __init__(self, settings, width):
        self.settings, self.width = settings, width
        self.model_psf = model_psf = sc2.GaussianPSF(sigma=MODEL_SIGMA)
        shape = jax.eval_shape(model_psf).shape[-2:]
        self.renderer = SharedRenderer((settings.bands, width, width), (settings.bands, *shape))
        s = settings
        # One channel: fluxes are linear and solved apart.
        with sc2.Scene(sc2.Frame(sc2.Box((1, width, width)), psf=model_psf)) as scene:
            centre = jnp.full(2, width // 2, dtype=float)
            if s.kind == "sersic":
                morphology = MixtureSersic(jnp.array(s.index), jnp.array(s.size), jnp.zeros(2), shape=(width, width))
            else:
                slopes = start_slopes(s.size, s.index, s.radii, s.angles, width // 2)
                morphology = PolarMorphology(jnp.asarray(slopes), (width, width), jnp.zeros(2))
            source = sc2.Source(centre, jnp.ones(1), morphology)
        names = ("size", "n", "ellipticity") if s.kind == "sersic" else ("slopes", "shear")
        with sc2.Parameters(scene):
            sc2.Parameter(source.center, name="center")
            for name in names:
                sc2.Parameter(getattr(morphology, name), name=name)
        self.scene = scene

    def kernels(self, psfs):
        """Return the Fourier transforms of the difference kernels of PSF images (nbands, k, k).

        PSFs that are wider than the transform are cut.
        """
        most = min(self.renderer._fft_shape)
        cut = max(0, (psfs.shape[-1] - most + 1) // 2)
        if cut:
            psfs = psfs[:, cut:-cut, cut:-cut]
            psfs = psfs / psfs.sum(axis=(1, 2), keepdims=True)
        psf = self.model_psf()
        model = jnp.broadcast_to(psf, (len(psfs), *psf.shape[-2:]))
        return sc2fft.deconvolve(psfs, model, axes=(-2, -1), fft_shape=self.renderer._fft_shape, return_fft=True)

    def render(self, values, kernels):
        """Return the observed unit-flux image (nbands, width, width) of a source."""
        return self.observe(self.scene.set(values)(), kernels)[:, 0]

    def observe(self, images, kernels):
        """Return images of the model frame (m, width, width) as observed, (nbands, m, width, width)."""
        return eqx.tree_at(lambda r: r.kernel_fft, self.renderer, kernels)(images)

    def prior_basis(self):
        """Return the matrix (angles, angles) that turns independent unit normals into changes of slopes at a radius.

        The prior has two parts: on the mean over angles, and, tighter, on differences between neighbouring angles.
        Its precision is circulant, so that its eigenvectors are those of the discrete Fourier transform.
        """
        s = self.settings
        eye = np.eye(s.angles)
        twist = eye - np.roll(eye, 1, axis=1)
        precision = np.full_like(eye, (s.angles * s.slope_spread) ** -2.0) + twist.T @ twist / s.twist_spread**2
        value, vector = np.linalg.eigh(precision)
        return (vector / np.sqrt(value)).astype(np.float32)


@lru_cache(maxsize=64)
def template(settings, width):
    """Return the `Template` of a box width; made once per process."""
    return Template(settings, width)


@lru_cache(maxsize=64)
def kernel_program(settings, width):
    """Return the compiled `Template.kernels`."""
    return jax.jit(template(settings, width).kernels)


@lru_cache(maxsize=16)
def free_program(settings, width):
    """Return the compiled fit of one free-form source in a box of a width; see `_fit`."""
    made = template(settings, width)
    basis = jnp.asarray(made.prior_basis())

    def fit(start, kernels, data, weight, steps, tolerance):
        return _fit(made, basis, start, kernels, data, weight, steps, tolerance)

    return jax.jit(fit)


def _fit(made, basis, start, kernels, data, weight, steps, tolerance):
    """Minimise chi^2 / 2 - log prior over the slopes of one source by damped Gauss-Newton steps.

    Unknowns are in units of the prior, so that the conjugate gradients that solve each step move at once what the
    data know and leave the rest. Fluxes are linear: they are solved at each step, and their change is
    projected out of the derivatives (variable projection, Kaufman 1975). A step that does not lower the
    objective is not taken.

    Parameters
    ----------
    made : Template
    basis : (angles, angles) array
        See `Template.prior_basis`.
    start : dict of str to array
        ``center``, ``slopes``, ``shear``; the slopes are also the mean of the prior.
    kernels : (nbands, h, k) complex array
    data, weight : (nbands, width, width) array
    steps : int
        At most; traced: the number of steps needs no new program.
    tolerance : float
        The fit has converged when a step lowers the objective by less.

    Returns
    -------
    flux (nbands,), image (nbands, width, width), chi2, gain
        ``gain``: of the last step, in the objective; infinite if that was not taken.
    """
    slopes = start["slopes"]

    def image(z):
        return made.render({**start, "slopes": slopes + z @ basis.T}, kernels)

    def state(z, drawn):
        norm = (weight * drawn**2).sum(axis=(1, 2))
        norm = jnp.where(norm > 0, norm, 1.0)
        flux = jnp.maximum((weight * drawn * data).sum(axis=(1, 2)), 0) / norm
        residual = data - flux[:, None, None] * drawn
        chi2 = (weight * residual**2).sum()
        return flux, norm, residual, chi2, 0.5 * (chi2 + (z**2).sum())

    def step(carry):
        k, z, _, _, _, damping, _ = carry
        drawn, push = jax.linearize(image, z)
        pull = jax.linear_transpose(push, z)
        flux, norm, residual, chi2, loss = state(z, drawn)
        scale = flux[:, None, None]

        def curvature(v):
            change = scale * push(v)
            along = (weight * drawn * change).sum(axis=(1, 2)) / norm
            change = weight * (change - along[:, None, None] * drawn)
            return pull(scale * change)[0] + (1 + damping) * v

        downhill = pull(scale * weight * residual)[0] - z
        move, _ = jax.scipy.sparse.linalg.cg(curvature, downhill, maxiter=INNER, tol=INNER_TOLERANCE)
        redrawn = image(z + move)
        new = state(z + move, redrawn)
        better = new[-1] < loss  # False for NaN
        z = jnp.where(better, z + move, z)
        gain = jnp.where(better, loss - new[-1], jnp.inf)
        damping = damping * jnp.where(better, DAMPING[2], DAMPING[1])
        kept = (jnp.where(better, a, b) for a, b in ((new[0], flux), (redrawn, drawn), (new[3], chi2)))
        return k + 1, z, *kept, damping, gain

    begin = 0, jnp.zeros_like(slopes), jnp.zeros(len(data)), jnp.zeros_like(data), 0.0, DAMPING[0], jnp.inf
    _, _, flux, drawn, chi2, _, gain = jax.lax.while_loop(lambda c: (c[0] < steps) & (c[-1] > tolerance), step, begin)
    return flux, drawn, chi2, gain


class SersicBox:
    """Draws a Sersic source with its derivatives by way of scarlet2, as `sersic.Box` does by itself.

    Parameters
    ----------
    settings : Settings
    width : int
        Of the box, odd.
    kernels : (nbands, h, k) complex array
        From `kernel_program`.
    """

    def __init__(self, settings, width, kernels):
        self.size, self.kernels = width, kernels
        self._program = sersic_program(settings, width)

    def draw(self, parameters, derivatives=True):
        """Return the unit-flux image and its derivatives in `sersic.PARAMETERS`, (nbands, 7, width, width).

        Or the image alone, (nbands, width, width); the program draws all, so as not to be compiled twice.
        """
        images = np.asarray(self._program(np.asarray(parameters, np.float32), self.kernels))
        return images if derivatives else images[:, 0]


@lru_cache(maxsize=16)
def sersic_program(settings, width):
    """Return the compiled drawing of a Sersic source and its derivatives; see `SersicBox`."""
    made = template(settings, width)

    def image(row):
        x, y, log_r, eta1, eta2, log_n = row
        eta = jnp.sqrt(eta1**2 + eta2**2 + 1e-12)
        e = jnp.tanh(eta) / eta  # scarlet2's ellipticity is (1 - q^2) / (1 + q^2)
        values = {
            "center": jnp.stack([y, x]),
            "size": jnp.exp(log_r),
            "n": jnp.exp(log_n),
            "ellipticity": jnp.stack([e * eta1, e * eta2]),
        }
        return made.scene.set(values)()[0]

    def draw(row, kernels):
        value, push = jax.linearize(image, row)
        return made.observe(jnp.concatenate([value[None], jax.vmap(push)(jnp.eye(6))]), kernels)

    return jax.jit(draw)


__all__ = ["SersicBox", "Settings", "Template", "free_program", "kernel_program", "template"]
