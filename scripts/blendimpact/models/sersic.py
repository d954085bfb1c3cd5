"""Sersic profiles as sums of Gaussians, drawn in Fourier space.

A Sersic profile of half-light radius 1 and unit flux is written as sum_i a_i(n) G(r; s_i) with circular
Gaussians G of fixed widths s_i, as Hogg & Lang (2013, PASP 125, 719) do for the exponential and de
Vaucouleurs profiles. Here the amplitudes are polynomials in ln n, so the profile has smooth derivatives in
every parameter, and they are fitted to the Fourier transform, where a sum of Gaussians is
T(kappa) = sum_i a_i(n) exp(-kappa^2 s_i^2 / 2). Multiplied by the transform of the PSF image, which holds the
pixel's response, it needs no oversampling however cuspy the profile is.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import fft

TABLE = Path(__file__).with_name("sersic_mixture.txt")
INDEX_RANGE = 0.5, 6.0  # of the table
WIDTHS = np.geomspace(0.01, 12.0, 14)
DEGREE = 8
_SPAN = np.log(INDEX_RANGE[1] / INDEX_RANGE[0])

PARAMETERS = ("x", "y", "log_r", "eta1", "eta2", "log_n")


def derive_table(indices=25, points=160):
    """Fit the amplitudes' Chebyshev coefficients to the exact Fourier transforms.

    Parameters
    ----------
    indices, points : int
        Numbers of Sersic indices and of wave numbers (0.01 to 120 per half-light radius) in the fit.

    Returns
    -------
    (len(WIDTHS), DEGREE + 1) array
        What `TABLE` holds. GalSim's ``Sersic.kValue`` is the reference.
    """
    import galsim

    n = INDEX_RANGE[0] * np.exp(_SPAN * np.arange(indices) / (indices - 1))
    kappa = np.geomspace(0.01, 120, points)
    exact = [[galsim.Sersic(n=v, half_light_radius=1.0).kValue(k, 0).real for k in kappa] for v in n]
    gauss = np.exp(-0.5 * np.outer(kappa, WIDTHS) ** 2)
    basis = np.polynomial.chebyshev.chebvander(2 * np.log(n / INDEX_RANGE[0]) / _SPAN - 1, DEGREE)
    design = np.einsum("ki,nd->nkid", gauss, basis).reshape(n.size * kappa.size, -1)
    # A little ridge keeps the amplitudes of order one, as single precision needs.
    normal = design.T @ design + 1e-8 * np.eye(design.shape[1])
    return np.linalg.solve(normal, design.T @ np.ravel(exact)).reshape(WIDTHS.size, -1)


@lru_cache(maxsize=1)
def _powers():
    """Return amplitudes and their derivatives in ln n as polynomials in t, (2 * len(WIDTHS), DEGREE + 1)."""
    value = np.zeros((WIDTHS.size, DEGREE + 1))
    for row, series in zip(value, np.loadtxt(TABLE)):
        powers = np.polynomial.chebyshev.cheb2poly(series)
        row[: powers.size] = powers
    slope = np.zeros_like(value)
    slope[:, :-1] = value[:, 1:] * np.arange(1, DEGREE + 1) * 2 / _SPAN
    return np.concatenate([value, slope])


def amplitudes(log_n):
    """Return the Gaussians' amplitudes at Sersic index exp(log_n), and their derivatives in log_n."""
    t = 2 * (log_n - np.log(INDEX_RANGE[0])) / _SPAN - 1
    both = _powers() @ t ** np.arange(DEGREE + 1)
    return both[: WIDTHS.size], both[WIDTHS.size :]


class Box:
    """Wave numbers of a periodic square of N x N pixels, and the PSFs' transforms on it.

    Parameters
    ----------
    size : int
        N, even.
    psfs : (nbands, k, k) array
        PSF images, centred on the central pixel, unit sum. Larger ones than the box are folded into it.
    """

    def __init__(self, size, psfs):
        self.size = size
        kx = 2 * np.pi * np.fft.rfftfreq(size)
        ky = 2 * np.pi * np.fft.fftfreq(size)[:, None]
        self.kx, self.ky = kx, ky
        self.plus = (kx**2 + ky**2).astype(np.float32).ravel()
        self.minus = (kx**2 - ky**2).astype(np.float32).ravel()
        self.cross = (2 * kx * ky).astype(np.float32).ravel()
        self.ikx = np.broadcast_to(1j * kx, (size, size // 2 + 1)).astype(np.complex64).ravel()
        self.iky = np.broadcast_to(1j * ky, (size, size // 2 + 1)).astype(np.complex64).ravel()
        folded = np.zeros((len(psfs), size, size))
        half = psfs.shape[-1] // 2
        index = np.arange(psfs.shape[-1]) - half
        np.add.at(folded, (slice(None), (index % size)[:, None], index % size), psfs)
        self.psf = fft.rfft2(folded).astype(np.complex64).reshape(len(psfs), -1)

    def draw(self, parameters, derivatives=False):
        """Draw the unit-flux source in every band.

        Parameters
        ----------
        parameters : (6,) array
            `PARAMETERS`: position in pixels of the box; ln of the half-light radius in pixels (of the
            circle of equal area); conformal shear (eta1, eta2), axis ratio q = exp(-|eta|); ln of the Sersic
            index.
        derivatives : bool
            Also return the derivatives in the six parameters.

        Returns
        -------
        (nbands, N, N) or (nbands, 7, N, N) float32 array
            The source convolved with the PSFs, periodic in the box; with ``derivatives`` it and, after it,
            d/d(parameter).
        """
        x, y, log_r, eta1, eta2, log_n = (float(v) for v in parameters)
        r2 = np.exp(2 * log_r)
        eta = np.hypot(eta1, eta2)
        c, s = np.cosh(eta), (np.sinh(eta) / eta if eta > 1e-4 else 1 + eta**2 / 6)
        mixed = eta1 * self.minus + eta2 * self.cross
        kappa2 = np.float32(r2 * c) * self.plus
        kappa2 += np.float32(r2 * s) * mixed
        exponent = np.multiply.outer((-0.5 * WIDTHS**2).astype(np.float32), kappa2)
        gauss = np.exp(exponent, out=exponent)
        a, slope = amplitudes(log_n)
        phase = (np.exp(-1j * (self.ky * y)) * np.exp(-1j * (self.kx * x))).astype(np.complex64).ravel()
        shape = (self.size, self.size)
        if not derivatives:
            transform = (a.astype(np.float32) @ gauss) * phase
            return self._image(transform * self.psf, shape)
        value, by_n, by_kappa2 = np.stack([a, slope, -0.5 * WIDTHS**2 * a]).astype(np.float32) @ gauss
        # d kappa^2 / d eta_j, from cosh' = sinh and d(sinh(eta)/eta)/d eta = (cosh - sinh/eta) / eta
        second = (c - s) / eta**2 if eta > 1e-2 else 1 / 3 + eta**2 / 30
        common = np.float32(r2 * s) * self.plus + np.float32(r2 * second) * mixed
        spectrum = np.empty((7, phase.size), dtype=np.complex64)
        np.multiply(value, phase, out=spectrum[0])
        np.multiply(spectrum[0], -self.ikx, out=spectrum[1])
        np.multiply(spectrum[0], -self.iky, out=spectrum[2])
        inner = by_kappa2 * phase
        np.multiply(2 * kappa2, inner, out=spectrum[3])
        np.multiply(np.float32(eta1) * common + np.float32(r2 * s) * self.minus, inner, out=spectrum[4])
        np.multiply(np.float32(eta2) * common + np.float32(r2 * s) * self.cross, inner, out=spectrum[5])
        np.multiply(by_n, phase, out=spectrum[6])
        return self._image(spectrum * self.psf[:, None], shape)

    def _image(self, spectrum, shape):
        spectrum = spectrum.reshape(*spectrum.shape[:-1], self.size, self.size // 2 + 1)
        return fft.irfft2(spectrum, s=shape, overwrite_x=True)


def surface_brightness(radius, log_r, log_n):
    """Return the unit-flux Sersic profile at ``radius``, per square of the radius' unit.

    b_n from Ciotti & Bertin (1999): 2n - 1/3 + 4/(405 n), good to 1e-3 for n >= 0.5.
    """
    from scipy.special import gamma

    n, r = np.exp(log_n), np.exp(log_r)
    b = 2 * n - 1 / 3 + 4 / (405 * n)
    norm = 2 * np.pi * n * gamma(2 * n) * b ** (-2 * n) * r**2
    return np.exp(-b * (np.asarray(radius) / r) ** (1 / n)) / norm


def reach(flux, log_r, log_n, level):
    """Return the radius at which a source of ``flux`` falls to surface brightness ``level`` (0 if below)."""
    from scipy.special import gamma

    n, r = np.exp(log_n), np.exp(log_r)
    b = 2 * n - 1 / 3 + 4 / (405 * n)
    norm = 2 * np.pi * n * gamma(2 * n) * b ** (-2 * n) * r**2
    ratio = np.log(np.maximum(np.asarray(flux) / (norm * level), 1.0))
    return r * (ratio / b) ** n
