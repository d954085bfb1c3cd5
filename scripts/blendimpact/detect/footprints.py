"""Footprints that are split among peaks: their maps, flags and moments."""

import numpy as np
from scipy.ndimage import binary_dilation, label

from .base import BITS

_EIGHT = np.ones((3, 3))


def markers(peaks, shape):
    """Return an int32 image with 1, 2, ... in the pixels of the peaks (row, column), 0 elsewhere."""
    markers = np.zeros(shape, dtype=np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return markers


def flags(segmentation, footprint, peaks, bad):
    """Return the bits of each peak: not alone in its footprint, at the edge, beside pixels without data."""
    count = len(peaks)
    parent = label(footprint, _EIGHT)[0][tuple(peaks.T)]
    flag = np.where(np.bincount(parent)[parent] > 1, BITS.BLENDED, 0) if count else np.zeros(0, dtype=int)
    numbers = np.arange(1, count + 1)
    frame = np.concatenate([segmentation[[0, -1]].ravel(), segmentation[:, [0, -1]].ravel()])
    flag = flag | np.where(np.isin(numbers, frame), BITS.EDGE, 0)
    if bad.any():
        flag |= np.where(np.isin(numbers, segmentation[binary_dilation(bad, _EIGHT)]), BITS.MASKED, 0)
    return flag


def moments(segmentation, light, count):
    """Return npix and the second moments of the smoothed light above the threshold."""
    y, x = np.nonzero(segmentation)
    owner, weight = segmentation[y, x], light[y, x]

    def total(values):
        return np.bincount(owner, values, count + 1)[1:]

    with np.errstate(invalid="ignore", divide="ignore"):
        flux = total(weight)
        mx, my = total(weight * x) / flux, total(weight * y) / flux
        xx, yy, xy = (
            total(weight * p * q) / flux - mp * mq for p, q, mp, mq in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
        )
        # The variance of a uniform pixel, so that one row of pixels has a minor axis.
        xx, yy = xx + 1 / 12, yy + 1 / 12
        mean, spread = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
        a, b = np.sqrt(mean + spread), np.sqrt(np.maximum(mean - spread, 0.0))
    return {
        "npix": np.bincount(owner, minlength=count + 1)[1:],
        "a": a,
        "b": b,
        "theta": 0.5 * np.arctan2(2 * xy, xx - yy),
    }
