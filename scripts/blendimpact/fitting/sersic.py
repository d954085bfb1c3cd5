"""Sersic profiles as sums of Gaussians, drawn in Fourier space.

A Sersic profile of half-light radius 1 and unit flux is written as sum_i a_i(n) G(r; s_i) with circular
Gaussians G of fixed widths s_i, as Hogg & Lang (2013, PASP 125, 719) do for the exponential and de
Vaucouleurs profiles. Here the amplitudes are polynomials in ln n, so the profile has smooth derivatives in
every parameter, and they are fitted to the Fourier transform, where a sum of Gaussians is
T(kappa) = sum_i a_i(n) exp(-kappa^2 s_i^2 / 2). Multiplied by the transform of the PSF image, which holds the
pixel's response, it needs no oversampling however cuspy the profile is.
"""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import fft

TABLE = Path(__file__).with_name("sersic_mixture.txt")
INDEX_RANGE = 0.5, 6.0  # of the table
WIDTHS = np.geomspace(0.01, 12.0, 14)
_RATES = (-0.5 * WIDTHS**2).astype(np.float32)
DEGREE = 8
CUT = 1e-3  # share of the PSF's transform that may be left out
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

    Only wave numbers at which the PSFs have power are kept; what is left out is less than `CUT` of
    the peak of a point source in any pixel. The sums over them are matrix products: for boxes as small
    as most sources need, that is several times faster than FFTs of 7 images per band.

    Parameters
    ----------
    size : int
        N, even.
    psfs : (nbands, k, k) array
        PSF images, centred on the central pixel, unit sum. Larger ones than the box are folded into it.
    """

    def __init__(self, size, psfs):
        self.size, self.bands = size, len(psfs)
        folded = np.zeros((len(psfs), size, size))
        half = psfs.shape[-1] // 2
        index = np.arange(psfs.shape[-1]) - half
        np.add.at(folded, (slice(None), (index % size)[:, None], index % size), psfs)
        transform = fft.fft2(folded)
        top = _highest(np.abs(transform))
        nx = np.arange(top + 1)
        ny = np.arange(-top, top + (2 * top < size))
        self.kx, self.ky = 2 * np.pi / size * nx, 2 * np.pi / size * ny
        # The half plane kx < 0 is the conjugate of kx > 0; in an even square the highest kx is its own.
        count = np.where((nx == 0) | (2 * nx == size), 1.0, 2.0) / size**2
        psf = count * transform[:, ny[:, None], nx]
        parts = [psf.real, psf.imag]
        if np.abs(psf.imag).max() < 1e-6 * np.abs(psf).max():
            parts = parts[:1]  # symmetric PSFs
        # All transforms are real numbers in the order (ky, real or imaginary part, kx).
        self.psf = np.stack(parts, axis=2).astype(np.float32).reshape(len(psfs), 1, -1)
        kx, ky = np.tile(self.kx, len(parts)), self.ky[:, None]
        self.quadratics = np.stack([kx**2 + ky**2, kx**2 - ky**2, 2 * kx * ky]).reshape(3, -1).astype(np.float32)
        self.columns = np.exp(1j * np.multiply.outer(self.kx, np.arange(size)))
        self.rows = np.exp(-1j * np.multiply.outer(np.arange(size), self.ky))
        self._round = {}

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
        x, y, *shape = (float(v) for v in parameters)
        images = self._images(_spectra(self.quadratics, *shape, derivatives) * self.psf, x, y, derivatives)
        return images if derivatives else images[:, 0]

    def draw_round(self, x, y, log_r, log_n):
        """Return the images, (nbands, len(log_r), N, N), of round sources that differ in size only."""
        key = *log_r, log_n
        if key not in self._round:
            self._round[key] = self.psf * np.concatenate(
                [_spectra(self.quadratics, r, 0.0, 0.0, log_n, False) for r in log_r]
            )
        return self._images(self._round[key], x, y, False)

    def _images(self, spectra, x, y, derivatives):
        """Return the images of spectra (nbands, q, k) at x, y; with ``derivatives`` in x and y after the first."""
        bands, count, _ = spectra.shape
        size, height = self.size, len(self.ky)
        spectra = spectra.reshape(bands, count, height, -1)
        waves = self.columns * np.exp(-1j * x * self.kx)[:, None]
        across = np.empty((spectra.shape[-1], 2 * size), np.float32)
        _planes(across, waves)
        up = self.rows * np.exp(1j * y * self.ky)
        up_real = up.astype(np.complex64).view(np.float32)
        # All bands and derivatives are rows of one product: many small ones would take longer.
        half = spectra.reshape(bands * count * height, -1) @ across
        half = half.reshape(bands, count, 2 * height, size)
        images = np.empty((bands, count + 2 * derivatives, size, size), np.float32)
        if not derivatives:
            return np.matmul(up_real, half, out=images)
        np.matmul(up_real, half[:, 0], out=images[:, 0])
        np.matmul(up_real, half[:, 1:], out=images[:, 3:])
        _planes(across, -1j * self.kx[:, None] * waves)
        along = spectra[:, 0].reshape(bands * height, -1) @ across
        np.matmul(up_real, along.reshape(bands, 2 * height, size), out=images[:, 1])
        np.matmul((1j * self.ky * up).astype(np.complex64).view(np.float32), half[:, 0], out=images[:, 2])
        return images


def _highest(power):
    """Return the highest wave number, in units of 2 pi / N, that (nbands, N, N) transforms need."""
    size = power.shape[-1]
    distance = np.abs(np.fft.fftfreq(size, 1 / size)).astype(int)
    ring = np.maximum(distance[:, None], distance).ravel()
    share = np.array([np.bincount(ring, p.ravel()) / max(p.sum(), 1e-30) for p in power])
    beyond = share[:, ::-1].cumsum(axis=1)[:, ::-1].max(axis=0)  # in this ring and outside of it
    return int(max(np.flatnonzero(beyond > CUT).max(initial=1), 1))


def _planes(out, waves):
    """Fill (parts * kx, 2 N) with real, then imaginary parts of the waves of real and imaginary spectra."""
    k, n = waves.shape
    out[:k, :n], out[:k, n:] = waves.real, waves.imag
    if len(out) > k:
        out[k:, :n], out[k:, n:] = -waves.imag, waves.real


def _spectra(quadratics, log_r, eta1, eta2, log_n, derivatives):
    """Return the transform of a unit-flux profile, and its derivatives in log_r, eta1, eta2 and log_n.

    Returns
    -------
    (1 or 5, k) float32 array
    """
    r2, eta = math.exp(2 * log_r), math.hypot(eta1, eta2)
    c, s = math.cosh(eta), (math.sinh(eta) / eta if eta > 1e-4 else 1 + eta**2 / 6)
    e1, e2 = r2 * eta1, r2 * eta2
    forms = [[r2 * c, s * e1, s * e2]]  # kappa^2 as a sum of the quadratics
    if derivatives:
        # From cosh' = sinh and d(sinh(eta)/eta)/d eta = (cosh - sinh/eta) / eta
        second = (c - s) / eta**2 if eta > 1e-2 else 1 / 3 + eta**2 / 30
        cross = second * e1 * eta2
        forms += [[s * e1, r2 * s + second * e1 * eta1, cross], [s * e2, cross, r2 * s + second * e2 * eta2]]
    forms = np.array(forms, np.float32) @ quadratics
    gauss = np.multiply.outer(_RATES, forms[0])
    np.exp(gauss, out=gauss)
    a, slope = amplitudes(log_n)
    if not derivatives:
        return a.astype(np.float32)[None] @ gauss
    spectra = np.empty((5, forms.shape[1]), np.float32)
    spectra[0], by_kappa2, spectra[4] = np.array([a, _RATES * a, slope], np.float32) @ gauss
    np.multiply(forms, by_kappa2, out=spectra[1:4])
    spectra[1] *= 2
    return spectra


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
