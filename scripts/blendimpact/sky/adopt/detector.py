"""What a detector leaves in a raw frame: a bias that changes from line to line, and pixels that do not work.

A survey's coadd has neither. A frame as it was read out has both, and both would be taken for sky and sources.
"""

import numpy as np
from scipy import ndimage

from .noise import MAD_TO_SIGMA

SOURCE_SIGMA = 3.0
"""Pixels above the median of their line by more than this do not count in it, nor do those beside them."""
BAD_LINE = 2.5
"""A line whose pixels scatter this many times more than those of the median line has no data."""
RING_FACTOR = 3.0
"""A pixel that exceeds the median of the eight around it by this factor cannot be the core of a star."""
_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


def level_lines(science, bad, axis):
    """Return an image without a bias that is constant along each line.

    The bias of a line is the median of its pixels without sources, relative to the median of all lines: the level of
    the image stays. Its error is 1.25 sigma / sqrt(pixels of the line), 4 % of the noise for 1000 pixels. Light that
    is smooth along a line is taken with it.

    Parameters
    ----------
    science : (ny, nx) array
    bad : (ny, nx) bool array
        Pixels without data.
    axis : {"rows", "columns"}
        The lines.

    Returns
    -------
    levelled : (ny, nx) float32 array
    lost : (ny, nx) bool array
        Pixels of lines that scatter more than `BAD_LINE` times the median line.
    bias : (n,) array
        Of each row, or column; 0 where the line is lost.
    """
    data = science.astype(float) if axis == "rows" else science.T.astype(float)
    use = ~(bad if axis == "rows" else bad.T)
    scatter = np.ma.masked_array(data, ~use)
    scatter = np.ma.median(np.abs(scatter - np.ma.median(scatter, axis=1)[:, None]), axis=1).filled(0.0)
    lost = np.repeat((scatter > BAD_LINE * np.median(scatter))[:, None], data.shape[1], axis=1)
    out_of_use = ~use | lost
    use, bias = ~out_of_use, np.full(len(data), np.nan)
    for _ in range(3):
        counted = np.ma.masked_array(data, ~use)
        found = np.ma.median(counted, axis=1).filled(np.nan)
        bias = np.where(np.isfinite(found), found, bias)  # a line that sources fill keeps what it had
        flat = np.nan_to_num(data - bias[:, None])
        low = flat[use & (flat < 0)]  # the lower half: sources are not in it
        sigma = MAD_TO_SIGMA * float(np.median(-low)) if low.size else 0.0
        use = ~ndimage.binary_dilation((flat > SOURCE_SIGMA * sigma) & ~out_of_use, iterations=2) & ~out_of_use
    known = np.isfinite(bias)
    bias = np.where(known, bias - np.median(bias[known]), 0.0) if known.any() else np.zeros(len(data))
    levelled = (data - bias[:, None]).astype(np.float32)
    if axis == "columns":
        levelled, lost = np.ascontiguousarray(levelled.T), np.ascontiguousarray(lost.T)
    return levelled, lost, bias


def find_defects(science, bad, rms, sigma):
    """Return which pixels differ from all around them as no star does: hot and dead pixels, cosmic rays.

    Hot: ``sigma`` rms above the median of the eight pixels around it, and `RING_FACTOR` times as bright (a Gaussian of
    2 pixels FWHM is 2.4 times as bright in its centre). Dead: as far below it. A pixel that differs is masked and the
    search is repeated, for pairs. Only for images whose PSF is at least 2 pixels wide.

    Parameters
    ----------
    science : (ny, nx) array
        Sky-subtracted.
    bad : (ny, nx) bool array
        Pixels without data.
    rms : (ny, nx) array
        Noise of a pixel.
    sigma : float
        Threshold.
    """
    found = np.zeros(science.shape, bool)
    data = np.where(bad, 0.0, science)
    for _ in range(2):
        around = ndimage.median_filter(data, footprint=_RING, mode="nearest")
        excess = data - around
        hot = (excess > sigma * rms) & (data > RING_FACTOR * around)
        dead = (excess < -sigma * rms) & (data * RING_FACTOR < around)
        new = (hot | dead) & ~found & ~bad
        found |= new
        data = np.where(new, around, data)
    return found
