"""Shapes that a search looks for: trails and comae under the PSF of a difference."""

import numpy as np
from scipy import fft

from ..data.coma import coma_transform
from ..subtract.kernels import kernel_of, odd_fast, transform

TRAILS = {2.0: 4, 5.0: 6, 10.0: 12}
"""Length in arcsec of the trails of a `bank`, and at how many angles: an object at 1.6, 4 and 8 deg a day in 30 s."""
COMAE = (2.0, 5.0)
"""Radii in arcsec of its comae."""
LARGEST = 0.8
"""Length of a trail, and diameter of a coma, over the side of the image up to which a `bank` has them."""


def trail(psf, length, angle):
    """Return the PSF drawn along a line: the shape of a source that moves at a constant rate.

    Parameters
    ----------
    psf : (k, k) array
    length : float
        Pixels.
    angle : float
        Radians, counterclockwise from the x axis.

    Returns
    -------
    (K, K) array
        Unit sum, K = k + 2 ceil(length / 2).
    """
    size = psf.shape[0] + 2 * int(np.ceil(length / 2))
    grid = odd_fast(size)
    fy, fx = fft.fftfreq(grid)[:, None], fft.rfftfreq(grid)
    line = np.sinc(length * (fx * np.cos(angle) + fy * np.sin(angle)))
    half = size // 2
    out = kernel_of(transform(psf, (grid, grid)) * line, grid)
    out = out[grid // 2 - half : grid // 2 + half + 1, grid // 2 - half : grid // 2 + half + 1]
    return out / out.sum()


def coma_shape(psf, radius):
    """Return a 1 / rho coma that ends at a radius, under the PSF.

    Parameters
    ----------
    psf : (k, k) array
    radius : float
        Pixels.

    Returns
    -------
    (K, K) array
        Unit sum, K = k + 2 ceil(radius).
    """
    size = psf.shape[0] + 2 * int(np.ceil(radius))
    grid = odd_fast(size)
    wave = 2 * np.pi * np.hypot(fft.fftfreq(grid)[:, None], fft.rfftfreq(grid))
    off = (grid - size) // 2
    out = kernel_of(transform(psf, (grid, grid)) * coma_transform(wave * radius), grid)[
        off : grid - off, off : grid - off
    ]
    return out / out.sum()


def bank(difference, pixel_scale=0.2):
    """Return the shapes that a search looks for beside points.

    Trails of `TRAILS` and comae of `COMAE`, as far as the image holds them: of small pixels the largest, no whole one
    of which is in it, overlap with everything else. A trail between them loses part of its signal-to-noise ratio: 8
    per cent in the mean of lengths up to 12 arcsec and all angles in seeing of 0.8 arcsec, a quarter at most.

    Parameters
    ----------
    difference : Difference
    pixel_scale : float
        Arcsec.

    Returns
    -------
    trails : list of (length, angle)
        Pixels and radians.
    shapes : list of (k, k) array
    """
    most = LARGEST * min(difference.image.shape) * pixel_scale
    lengths = [(length / pixel_scale, number) for length, number in TRAILS.items() if length <= most]
    trails = [(length, np.pi * k / number) for length, number in lengths for k in range(number)]
    return trails, [coma_shape(difference.psf, radius / pixel_scale) for radius in COMAE if 2 * radius <= most]
