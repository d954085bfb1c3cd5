"""Convolution and correlation with small kernels, and what noise becomes under them.

A kernel is a square array of odd size whose central pixel is the origin. Fourier transforms of
kernels have their origin at pixel (0, 0), so that they multiply without a shift of phase.
"""

import numpy as np
from scipy import fft

DELTA = np.ones((1, 1))


def odd_fast(size):
    """Return the least odd number >= ``size`` that has only small prime factors."""
    size = int(size) | 1
    while fft.next_fast_len(size, real=True) != size:
        size += 2
    return size


def transform(kernel, shape):
    """Return the real FFT of a kernel, its centre at pixel (0, 0) of a grid of ``shape``.

    Parameters
    ----------
    kernel : (k, k) array
        k odd. Wider than the grid: it wraps.
    shape : tuple of int

    Returns
    -------
    (shape[0], shape[1] // 2 + 1) complex array
    """
    kernel = np.asarray(kernel, dtype=float)
    half, size = kernel.shape[0] // 2, kernel.shape[0]
    if size <= min(shape):  # only the kernel's own rows need a transform along x
        line = np.zeros((size, shape[1]))
        line[:, : half + 1], line[:, shape[1] - half :] = kernel[:, half:], kernel[:, :half]
        rows = fft.rfft(line, axis=1)
        grid = np.zeros((shape[0], shape[1] // 2 + 1), dtype=complex)
        grid[: half + 1], grid[shape[0] - half :] = rows[half:], rows[:half]
        return fft.fft(grid, axis=0, overwrite_x=True)
    grid = np.zeros(shape)
    rows, columns = (np.arange(-half, half + 1) % n for n in shape)
    np.add.at(grid, (rows[:, None], columns[None, :]), kernel)
    return fft.rfft2(grid)


def kernel_of(spectrum, size):
    """Return the kernel of a spectrum on a square grid of odd ``size``, its centre in the central pixel."""
    return fft.fftshift(fft.irfft2(spectrum, s=(size, size)))


def trim(kernel, lost=1e-4):
    """Cut a kernel to the smallest square that leaves at most ``lost`` of sum |kernel| outside."""
    half = kernel.shape[0] // 2
    ring = np.maximum(*np.abs(np.indices(kernel.shape) - half))
    inside = np.cumsum(np.bincount(ring.ravel(), np.abs(kernel).ravel()))
    keep = int(np.searchsorted(inside, (1 - lost) * inside[-1]))
    keep = min(keep, half)
    return kernel[half - keep : half + keep + 1, half - keep : half + keep + 1]


def reach(kernel, share=0.9999):
    """Return the radius in pixels within which a kernel has ``share`` of the sum of its squares."""
    half = kernel.shape[0] // 2
    yy, xx = np.indices(kernel.shape) - half
    radius = np.ceil(np.hypot(yy, xx)).astype(int)
    energy = np.cumsum(np.bincount(radius.ravel(), (kernel**2).ravel()))
    return int(np.searchsorted(energy, share * energy[-1]))


def width(psf):
    """Return the sigma of the Gaussian of the same noise-equivalent area, 1 / sum psf^2 = 4 pi sigma^2."""
    psf = np.asarray(psf, dtype=float)
    return float(psf.sum() / np.sqrt(4 * np.pi * (psf**2).sum()))


class Filter:
    """Convolve or correlate images of one shape with kernels; 0 outside of the image.

    Parameters
    ----------
    shape : tuple of int
        Of the images.
    half : int
        Half-size of the widest kernel.
    """

    def __init__(self, shape, half):
        self.shape = shape
        self.grid = tuple(fft.next_fast_len(n + half, real=True) for n in shape)

    def image(self, array):
        """Return the transform of an image."""
        return fft.rfft2(np.asarray(array, dtype=float), s=self.grid)

    def back(self, spectrum):
        """Return the image of a spectrum."""
        return fft.irfft2(spectrum, s=self.grid)[: self.shape[0], : self.shape[1]]

    def convolve(self, array, kernel):
        """Return sum_u kernel(u) array(x - u)."""
        if kernel.shape == (1, 1):
            return np.asarray(array, dtype=float) * kernel[0, 0]
        return self.back(self.image(array) * transform(kernel, self.grid))

    def correlate(self, array, kernel):
        """Return sum_u kernel(u) array(x + u)."""
        return self.convolve(array, kernel[::-1, ::-1])


def convolve(array, kernel):
    """Convolve one image with one kernel; 0 outside of the image."""
    return Filter(np.shape(array), kernel.shape[0] // 2).convolve(array, kernel)


def shifted(kernel, dx, dy):
    """Return copies of a band-limited kernel moved by fractions of a pixel.

    Parameters
    ----------
    kernel : (k, k) array
    dx, dy : (N,) array
        Pixels, to larger x and y.

    Returns
    -------
    (N, k, k) array
    """
    k = kernel.shape[0]
    size = odd_fast(k + 2)
    fy, fx = fft.fftfreq(size)[:, None], fft.rfftfreq(size)
    dx, dy = (np.asarray(d, dtype=float)[:, None, None] for d in (dx, dy))
    phase = np.exp(-2j * np.pi * (fx * dx + fy * dy))
    grid = fft.irfft2(transform(kernel, (size, size)) * phase, s=(size, size))
    return fft.fftshift(grid, axes=(1, 2))[:, (size - k) // 2 : (size + k) // 2, (size - k) // 2 : (size + k) // 2]
