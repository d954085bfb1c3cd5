"""A comet: nucleus, coma and tail, in Fourier space.

Nucleus: a point. Coma: brightness falls as rho^slope (-1: a steady outflow) and fades as a Gaussian, to 1 / e of the
power law at ``coma_radius``; it may be brighter on one side. Tail: a line from the nucleus whose brightness falls
linearly to nothing at ``tail_length``, as wide as a Gaussian of FWHM ``tail_width``. Of unit flux together; the
fractions are of the total.
"""

import numpy as np

from ..data.coma import fading_coma
from ..errors import StudyError

TAIL_WIDTH = 1.0
"""Arcsec: FWHM of a tail whose width is not given."""
STEADY = -1.0
"""Slope of a coma for which none is given."""
FAINT = 2.15
"""Coma radii: there a coma is at 1 % of the power law, and its stamp may end."""


class Comet:
    """Light of a comet, with the members of `spectra.Point`."""

    def __init__(self, nucleus, coma, tail=0.0, length=0.0, angle=0.0, width=TAIL_WIDTH):
        """Take the arguments of `fading_coma`, and those of the tail; angles in degrees, lengths in arcsec."""
        self.nucleus, self.coma, self.tail = nucleus, 1.0 - nucleus - tail, tail
        self.shape, self.length, self.sigma = coma, length, width / np.sqrt(8 * np.log(2))
        self.direction = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        self.extent = max(FAINT * coma[0], (length + 1.5 * width) if tail else 0.0)

    def transform(self, grid):
        """Return the sum of the transforms of the three parts."""
        total = self.nucleus + self.coma * fading_coma(grid.kx, grid.ky, *self.shape)
        if self.tail:
            wave = np.sqrt(grid.xx + grid.yy)
            along = (self.direction[0] * grid.kx + self.direction[1] * grid.ky) * self.length
            total = total + self.tail * _ramp(along) * np.exp(-0.5 * (wave * self.sigma) ** 2)
        return total

    def radius(self, ratio):
        """Return 0: nothing is outside of ``extent``, and the wing is the PSF's."""
        return 0.0

    def reach(self, share=1.0):
        """Return ``extent``: nothing is outside."""
        return self.extent


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
        ``nucleus_fraction``, ``coma_radius`` (arcsec), ``coma_slope``, ``coma_asymmetry``, ``coma_angle`` (deg, of its
        bright side); where there is a tail also ``tail_fraction``,
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
    slope, asymmetry = _number(row, "coma_slope", STEADY), _number(row, "coma_asymmetry", 0.0)
    if not (-2 < slope <= 0 and 0 <= asymmetry <= 1):
        raise StudyError(
            f"a coma of slope {slope} and asymmetry {asymmetry}",
            name,
            "coma_slope is above -2 and at most 0, coma_asymmetry from 0 to 1",
        )
    coma = radius, slope, asymmetry, np.radians(_number(row, "coma_angle", 0.0))
    return Comet(nucleus, coma, tail, length, _number(row, "tail_angle", 0.0), width)


def _number(row, name, default):
    value = float(row[name]) if name in row else np.nan
    return default if np.isnan(value) else value
