"""Square cut-outs of many sources at once.

A stamp of odd size S belongs to a centre (x, y): its central pixel is the pixel in which the
centre lies. Stamps may reach outside of the image.
"""

import numpy as np

from .significance import BAD


def origins(x, y, size):
    """Return the stamps' first pixels.

    Parameters
    ----------
    x, y : (N,) array
        Centres in pixels, 0-based. A centre that is not finite gets a stamp wholly outside.
    size : int
        Width of the stamps, odd.

    Returns
    -------
    x0, y0 : (N,) int64 array
        Column and row of the stamps' first pixel.

    Raises
    ------
    ValueError
        If the size is even: then no pixel is central.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a stamp has an odd size, not {size}")
    lost = ~(np.isfinite(x) & np.isfinite(y))
    x0, y0 = (
        np.floor(np.where(lost, -2.0 * size, v) + 0.5).astype(np.int64) - size // 2
        for v in (np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    )
    return x0, y0


def cut(plane, x0, y0, size, outside=0):
    """Cut many stamps out of one plane.

    Parameters
    ----------
    plane : (ny, nx) array
        Of any type.
    x0, y0 : (N,) int array
        First column and row of each stamp, anywhere.
    size : int
        Width of the stamps.
    outside : scalar
        Value of the pixels that are not on the plane.

    Returns
    -------
    (N, size, size) array
        Copies, in the plane's type and native byte order.
    """
    plane, x0, y0 = np.asarray(plane), np.asarray(x0), np.asarray(y0)
    ny, nx = plane.shape
    if not reaches_outside(x0, y0, size, plane.shape).any():
        windows = np.lib.stride_tricks.sliding_window_view(plane, (size, size))
        return windows[y0, x0].astype(plane.dtype.newbyteorder("="), copy=False)
    padded = np.full((ny + 2 * size, nx + 2 * size), outside, dtype=plane.dtype.newbyteorder("="))
    padded[size:-size, size:-size] = plane
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return windows[np.clip(y0 + size, 0, ny + size), np.clip(x0 + size, 0, nx + size)]


def reaches_outside(x0, y0, size, shape):
    """Return (N,) bool: which stamps have pixels that are not on an image of ``shape``."""
    ny, nx = shape
    x0, y0 = np.asarray(x0), np.asarray(y0)
    return (x0 < 0) | (y0 < 0) | (x0 + size > nx) | (y0 + size > ny)


def disc(size, radius):
    """Return (size, size) bool: pixels whose centre is within ``radius`` of the central pixel's."""
    yy, xx = np.indices((size, size)) - size // 2
    return xx**2 + yy**2 <= radius**2


def masked_stamps(image, x0, y0, size):
    """Return (N, S, S) bool: pixels of one band without data (not those outside of the image)."""
    bad = ((image.mask & BAD) != 0) | ~np.isfinite(image.science)
    if not bad.any():
        return np.zeros((len(x0), size, size), dtype=bool)
    return cut(bad, x0, y0, size, False)
