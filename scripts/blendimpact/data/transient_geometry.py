"""Where a sky has changed: points, lines of trails, comae and tails."""

import numpy as np

THRESHOLD = 5.0
"""Of a search of differences, sigma, unless the detector is configured with another."""

REQUIRED_SNR = 5.5, 6.5
"""Isolated S/N around 6, at which completeness is required of a search of differences."""


def distance_from_line(dx, dy, length, angle):
    """Return the distance of points from lines.

    Parameters
    ----------
    dx, dy : array
        Points minus the middle of the line.
    length : float or array
        In the same unit; 0 is a point.
    angle : float or array
        Radians, counterclockwise from the x axis.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    along = np.clip(dx * cos + dy * sin, -length / 2, length / 2)
    return np.hypot(dx - along * cos, dy - along * sin)


def distance_from_changes(changed, x, y, scale):
    """Return how far points are from what has changed.

    Parameters
    ----------
    changed : Table
        N rows of a truth: ``x``, ``y`` (pixels) and, where there are any, ``trail_length`` (arcsec), ``trail_angle``
        (deg, counterclockwise from the x axis), ``coma_radius`` and ``tail_length`` (arcsec); NaN is none.
    x, y : (...) array
        Pixels.
    scale : float
        Arcsec per pixel.

    Returns
    -------
    (...) array
        Arcsec to the nearest change: to the point, or the nearest point of a trail's line, less the larger of the
        coma's radius and the tail's length, so negative inside of a comet; infinite where nothing has changed.
    """
    x, y = (np.asarray(c, dtype=float) for c in (x, y))
    out = np.full(x.shape, np.inf)
    length, angle, coma, tail = (
        np.nan_to_num(np.asarray(changed[name], float)) if name in changed.colnames else np.zeros(len(changed))
        for name in ("trail_length", "trail_angle", "coma_radius", "tail_length")
    )
    angle = np.radians(angle)
    for k, (x0, y0) in enumerate(zip(*(np.asarray(changed[name], float) for name in ("x", "y")))):
        away = distance_from_line(scale * (x - x0), scale * (y - y0), length[k], angle[k])
        out = np.minimum(out, away - max(coma[k], tail[k]))
    return out
