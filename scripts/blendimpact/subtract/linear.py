"""Sums over the pixels of a difference, and the exact covariance of their noise."""

import numpy as np
from scipy import fft

from .kernels import odd_fast, transform

_BLOCK = 2**20  # float64 numbers in the largest array


def nearest(x, y):
    """Return column and row of the pixels that hold positions, which are finite."""
    return np.floor(np.asarray(x) + 0.5).astype(int), np.floor(np.asarray(y) + 0.5).astype(int)


def inside(shape, x, y):
    """Return which positions are finite and on an image of that shape."""
    ny, nx = shape
    with np.errstate(invalid="ignore"):
        return (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)


def stamps(plane, i, j, size):
    """Return (N, size, size) stamps about pixels (column i, row j); 0 outside of the image."""
    half = size // 2
    view = np.lib.stride_tricks.sliding_window_view(np.pad(plane, half), (size, size))
    return view[j, i].astype(float)


def covariance(difference, i, j, weights):
    """Return the covariance of sums over pixels, exact for `Difference.noise`.

    A sum is that of ``weights`` x image. Each source of the noise is white under a kernel, so the weight of its white
    noise is the correlation of the weights with the kernel, and its variance is that of each pixel.

    Parameters
    ----------
    difference : Difference
    i, j : (N,) int array
        Column and row of the central pixels.
    weights : (N, p, S, S) array
        p sums about each; S odd; pixels without data have weight 0.

    Returns
    -------
    (N, p, p) array
        Square of the difference's unit if the weights have none.
    """
    n, p, size, _ = weights.shape
    out = np.zeros((n, p, p))
    for noise in difference.noise:
        if noise.kernel.shape == (1, 1):
            out += noise.kernel[0, 0] ** 2 * _products(weights, stamps(noise.variance, i, j, size))
            continue
        wide = odd_fast(size + 2 * (noise.kernel.shape[0] // 2))
        pad = (wide - size) // 2
        spectrum = np.conj(transform(noise.kernel, (wide, wide)))
        for rows in np.array_split(np.arange(n), max(1, -(-n * p * wide**2 // _BLOCK))):
            padded = np.pad(weights[rows], ((0, 0), (0, 0), (pad, pad), (pad, pad)))
            under = fft.irfft2(fft.rfft2(padded) * spectrum, s=(wide, wide))
            out[rows] += _products(under, stamps(noise.variance, i[rows], j[rows], wide))
    return out


def _products(weights, variance):
    """Return (N, p, p): sums over the pixels of the products of two weights and the variance."""
    flat, scaled = (w.reshape(*w.shape[:2], -1) for w in (weights, weights * variance[:, None]))
    return np.einsum("nax,nbx->nab", scaled, flat)
