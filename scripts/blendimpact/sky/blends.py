"""Descriptors of blends, and closed forms that the study is checked against.

Shapes: second moments of a light distribution, or (g1, g2) in the reduced-shear convention,
|g| = (1 - q) / (1 + q).
"""

import numpy as np
from scipy import fft

ARCMIN2_PER_DEG2 = 3600.0
ARCSEC2_PER_DEG2 = 3600.0**2


def purity(stamp, total, threshold=0.0):
    """Return the purity of a source in a scene, 1 where it is alone.

    Parameters
    ----------
    stamp : (h, w) array
        Noiseless light s of the source.
    total : (h, w) array
        Noiseless light of all sources, it included, in the same pixels.
    threshold : float
        Pixels with s at or below it are left out. descwl leaves out what is below 0.05 of the sky noise of a
        pixel, also of each neighbour's own light; here the neighbours keep all of theirs.

    Returns
    -------
    float
        rho = sum s^2 / sum s total over the pixels kept; blendedness is 1 - rho. NaN if no pixel is kept.
    """
    stamp = np.asarray(stamp, dtype=float)
    kept = np.where(stamp > threshold, stamp, 0.0)
    denominator = np.sum(kept * total)
    return float(np.sum(kept**2) / denominator) if denominator > 0 else float("nan")


def moments_to_shape(covariance):
    """Return (g1, g2) in the reduced-shear convention from second moments, (2, 2) or (..., 2, 2)."""
    covariance = np.asarray(covariance, dtype=float)
    xx, yy, xy = covariance[..., 0, 0], covariance[..., 1, 1], covariance[..., 0, 1]
    size = xx + yy + 2 * np.sqrt(xx * yy - xy**2)
    return (xx - yy) / size, 2 * xy / size


def galaxy_counts(magnitude):
    """Return galaxies per arcmin^2 brighter than an i-band AB magnitude: 46 x 10^{0.31 (i - 25)}.

    LSST Science Book (2009) [M]: from memory, not verified against the page.
    """
    return 46.0 * 10 ** (0.31 * (np.asarray(magnitude, dtype=float) - 25.0))


def poisson_pair_fraction(density, radius):
    """Return the chance of at least one unclustered source within a radius, 1 - exp(-pi r^2 n).

    Parameters
    ----------
    density : float or array
        Sources per area, the area in the unit of ``radius`` squared.
    radius : float or array
    """
    return -np.expm1(-np.pi * np.square(radius) * density)


def false_alarm_density(threshold, sigma):
    """Return the density of peaks of pure noise above a threshold after matched filtering.

    rho(>nu) = nu exp(-nu^2 / 2) / (2^{5/2} pi^{3/2} sigma^2): white noise, filter equal to a Gaussian PSF,
    one sign (Kaiser, as quoted by LSST DMTN-006).

    Parameters
    ----------
    threshold : float or array
        nu, signal-to-noise ratio after the filter.
    sigma : float or array
        Of the PSF, in the unit whose square is the area.

    Returns
    -------
    float or array
        Per unit area.
    """
    threshold = np.asarray(threshold, dtype=float)
    rate = threshold * np.exp(-0.5 * threshold**2) / (2**2.5 * np.pi**1.5 * np.square(sigma))
    return rate[()]


def count_false_alarms(thresholds, sigma, n_pixels, rng, size=2048):
    """Count peaks of filtered noise, to check `false_alarm_density` or a detector's threshold.

    White noise is smoothed with a Gaussian of ``sigma`` pixels, the matched filter of a PSF of that size, on
    periodic images. Peaks are local maxima of the pixels, their height that of the parabola through the
    nine pixels around them: the highest pixel alone misses a quarter of the peaks above 5 at sigma = 1.8.

    Parameters
    ----------
    thresholds : (T,) array
        Signal-to-noise ratios after the filter.
    sigma : float
        Pixels; at least 1.5, so that the parabola holds.
    n_pixels : int
        Least number of pixels to simulate; whole images of ``size`` squared.
    rng : numpy.random.Generator
        From `stats.streams.stream`.
    size : int

    Returns
    -------
    counts : (T,) int64 array
        Positive and negative peaks beyond each threshold.
    searched : int
        Number of pixels searched, each sign counted: counts / searched are densities per pixel.
    """
    thresholds = np.asarray(thresholds, dtype=float)
    frequency = np.fft.fftfreq(size)
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (frequency[:, None] ** 2 + frequency[: size // 2 + 1] ** 2))
    # The mean of |kernel|^2 over the Fourier plane is the variance that is left: a square, one axis each.
    kernel = (kernel / np.mean(np.exp(-4 * (np.pi * sigma * frequency) ** 2))).astype(np.float32)
    counts, images = np.zeros(len(thresholds), dtype=np.int64), int(np.ceil(n_pixels / size**2))
    for _ in range(images):
        noise = rng.standard_normal((size, size), dtype=np.float32)
        smooth = fft.irfft2(fft.rfft2(noise) * kernel, s=(size, size))
        for sign in (1, -1):
            heights = _peak_heights(sign * smooth, 0.9 * thresholds.min())
            counts += (heights[:, None] > thresholds).sum(axis=0)
    return counts, 2 * images * size**2


def _peak_heights(image, floor):
    """Return the interpolated heights of the local maxima above a floor, of a periodic image."""
    row, column = np.nonzero(image > floor)
    step = np.arange(-1, 2)
    rows, columns = ((c[:, None] + step) % n for c, n in zip((row, column), image.shape, strict=True))
    around = image[rows[:, :, None], columns[:, None, :]].astype(float)
    around = around[around.max(axis=(1, 2)) == around[:, 1, 1]]
    middle = around[:, 1, 1]
    gy, gx = (around[:, 2, 1] - around[:, 0, 1]) / 2, (around[:, 1, 2] - around[:, 1, 0]) / 2
    yy = around[:, 2, 1] + around[:, 0, 1] - 2 * middle
    xx = around[:, 1, 2] + around[:, 1, 0] - 2 * middle
    xy = (around[:, 2, 2] + around[:, 0, 0] - around[:, 2, 0] - around[:, 0, 2]) / 4
    # The top of the parabola is at -H^-1 g, higher by -g H^-1 g / 2.
    return middle - 0.5 * (gx**2 * yy - 2 * gx * gy * xy + gy**2 * xx) / (xx * yy - xy**2)


def sky_shape_to_pixels(q, beta, matrix):
    """Return the reduced shear (g1, g2) along the pixel axes of a galaxy given on the sky.

    Parameters
    ----------
    q, beta : float
        Axis ratio, and angle of the major axis in deg from east through north.
    matrix : (2, 2) array
        From `data.frames.jacobian`.

    Returns
    -------
    tuple of float
        |g| = (1 - q) / (1 + q). Second moments transform as M^-1 Q M^-T, so orientation, parity and
        anisotropy of the WCS are all in it.
    """
    angle = np.radians(beta)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(matrix)
    moments = inverse @ turn @ np.diag([1 / q, q]) @ turn.T @ inverse.T
    g1, g2 = moments_to_shape(moments)
    return float(g1), float(g2)
