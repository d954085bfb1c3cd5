"""One scarlet2 scene per shape bucket and one compiled program that fits it to any blend.

``scarlet2.Scene.fit`` traces and compiles anew for every scene, as positions, optimiser and parameter
specifications are static. Here a template scene of one source is made once per box width; all values are traced
arguments, sources are a batch dimension, and one program runs all optimiser steps.

Imports JAX: import it after `jaxenv.scarlet2`.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scarlet2 as sc2
from scarlet2 import fft as sc2fft
from scarlet2.renderer import ConvolutionRenderer

from .morphologies import MODEL_SIGMA, MixtureSersic, PolarMorphology, start_slopes

RIDGE = 1e-4  # on normalised fluxes: two sources in one place share their light
FACTORS = (1.0, 0.02)  # of Adam's step sizes, at the first and the last step


class SharedRenderer(ConvolutionRenderer):
    """scarlet2's renderer for morphologies that are the same in all channels: transformed forward only once."""

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
    psf: int  # width of the PSF images
    size: float
    index: float
    position_spread: float
    radii: int = 0
    angles: int = 0
    slope_spread: float = 0.0
    twist_spread: float = 0.0
    rate: float = 1.0


class Template:
    """A scarlet2 scene of one source in a box of its own, with its parameters, priors and renderer."""

    def __init__(self, settings, width):
        self.settings, self.width = settings, width
        psf = np.zeros((settings.bands, settings.psf, settings.psf), np.float32)
        yy, xx = np.indices(psf.shape[1:]) - settings.psf // 2
        psf[:] = np.exp(-(xx**2 + yy**2) / (2 * 1.7**2))  # stands for the PSFs that are given with each blend
        box = sc2.Box((settings.bands, width, width))
        model_psf = sc2.GaussianPSF(sigma=MODEL_SIGMA)
        self.renderer = SharedRenderer(sc2.Frame(box, psf=model_psf), sc2.Frame(box, psf=sc2.ArrayPSF(psf)))
        self.model_psf = model_psf()
        s = settings
        # One channel: fluxes are linear and solved apart.
        with sc2.Scene(sc2.Frame(sc2.Box((1, width, width)), psf=model_psf)) as scene:
            centre = jnp.full(2, width // 2, dtype=float)
            if s.kind == "sersic":
                morphology = MixtureSersic(jnp.array(s.index), jnp.array(s.size), jnp.zeros(2), shape=(width, width))
            else:
                slopes = start_slopes(s.size, s.index, s.radii, s.angles, width // 2)
                morphology = PolarMorphology(jnp.asarray(slopes), (width, width))
            source = sc2.Source(centre, jnp.ones(1), morphology)
        with sc2.Parameters(scene):
            sc2.Parameter(source.center, name="center", stepsize=0.5 * s.position_spread,
                          prior=dist.Normal(centre, s.position_spread).to_event(1))
            if s.kind == "sersic":  # bounds and priors are those of `scene`
                for name in ("size", "n", "ellipticity"):
                    sc2.Parameter(getattr(morphology, name), name=name, stepsize=0.1)
            else:
                sc2.Parameter(morphology.slopes, name="slopes", stepsize=0.15)
        self.scene = scene
        self.parameters = dict(scene.parameters)

    def kernels(self, psfs):
        """Return the Fourier transforms of the difference kernels of PSF images (nbands, k, k)."""
        model = jnp.broadcast_to(self.model_psf, (len(psfs), *self.model_psf.shape))
        return sc2fft.deconvolve(psfs, model, axes=(-2, -1), fft_shape=self.renderer._fft_shape, return_fft=True)

    def render(self, values, kernels):
        """Return the observed unit-flux image (nbands, width, width) of a source."""
        return self.observe(self.scene.set(values)(), kernels)[:, 0]

    def observe(self, images, kernels):
        """Return images of the model frame (m, width, width) as observed, (nbands, m, width, width)."""
        return eqx.tree_at(lambda r: r.kernel_fft, self.renderer, kernels)(images)

    def log_prior(self, values, start):
        """Return the log prior of one free-form source.

        Its slopes have two: on the change of their angular mean from the start, and, tighter, on the
        difference between neighbouring angles.
        """
        slopes, s = values["slopes"], self.settings
        change = (slopes - start["slopes"]).mean(axis=1)
        twist = slopes - jnp.roll(slopes, 1, axis=1)
        centre = self.parameters["center"][1].prior.log_prob(values["center"])
        return centre - 0.5 * ((change / s.slope_spread) ** 2).sum() - 0.5 * ((twist / s.twist_spread) ** 2).sum()


@lru_cache(maxsize=64)
def template(settings, width):
    """Return the `Template` of a box width; made once per process."""
    return Template(settings, width)


@lru_cache(maxsize=64)
def program(settings, bucket):
    """Return the compiled fit of a bucket.

    Returns
    -------
    callable
        ``fit(start, kernels, data, weight, origins, active, steps)``; see `_fit`.
    """
    return jax.jit(partial(_fit, template(settings, bucket.width), bucket.window))


@lru_cache(maxsize=64)
def kernel_program(settings, width):
    """Return the compiled `Template.kernels`."""
    return jax.jit(template(settings, width).kernels)


def _place(images, origins, window):
    blank = jnp.zeros((images.shape[1], window, window), images.dtype)
    put = lambda image, o: jax.lax.dynamic_update_slice(blank, image, (0, o[1], o[0]))  # noqa: E731
    return jax.vmap(put)(images, origins)


def _fluxes(placed, data, weight, active):
    """Return the best non-negative fluxes (n, nbands) of images (n, nbands, h, w)."""
    weighted = placed * weight
    gram = jnp.einsum("nbhw,mbhw->bnm", weighted, placed)
    return _positive(gram, jnp.einsum("nbhw,bhw->bn", weighted, data), active).T


def _positive(gram, right, active):
    """Minimise x G x / 2 - r x over x >= 0 in every band; absent sources get 0. Return (nbands, n)."""
    scale = jnp.sqrt(jnp.diagonal(gram, axis1=1, axis2=2))
    scale = jnp.where((scale > 0) & active, scale, 1.0)
    gram = jnp.where(active[:, None] & active, gram, 0) / (scale[:, :, None] * scale[:, None, :])
    count = active.size
    eye = jnp.eye(count)
    gram = gram * (1 - eye) + eye * (1 + RIDGE)
    right = jnp.where(active, right, 0) / scale
    flux = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram), right[..., None])[..., 0]

    def descend(sweep, flux):  # coordinate descent; at rest at once if the solution has no zeros
        k = sweep % count
        row = jax.lax.dynamic_index_in_dim(gram, k, 1, keepdims=False)
        value = flux[:, k] + (right[:, k] - jnp.einsum("bm,bm->b", row, flux)) / (1 + RIDGE)
        return flux.at[:, k].set(jnp.maximum(value, 0))

    flux = jax.lax.fori_loop(0, 4 * count, descend, jnp.maximum(jnp.nan_to_num(flux), 0))
    return flux / scale


def _fit(scene, window, start, kernels, data, weight, origins, active, steps):
    """Minimise chi^2 / 2 - log prior over the free forms of one window with Adam, fluxes solved at each step.

    Parameters
    ----------
    scene : Template
    window : int
    start : dict of str to (n, ...) array
        Also the centre of the prior.
    kernels : (nbands, h, k) complex array
    data, weight : (nbands, window, window) array
    origins : (n, 2) int array
        Column and row of each box in the window.
    active : (n,) bool array
        Which sources there are.
    steps : int
        Traced: the number of steps needs no new program.

    Returns
    -------
    values, flux (n, nbands), images (n, nbands, width, width), losses (2,)
        Of the best step; the losses after nine tenths of the steps, and at the end.
    """
    render = jax.vmap(scene.render, in_axes=(0, None))

    def loss(values):
        images = render(values, kernels)
        placed = _place(images, origins, window)
        # At the best flux its derivative vanishes, so it counts as a constant.
        flux = jax.lax.stop_gradient(_fluxes(jax.lax.stop_gradient(placed), data, weight, active))
        residual = data - jnp.einsum("nb,nbhw->bhw", flux, placed)
        prior = jax.vmap(scene.log_prior)(values, start)
        return 0.5 * (weight * residual**2).sum() - jnp.where(active, prior, 0).sum(), (flux, images)

    gradient = jax.value_and_grad(loss, has_aux=True)
    size = {name: p.stepsize * scene.settings.rate for name, (_, p) in scene.parameters.items()}
    b1, b2 = 0.9, 0.99

    def step(k, carry):
        values, m, v, best, best_loss, late = carry
        (now, aux), grad = gradient(values)
        grad = jax.tree.map(lambda g: jnp.where(jnp.isfinite(g), g, 0), grad)
        better = now < best_loss
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), (values, *aux), best)
        best_loss = jnp.where(better, now, best_loss)
        late = jnp.where(k * 10 < 9 * steps, best_loss, late)
        m = jax.tree.map(lambda a, g: b1 * a + (1 - b1) * g, m, grad)
        v = jax.tree.map(lambda a, g: b2 * a + (1 - b2) * g**2, v, grad)
        t = k + 1.0
        rate = FACTORS[1] + (FACTORS[0] - FACTORS[1]) * 0.5 * (1 + jnp.cos(jnp.pi * k / steps))
        move = lambda x, a, c, s: x - s * rate * (a / (1 - b1**t)) / (jnp.sqrt(c / (1 - b2**t)) + 1e-8)  # noqa: E731
        values = {name: move(values[name], m[name], v[name], size[name]) for name in values}
        return values, m, v, best, best_loss, late

    zeros = jax.tree.map(jnp.zeros_like, start)
    count, width = active.size, scene.width
    nothing = start, jnp.zeros((count, len(data))), jnp.zeros((count, len(data), width, width))
    carry = (start, zeros, zeros, nothing, jnp.inf, jnp.inf)
    *_, best, best_loss, late = jax.lax.fori_loop(0, steps + 1, step, carry)
    return *best, jnp.stack([late, best_loss])


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
        """Return the unit-flux image and its derivatives in `sersic.PARAMETERS`, (nbands, 7, width, width)."""
        return np.asarray(self._program(np.asarray(parameters, np.float32), self.kernels))


@lru_cache(maxsize=16)
def sersic_program(settings, width):
    """Return the compiled drawing of a Sersic source and its derivatives; see `SersicBox`."""
    made = template(settings, width)

    def image(row):
        x, y, log_r, eta1, eta2, log_n = row
        eta = jnp.sqrt(eta1**2 + eta2**2 + 1e-12)
        e = jnp.tanh(eta) / eta  # scarlet2's ellipticity is (1 - q^2) / (1 + q^2)
        values = {"center": jnp.stack([y, x]), "size": jnp.exp(log_r), "n": jnp.exp(log_n),
                  "ellipticity": jnp.stack([e * eta1, e * eta2])}
        return made.scene.set(values)()[0]

    def draw(row, kernels):
        value, push = jax.linearize(image, row)
        return made.observe(jnp.concatenate([value[None], jax.vmap(push)(jnp.eye(6))]), kernels)

    return jax.jit(draw)


__all__ = ["SersicBox", "Settings", "Template", "kernel_program", "program", "template"]
