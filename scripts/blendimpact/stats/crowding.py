"""The error that unresolved fainter stars leave on the photometry of a star: the analytic curve.

Olsen, Blum & Rigaut (2003), in the form in which rubin_sim's MAF has it:

    sigma_c(m) = (FWHM / 2) sqrt(pi) [sum over m' > m of n(m') 10^(-0.8 m')]^(1/2) / 10^(-0.4 m)

with n(m') the stars per arcsec2 in each bin. It is Campbell's theorem for a beam that is a disc of the PSF's full
width: the variance of the light of Poisson-distributed stars in a beam of area A is A times the sum of n f^2. A fit of
a round Gaussian PSF weighs neighbours by exp(-r^2 / 4 sigma^2), whose square integrates to 2 pi sigma^2, which is 1.44
times the disc's area: its error is 1.20 times the curve.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .statistic import Statistic, ratio

GAUSSIAN_OVER_DISC = np.log(2) ** -0.5
"""Error of a fit of a Gaussian PSF over the curve's: sqrt(2 pi sigma^2 / (pi FWHM^2 / 4)), FWHM^2 = 8 ln 2 sigma^2."""


def beam_area(fwhm):
    """Return the area of the curve's beam, pi FWHM^2 / 4, in the square of the unit of ``fwhm``."""
    return np.pi * np.square(fwhm) / 4


def crowding_error(magnitudes, stars, area, fwhm):
    """Return the analytic crowding error of stars among fainter ones.

    Parameters
    ----------
    magnitudes : (N,) array
        Of the stars whose error is asked for.
    stars : (M,) array
        Magnitudes of all stars of the field; only those fainter than a star count for it.
    area : float
        Of the field, arcsec2.
    fwhm : float
        Full width of the PSF at half maximum, arcsec.

    Returns
    -------
    (N,) array
        Standard deviation of the flux over the flux.
    """
    magnitudes = np.asarray(magnitudes, dtype=float)
    stars = np.sort(np.asarray(stars, dtype=float)[np.isfinite(stars)])
    # Sums from the faint end: entry k holds stars k, k + 1, ...
    power = np.append(np.cumsum(10 ** (-0.8 * stars[::-1]))[::-1], 0.0)
    fainter = power[np.searchsorted(stars, magnitudes, side="right")]
    return np.sqrt(beam_area(fwhm) / area * fainter) * 10 ** (0.4 * magnitudes)


def light_in_beams(magnitudes, stars, places, beam):
    """Return the light of fainter stars in a beam at each of many places, over the flux of a star.

    What a star would have got from the field, had it been at any of the places: the errors whose standard deviation is
    the analytic curve where ``beam`` is a disc of the PSF's full width.

    Parameters
    ----------
    magnitudes : (N,) array
        Of the stars whose error is asked for.
    stars : (M, 3) array
        x, y and magnitude of all stars of the field.
    places : (P, 2) array
        x, y.
    beam : callable
        ``beam(distance)``: part of a star's light that is in the beam, in the unit of x and y.

    Returns
    -------
    (N, P) array
        As fractions of the flux.
    """
    stars = stars[np.argsort(stars[:, 2])]
    weight = beam(np.hypot(*(places[:, None, :] - stars[None, :, :2]).transpose(2, 0, 1)))
    light = weight * 10 ** (-0.4 * stars[:, 2])
    # Sums from the faint end: entry k holds stars k, k + 1, ...
    fainter = np.append(np.cumsum(light[:, ::-1], axis=1)[:, ::-1], np.zeros((len(places), 1)), axis=1)
    return fainter[:, np.searchsorted(stars[:, 2], magnitudes, side="right")].T * 10 ** (0.4 * magnitudes)[:, None]


def crowding_limit(edges, per_beam, level):
    """Return the magnitude at which the analytic crowding error reaches a level.

    Parameters
    ----------
    edges : (K + 1,) array
        Bins of magnitude.
    per_beam : (..., K) array
        Stars per beam (`beam_area`) in each bin.
    level : float
        As a fraction of the flux.

    Returns
    -------
    (...) array
        Linear in the logarithm of the error between the bright edges of the bins, where the curve counts whole bins.
        NaN where the error does not reach the level at any edge, or is above it at the first.
    """
    edges, per_beam = np.asarray(edges, dtype=float), np.asarray(per_beam, dtype=float)
    middle = (edges[1:] + edges[:-1]) / 2
    power = np.cumsum((per_beam * 10 ** (-0.8 * middle))[..., ::-1], axis=-1)[..., ::-1]
    with np.errstate(divide="ignore"):
        error = 0.5 * np.log10(power) + 0.4 * edges[:-1] - np.log10(level)
    out = np.full(error.shape[:-1], np.nan)
    for k in range(error.shape[-1] - 2, -1, -1):  # the brightest crossing stays: the catalogue ends at the faint end
        a, b = error[..., k], error[..., k + 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            at = edges[k] - a / (b - a) * (edges[k + 1] - edges[k])
        out = np.where((a < 0) & (b >= 0) & np.isfinite(a), at, out)
    return out[()]


@dataclass(frozen=True, kw_only=True)
class DeviationRatio(Statistic):
    """Standard deviation over that of a reference of as many objects. Sums: n, x, xx; y, yy of the reference."""

    counted: ClassVar[tuple] = (0,)

    def of(self, sums):
        n, x, xx, y, yy = (sums[..., 0, k] for k in range(5))
        own, reference = (ratio(square, n) - ratio(first, n) ** 2 for first, square in ((x, xx), (y, yy)))
        return np.sqrt(np.clip(ratio(own, reference), 0, None))
