"""The sky and the noise of a real image: level, rms map and correlation between pixels.

Coadds are resampled, so the noise of neighbouring pixels is correlated, and thresholds and error
bars that take it for white are wrong. Here the correlation is measured on pixels without
sources and drawn again with GalSim's correlated-noise machinery.
"""

from dataclasses import dataclass, field

import galsim
import numpy as np
import sep
from scipy import fft, ndimage

from ...config.real_image import SkyMesh

MESH = SkyMesh()
"""Defaults of the mesh on which the sky is measured."""
MAD_TO_SIGMA = 1.482602218505602
MAX_LAG = 10
NOISE_META = "noise_model"
"""Metadata of a truth table that keep the model of the image's noise, by band."""


@dataclass(frozen=True)
class NoiseModel:
    """Correlation of the noise between pixels.

    Attributes
    ----------
    correlation : (2L + 1, 2L + 1) array
        Correlation coefficient by lag (y, x); 1 in the centre, symmetric through it.
    """

    correlation: np.ndarray = field(default_factory=lambda: np.ones((1, 1)))

    def variance_factor(self, weights):
        """Return the variance of sum w n over that of white noise of the same rms.

        Parameters
        ----------
        weights : (h, w) array
            Weights w of the pixels.

        Returns
        -------
        float
            sum_ij w_i w_j C(i - j) / sum_i w_i^2.
        """
        weights = np.asarray(weights, float)
        reach = self.correlation.shape[0] // 2
        spread = ndimage.convolve(np.pad(weights, reach), self.correlation, mode="constant")
        spread = spread[reach : spread.shape[0] - reach, reach : spread.shape[1] - reach]
        return float((weights * spread).sum() / (weights**2).sum())

    def aperture_factor(self, radius):
        """Return the noise in a circular aperture over that of white noise of the same rms.

        Parameters
        ----------
        radius : float
            In pixels; the aperture's edge is resolved to a fifth of a pixel.
        """
        return float(np.sqrt(self.variance_factor(aperture_weights(radius))))


def aperture_weights(radius, subpixels=5):
    """Return the share of each pixel that lies in a circle of ``radius`` pixels, odd square array."""
    half = int(np.ceil(radius + 0.5))
    fine = (np.arange((2 * half + 1) * subpixels) + 0.5) / subpixels - half - 0.5
    inside = np.hypot(fine[:, None], fine) <= radius + 1e-9  # symmetric whatever the rounding
    return inside.reshape(2 * half + 1, subpixels, -1, subpixels).mean(axis=(1, 3))


@dataclass
class Sky:
    """Reference sky and noise of an image.

    Attributes
    ----------
    level : (ny, nx) float32 array
        Sky, in the unit of the image.
    rms : (ny, nx) float32 array
        Standard deviation of the noise of one pixel.
    sources : (ny, nx) bool array
        Pixels with light of sources, with a margin, or without data.
    noise : NoiseModel
    report : dict
        What was measured, for the report.
    """

    level: np.ndarray
    rms: np.ndarray
    sources: np.ndarray
    noise: NoiseModel
    report: dict


def measure_sky(science, bad, pixel_scale, mesh=MESH.mesh, grow=MESH.grow, smoothing=2.0, threshold=3.0):
    """Measure sky and noise behind a deep mask of sources.

    Sources are masked down to ``threshold`` sigma of a smoothed image, with a margin of ``grow`` arcsec,
    so that the light around detected sources does not enter the sky. The mesh is wide, so that no
    source is subtracted with it. The mask also takes the highest noise peaks away: on pure noise with the
    correlation of a DES coadd, a threshold of 3 lowers the noise in 2 arcsec apertures by 1 %, of 2.5 by 4 %,
    of 2 by 10 %. What is fainter stays in the noise, as confusion.

    Parameters
    ----------
    science : (ny, nx) array
        The image with its sky.
    bad : (ny, nx) bool array
        Pixels without data.
    pixel_scale : float
        Arcsec.
    mesh : int
        Width of the background mesh in pixels (smaller on small images).
    grow : float
        Margin around masked sources, arcsec.
    smoothing : float
        Standard deviation of the smoothing kernel in pixels.
    threshold : float
        In standard deviations of the smoothed image.

    Returns
    -------
    Sky
    """
    data = np.ascontiguousarray(science, np.float32)
    mesh = int(min(mesh, max(32, min(data.shape) // 2)))
    sources = bad.copy()
    for _ in range(2):
        sky = sep.Background(data, mask=sources, bw=mesh, bh=mesh)
        flat = np.where(bad, 0, data - sky.back())
        smooth = ndimage.gaussian_filter(flat, smoothing)
        noise = MAD_TO_SIGMA * np.median(np.abs(smooth[~sources] - np.median(smooth[~sources])))
        labels, _ = ndimage.label(smooth > threshold * noise)
        large = np.bincount(labels.ravel()) >= 5
        large[0] = False
        sources = widened(large[labels] | bad, grow / pixel_scale)
        del flat, smooth, labels
    sky = sep.Background(data, mask=sources, bw=mesh, bh=mesh)
    level, rms = sky.back(), sky.rms()
    free = ~sources
    residual = (data - level)[free]
    pulls = residual / rms[free]
    # the mesh's rms is clipped: give the normalised residuals unit width
    scale = MAD_TO_SIGMA * float(np.median(np.abs(pulls - np.median(pulls))))
    rms = (rms * scale).astype(np.float32)
    correlation, pedestal = measure_correlation((data - level) / rms, free)
    counted = int(free.sum())
    report = {
        "mesh_pixels": mesh,
        "source_free_fraction": float(free.mean()),
        "sky_mean": float(level.mean()),
        "sky_min": float(level.min()),
        "sky_max": float(level.max()),
        "residual_mean": float(residual.mean()),
        "residual_mean_error_white": float(residual.std() / np.sqrt(counted)),
        "rms_median": float(np.median(rms)),
        "rms_min": float(rms.min()),
        "rms_max": float(rms.max()),
        "correlation_pedestal": pedestal,
    }
    return Sky(level.astype(np.float32), rms, sources, NoiseModel(correlation), report)


def widened(mask, margin):
    """Return a mask with a (square) margin of ``margin`` pixels, rounded up, around what is set."""
    return ndimage.maximum_filter(mask, 2 * int(np.ceil(margin)) + 1, mode="constant")


def measure_correlation(noise, good, max_lag=MAX_LAG):
    """Measure the correlation of noise between pixels on the pixels that are good.

    C(d) = sum_i w_i w_{i+d} n_i n_{i+d} / sum_i w_i w_{i+d} by FFT, with w the good pixels. What is
    left at lags of 1.1 to 1.5 ``max_lag`` (undetected sources, residual sky) is not noise of the
    detector or of the resampling, and is subtracted as a pedestal. Made positive semidefinite.

    Parameters
    ----------
    noise : (ny, nx) array
        Normalised noise; its clipped mean is subtracted here.
    good : (ny, nx) bool array
        Pixels without sources.
    max_lag : int
        Largest lag in pixels.

    Returns
    -------
    correlation : (2 max_lag + 1, 2 max_lag + 1) array
        1 in the centre.
    pedestal : float
        What was subtracted, in units of the variance.
    """
    outer = int(np.ceil(1.5 * max_lag))
    values = noise[good]
    mean = float(np.median(values))
    kept = np.abs(values - mean) < 5 * MAD_TO_SIGMA * np.median(np.abs(values - mean))
    mean = float(values[kept].mean())
    weight = good & (np.abs(noise - mean) < 5 * values[kept].std())
    shape = [fft.next_fast_len(n + outer, real=True) for n in noise.shape]

    def products(array):
        power = np.abs(fft.rfft2(array, shape, workers=2)) ** 2
        lags = np.arange(-outer, outer + 1)
        return fft.irfft2(power, shape, workers=2)[np.ix_(lags, lags)]

    found = (
        products(np.where(weight, noise - mean, 0).astype(np.float32))
        / np.maximum(products(weight.astype(np.float32)), 1)
    ).astype(float)
    found = (found + found[::-1, ::-1]) / 2
    lag = np.maximum(*np.abs(np.indices(found.shape) - outer))
    variance = found[outer, outer]
    pedestal = float(found[lag > max_lag].mean())
    found = (found - pedestal) / (variance - pedestal)
    inner = slice(outer - max_lag, outer + max_lag + 1)
    return _positive(found[inner, inner]), float(pedestal / variance)


def _positive(correlation):
    """Return the nearest correlation whose power spectrum is nowhere negative (up to its cut)."""
    half = correlation.shape[0] // 2
    size = fft.next_fast_len(6 * half + 2)
    wide = np.zeros((size, size))
    wide[: 2 * half + 1, : 2 * half + 1] = correlation
    power = fft.fft2(np.roll(wide, (-half, -half), (0, 1))).real
    wide = np.roll(fft.ifft2(np.maximum(power, 0)).real, (half, half), (0, 1))
    out = wide[: 2 * half + 1, : 2 * half + 1]
    return out / out[half, half]


def draw_noise(shape, rms, correlation, rng):
    """Draw Gaussian noise with a given rms and correlation between pixels.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx).
    rms : float or (ny, nx) array
        Standard deviation of each pixel.
    correlation : (2L + 1, 2L + 1) array
        As in `NoiseModel`; ``np.ones((1, 1))`` is white noise.
    rng : numpy.random.Generator
        As from `stats.streams.stream`.

    Returns
    -------
    (ny, nx) float32 array
        Periodic at the edges, as GalSim's noise fields are.
    """
    correlation = np.asarray(correlation, float)
    if correlation.shape == (1, 1):
        return (rng.standard_normal(shape) * rms).astype(np.float32)
    profile = galsim.InterpolatedImage(
        galsim.Image(np.ascontiguousarray(correlation), scale=1.0),
        x_interpolant="linear",
        normalization="sb",
        calculate_stepk=False,
        calculate_maxk=False,
    )
    deviate = galsim.BaseDeviate(int(rng.integers(1, 2**31 - 1)))
    noise = galsim.BaseCorrelatedNoise(deviate, profile, galsim.PixelScale(1.0))
    image = galsim.Image(shape[1], shape[0], scale=1.0, dtype=float)
    noise.applyTo(image)
    return (image.array * rms).astype(np.float32)


def blank_apertures(science, sources, radius, zero_point):
    """Measure the noise of circular apertures on blank sky.

    Parameters
    ----------
    science : (ny, nx) array
        Sky-subtracted.
    sources : (ny, nx) bool array
        Pixels that no aperture may touch.
    radius : float
        In pixels.
    zero_point : float
        AB magnitude of one unit.

    Returns
    -------
    dict
        ``number``, ``mean``, ``sigma`` (from the median absolute deviation), ``depth_5sigma``
        (AB magnitude) and ``depth_error``.
    """
    step = int(np.ceil(2 * radius)) + 2
    half = int(np.ceil(radius)) + 1
    y, x = np.mgrid[half : science.shape[0] - half : step, half : science.shape[1] - half : step]
    blank = ~widened(sources, radius)[y, x]
    x, y = x[blank].astype(float), y[blank].astype(float)
    if len(x) < 20:
        return {"number": len(x), "mean": None, "sigma": None, "depth_5sigma": None, "depth_error": None}
    flux, _, _ = sep.sum_circle(np.ascontiguousarray(science, np.float32), x, y, radius, subpix=5)
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(flux - np.median(flux))))
    # the median absolute deviation of n Gaussian numbers has a relative error of 1.17 / sqrt(n)
    error = 1.0857 * 1.17 / np.sqrt(len(x))
    return {
        "number": len(x),
        "mean": float(flux.mean()),
        "sigma": sigma,
        "depth_5sigma": float(zero_point - 2.5 * np.log10(5 * sigma)),
        "depth_error": float(error),
    }


def measure_depth(science, sky, psf, pixel_scale, zero_point, diameter=2.0):
    """Measure the depth of an image, for apertures on blank sky and for point sources.

    Parameters
    ----------
    science : (ny, nx) array
        Sky-subtracted.
    sky : Sky
        As `measure_sky` returns it.
    psf : (k, k) array
        Unit sum.
    pixel_scale : float
        Arcsec.
    zero_point : float
        AB magnitude of one unit.
    diameter : float
        Of the aperture, arcsec.

    Returns
    -------
    dict
        5-sigma depths (AB): ``aperture_2as`` from the scatter of blank apertures, the same for white
        noise of the same rms, and ``point_source``, the PSF's matched filter with the noise's correlation;
        and the factors by which correlation raises the noise of the aperture and of the filter.
    """
    radius = diameter / 2 / pixel_scale
    rms = float(np.median(sky.rms))
    weights = aperture_weights(radius)
    white = rms * float(np.sqrt((weights**2).sum()))
    blank = blank_apertures(science, sky.sources, radius, zero_point)
    matched = psf / (psf**2).sum()
    factor = float(np.sqrt(sky.noise.variance_factor(matched)))
    point_white = rms * float(np.sqrt((matched**2).sum()))

    def depth(sigma):
        return float(zero_point - 2.5 * np.log10(5 * sigma))

    return {
        "aperture_diameter_arcsec": diameter,
        "aperture": blank,
        "aperture_depth_white": depth(white),
        "aperture_noise_factor_measured": blank["sigma"] / white if blank["sigma"] else None,
        "aperture_noise_factor_model": sky.noise.aperture_factor(radius),
        "point_source_depth": depth(point_white * factor),
        "point_source_depth_white": depth(point_white),
        "point_source_noise_factor": factor,
    }
