"""Kernel matching (Alard & Lupton 1998; Alard 2000) with the decorrelation of Reiss & Lupton (DMTN-021)."""

from functools import partial
from typing import Literal

import numpy as np
from scipy.ndimage import convolve1d

from ..config.options import Count, NotNegative, Positive
from . import SUBTRACTORS
from .base import BITS, failed, prepare
from .kernels import DELTA, Filter, width
from .stamps import MIN_STAMPS, choose, cut, solve
from .whiten import whiten

DEGREES = (4, 2, 2)
_FALLBACK = 1e-6  # relative size of the combinations of kernels that a fit to two PSFs uses


class Basis:
    """Gaussians times polynomials, and the identity, each of unit sum of squares.

    Gaussians of sigma s, 2 s and 4 s with s half of sigma_K = sqrt(sigma_1^2 - sigma_2^2), at least 0.7 pixels,
    sigma_1 and sigma_2 the widths of the PSFs; polynomials up to degree 4, 2 and 2 (as the Rubin pipelines).
    The identity lets equal images cancel exactly.

    Parameters
    ----------
    broad, sharp : (k, k) array
        The PSFs.
    """

    def __init__(self, broad, sharp):
        sigma = max(0.7, 0.5 * np.sqrt(max(0.0, width(broad) ** 2 - width(sharp) ** 2)))
        self.half = int(np.clip(np.ceil(10 * sigma), 5, 20))
        u = np.arange(-self.half, self.half + 1) / sigma
        self.pairs = []
        for factor, degree in zip((1, 2, 4), DEGREES):
            gaussian = np.exp(-0.5 * (u / factor) ** 2)
            lines = [gaussian * (u / factor) ** p for p in range(degree + 1)]
            lines = [line / np.sqrt((line**2).sum()) for line in lines]
            self.pairs += [(lines[p], lines[q]) for p in range(degree + 1) for q in range(degree + 1 - p)]
        delta = np.zeros((2 * self.half + 1,) * 2)
        delta[self.half, self.half] = 1
        self.kernels = np.array([delta] + [np.outer(y, x) for x, y in self.pairs])

    def convolve(self, stamps):
        """Convolve stamps with each kernel; (n, s + 2 half, s + 2 half) become (m, n, s, s)."""
        h, rows = self.half, {}
        out = [stamps[:, h:-h, h:-h]]
        for x, y in self.pairs:
            if id(x) not in rows:
                rows[id(x)] = convolve1d(stamps, x, axis=2, mode="constant")[:, :, h:-h]
            out.append(convolve1d(rows[id(x)], y, axis=1, mode="constant")[:, h:-h])
        return np.array(out)

    @property
    def products(self):
        """Return (m, m): sum over pixels of the products of two kernels."""
        flat = self.kernels.reshape(len(self.kernels), -1)
        return flat @ flat.T


def field_terms(rows, columns, shape, order):
    """Return 1, or 1, x, y with x and y from -1 to 1 over the image: (terms, ...) array."""
    x, y = 2 * columns / max(shape[1] - 1, 1) - 1, 2 * rows / max(shape[0] - 1, 1) - 1
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    return np.array([np.ones_like(x), x, y][: 3 if order else 1])


@SUBTRACTORS.register("alard_lupton")
class AlardLuptonSubtractor:
    """Science minus the template under the kernel that fits best, by linear least squares on stamps.

    S = (sum_ij c_ij phi_j(x, y) K_i) * T + background: K_i of `Basis`, phi constant or linear over the image, the
    background constant or a plane. The image with the better seeing is convolved; a science image that is sharper
    than its template is convolved instead of being approached by deconvolution, and the difference brought
    back to its photometric scale. Where the stamps are too few the kernel is fitted to the two PSFs.

    The noise of the convolved image pulls the kernel to 0 in plain least squares; its expected part is taken off
    (`blendimpact.subtract.stamps.solve`).

    Decorrelation is that of `blendimpact.subtract.whiten`.

    Parameters
    ----------
    order : 0 or 1
        Of the kernel's variation over the image. Noise and PSF of the difference are those of its centre.
    background : 0 or 1
        Order of the background.
    decorrelate : bool
    convolve : "auto", "template" or "science"
        Which image is convolved; "auto": that of the better seeing.
    registration : float
        RMS registration error along each axis, in pixels, that the search is to allow for.
    stamp_snr : float
        Least signal-to-noise ratio of the stamps' sources, in both images.
    stamp : int
        Side of a stamp in pixels, odd.
    most : int
        Stamps at most.
    """

    def __init__(
        self,
        order: Literal[0, 1] = 0,
        background: Literal[0, 1] = 0,
        decorrelate: bool = True,
        convolve: Literal["auto", "template", "science"] = "auto",
        registration: NotNegative = 0.0,
        stamp_snr: Positive = 20.0,
        stamp: Count = 31,
        most: Count = 100,
    ):
        self.order, self.background, self.decorrelate, self.direction = order, background, decorrelate, convolve
        self.registration, self.stamp_snr, self.stamp, self.most = registration, stamp_snr, int(stamp) | 1, most

    def subtract(self, science, template, static=None):
        """Return the `Difference`, decorrelated or not."""
        pair = prepare(science, template)
        if pair.status & BITS.NO_DATA:
            return failed(pair, 0)
        forward = self.direction == "template" or (self.direction == "auto" and not pair.status & BITS.TEMPLATE_WORSE)
        images = [
            (pair.science, pair.science_variance, pair.science_psf),
            (pair.template, pair.template_variance, pair.template_psf),
        ]
        fixed, moved = images if forward else images[::-1]
        guess = pair.zero_point_scale if forward else 1 / pair.zero_point_scale
        basis = Basis(fixed[2], moved[2])
        kernels, sky, status, report = self._kernel(pair, basis, fixed, moved, guess)
        run = Filter(pair.bad.shape, basis.half)
        ny, nx = pair.bad.shape
        terms = partial(field_terms, np.arange(ny)[:, None], np.arange(nx), (ny, nx))
        matched = sum(phi * run.convolve(moved[0], k) for phi, k in zip(terms(int(len(kernels) > 1)), kernels))
        ground = np.tensordot(sky, terms(int(len(sky) > 1)), 1)
        kernel, total = kernels[0], float(kernels[0].sum())
        if forward:
            image, static_light, scale = fixed[0] - matched - ground, matched, total
            ks, kt = DELTA, kernel
        else:
            image, static_light, scale = (matched - fixed[0] + ground) / total, fixed[0] / total, 1 / total
            ks, kt = kernel / total, DELTA / total
        image = np.where(pair.bad, 0, image)
        return whiten(
            pair,
            image,
            static_light,
            ks,
            kt,
            self.decorrelate,
            registration=self.registration,
            scale=scale,
            status=status,
            report=report,
        )

    def _kernel(self, pair, basis, fixed, moved, guess):
        """Return the kernel's terms over the field, those of the background, bits and numbers."""
        size, h, m = self.stamp, basis.half, len(basis.kernels)
        places = choose(pair, size + 2 * h, self.stamp_snr, self.most)
        status, n = 0, len(places)
        order = self.order if n * 4 >= 3 * m else 0
        report = {"stamps": n, "order": order}
        if n >= MIN_STAMPS:
            target, variance, noisy = (cut(p, places, size).reshape(n, -1) for p in (fixed[0], fixed[1], moved[1]))
            convolved = basis.convolve(cut(moved[0], places, size + 2 * h)).reshape(m, n, -1)
            step = np.arange(size) - size // 2
            rows = (places[:, 0, None, None] + step[:, None] + 0 * step).reshape(n, -1)
            columns = (places[:, 1, None, None] + 0 * step[:, None] + step).reshape(n, -1)
            phi = field_terms(rows, columns, pair.bad.shape, order)
            ground = field_terms(rows, columns, pair.bad.shape, self.background)
            design = np.concatenate([(phi[:, None] * convolved).reshape(-1, n, size * size), ground])
            mid = m * len(phi)
            share = guess**2 * (convolve_energy(fixed[2], moved[2]))
            for _ in range(2):  # the kernel decides how much the convolved image's noise weighs
                total = variance + share * noisy
                bias = np.zeros((n, len(design), len(design)))
                cross = np.einsum("inp,jnp->nij", phi * (noisy / total), phi)
                bias[:, :mid, :mid] = np.einsum("nij,kl->nikjl", cross, basis.products).reshape(n, mid, mid)
                fit = solve(target, design, total, bias)
                if fit.coefficients is None:
                    break
                kernels = np.tensordot(fit.coefficients[:mid].reshape(len(phi), m), basis.kernels, 1)
                share = (kernels[0] ** 2).sum()
            if fit.coefficients is not None and kernels[0].sum() > 0.05 * guess:
                status |= BITS.REJECTED if fit.kept.mean() < 2 / 3 else 0
                report |= {"kept": int(fit.kept.sum()), "rank": fit.rank, "chi2": fit.chi2}
                return kernels, fit.coefficients[mid:], status, report
            status |= BITS.SINGULAR
        else:
            status |= BITS.FEW_STAMPS
        return guess * match_psfs(basis, fixed[2], moved[2])[None], np.zeros(1), status, report


def match_psfs(basis, fixed, moved):
    """Return the kernel of unit sum under which one PSF comes closest to the other."""
    size = max(fixed.shape[0], moved.shape[0])
    h = basis.half
    target = np.pad(fixed, (size - fixed.shape[0]) // 2).reshape(1, -1)
    design = basis.convolve(np.pad(moved, (size - moved.shape[0]) // 2 + h)[None]).reshape(len(basis.kernels), 1, -1)
    fit = solve(target, design, np.ones_like(target), rcond=_FALLBACK)
    kernel = np.tensordot(fit.coefficients, basis.kernels, 1)
    return kernel / kernel.sum()


def convolve_energy(fixed, moved):
    """Return sum K^2 of the Gaussian that makes one PSF as wide as the other, at most 1: a first guess."""
    square = width(fixed) ** 2 - width(moved) ** 2
    return min(1.0, 1 / (4 * np.pi * square)) if square > 0 else 1.0
