"""Comae in Fourier space: one that ends, for the filters of a search, and one that fades, for light and fits."""

import numpy as np
from scipy.special import gamma, gammainc, hyp1f1, itj0y0


def coma_transform(q):
    """Return the transform of a 1 / rho profile of unit flux that ends at R, at q = k R.

    2 pi int_0^R J0(k rho) rho / (2 pi R rho) d rho = (1 / q) int_0^q J0(t) dt.
    """
    q = np.asarray(q, dtype=float)
    small = q < 1e-4
    safe = np.where(small, 1.0, q)
    return np.where(small, 1.0 - q * q / 12, itj0y0(safe)[0] / safe)


def fading_coma(kx, ky, radius, slope, asymmetry=0.0, angle=0.0):
    """Return the transform of rho^slope exp(-rho^2 / radius^2) (1 + asymmetry cos(phi - angle)) of unit flux.

    The integrals over the azimuth are Bessel functions, and those over the radius Kummer's function M.

    Parameters
    ----------
    kx, ky : (...) array
        Wave numbers, rad per unit of ``radius``.
    radius : float
        Where brightness is 1 / e of the power law.
    slope : float
        Between -2 and 0.
    asymmetry : float
        From 0 (round) to 1.
    angle : float
        Of the bright side, radians, counterclockwise from the x axis.
    """
    q = np.hypot(kx, ky) * radius
    out = hyp1f1(1 + slope / 2, 1, -q * q / 4)
    if asymmetry:
        along = 0.5 * radius * (kx * np.cos(angle) + ky * np.sin(angle))
        share = gamma(1.5 + slope / 2) / gamma(1 + slope / 2)
        out = out - 1j * asymmetry * share * along * hyp1f1(1.5 + slope / 2, 2, -q * q / 4)
    return out


def coma_share(rho, radius, slope):
    """Return the part of the light of `fading_coma` within ``rho`` of the nucleus."""
    return gammainc(1 + slope / 2, np.square(rho) / radius**2)
