"""A comet: nucleus, coma and tail, in Fourier space.

Nucleus: a point. Coma: a steady outflow, so its surface brightness falls as 1 / rho; it is cut at
``coma_radius``, so that the light within rho grows as rho up to there and Afrho is the same at all
rho. Tail: a line from the nucleus whose brightness falls linearly to nothing at ``tail_length``,
as wide as a Gaussian of FWHM ``tail_width``. Of unit flux together; the fractions are of the total.
"""

import numpy as np

from ..data.coma import coma_transform
from ..errors import StudyError

TAIL_WIDTH = 1.0
"""Arcsec: FWHM of a tail whose width is not given."""


class Comet:
    """Light of a comet, with the members of `spectra.Point`."""

    def __init__(self, nucleus, radius, tail=0.0, length=0.0, angle=0.0, width=TAIL_WIDTH):
        self.nucleus, self.coma, self.tail = nucleus, 1.0 - nucleus - tail, tail
        self.coma_radius, self.length, self.sigma = radius, length, width / np.sqrt(8 * np.log(2))
        self.direction = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        self.extent = max(radius, (length + 1.5 * width) if tail else 0.0)

    def transform(self, grid):
        """Return the sum of the transforms of the three parts."""
        wave = np.sqrt(grid.xx + grid.yy)
        total = self.nucleus + self.coma * coma_transform(wave * self.coma_radius)
        if self.tail:
            along = (self.direction[0] * grid.kx + self.direction[1] * grid.ky) * self.length
            total = total + self.tail * _ramp(along) * np.exp(-0.5 * (wave * self.sigma) ** 2)
        return total

    def radius(self, ratio):
        """Return 0: nothing is outside of ``extent``, and the wing is the PSF's."""
        return 0.0


def _ramp(q):
    """Return int_0^1 2 (1 - u) exp(-i q u) du: a line that falls linearly to nothing."""
    small = np.abs(q) < 1e-3
    safe = np.where(small, 1.0, q)
    exact = 2 * (1 / (1j * safe) + (1 - np.exp(-1j * safe)) / safe**2)
    return np.where(small, 1 - 1j * q / 3 - q * q / 12, exact)


def comet_of(row, name):
    """Return the comet that a row describes.

    Parameters
    ----------
    row : mapping
        ``nucleus_fraction``, ``coma_radius`` (arcsec); where there is a tail also ``tail_fraction``,
        ``tail_length`` (arcsec), ``tail_angle`` (deg, from the x axis counter-clockwise), ``tail_width``
        (arcsec, FWHM).
    name : str
        What to call the source in a message.

    Raises
    ------
    StudyError
        If a number is out of range.
    """
    nucleus, radius = float(row["nucleus_fraction"]), float(row["coma_radius"])
    tail = _number(row, "tail_fraction", 0.0)
    length, width = _number(row, "tail_length", 0.0), _number(row, "tail_width", TAIL_WIDTH)
    if not (0 <= nucleus <= 1 and 0 <= tail <= 1 and nucleus + tail <= 1 + 1e-9):
        raise StudyError(
            f"a comet of nucleus_fraction {nucleus} and tail_fraction {tail}",
            name,
            "both are parts of the light, from 0 to 1, together at most 1; the rest is coma",
        )
    if not 0 < radius < np.inf:
        raise StudyError(f"a coma of radius {radius} arcsec", name, "give a positive coma_radius")
    if tail and not (0 < length < np.inf and 0 < width < np.inf):
        raise StudyError(
            f"a tail {length} arcsec long and {width} wide",
            name,
            "give a positive tail_length and tail_width, or a tail_fraction of 0",
        )
    return Comet(nucleus, radius, tail, length, _number(row, "tail_angle", 0.0), width)


def _number(row, name, default):
    value = float(row[name]) if name in row else np.nan
    return default if np.isnan(value) else value
