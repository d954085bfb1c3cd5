"""Peaks of a sharpened image beside peaks of a matched filter: blends are split by their maxima."""

from typing import Literal

import numpy as np
import sep
from scipy.ndimage import correlate1d, maximum_filter
from scipy.spatial import cKDTree
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from ..config.options import Bands, Number, Positive, Spectrum
from ..data.significance import coadd, kernel_pixels, smooth
from ..errors import StudyError
from . import DETECTORS
from .base import BITS, Detection, Detector, detection_table
from .footprints import flags, markers, moments


@DETECTORS.register("peaks")
class PeakDetector(Detector):
    """Objects are maxima: of the matched filter, and of a difference of Gaussians that splits blends.

    Two images are made of the inverse-variance sum of the bands (`data.significance.coadd`), both
    in units of their own standard deviation, which follows in closed form from the variance of
    each pixel, the photon noise of the sources included:

    * M, smoothed with the PSF: the matched-filter signal-to-noise ratio of a point source. It
      decides *whether there is something*: every detection has M >= ``threshold``.
    * D, smoothed with a Gaussian of ``sigma_in`` minus one of ``sigma_out``: it takes no notice of
      light that varies slowly, so a source on the wing of a brighter one is a maximum again. It
      decides *how many there are*.

    A maximum of D is a detection where D >= ``split`` and M >= ``threshold``. A maximum of M is one
    where no such maximum of D lies in its catchment (of M, by watershed): most faint sources.
    What keeps noise on bright objects from being taken for sources is prominence: a maximum counts
    only if every way from it to a higher one leads down by ``prominence`` standard deviations
    first (``prominence_faint`` for maxima of M). The wings of stars and galaxies have
    significance in M everywhere, but no prominence. Clumps of a nearby galaxy are real maxima:
    no rule on one image tells them from sources.

    On pure noise only M counts, so false detections have the rate of maxima of a Gaussian random
    field above ``threshold``: with a Gaussian PSF it is `sky.blends.false_alarm_density`.

    Footprints are the connected pixels with M >= ``threshold``, split among their maxima by
    watershed. The position of a detection that is alone in its footprint is its windowed centroid (as
    SExtractor's). Of the others it is the maximum, to a fraction of a pixel, of the Gaussian-smoothed
    (``sigma_out``) minus the PSF-smoothed image: less drawn to a neighbour than a centroid is.

    Parameters
    ----------
    threshold : float
        Least matched-filter signal-to-noise ratio of a point source at the maximum.
    split : float
        Least value of D, in standard deviations.
    sigma_in, sigma_out : float
        Of the two Gaussians, in ``unit``.
    prominence, prominence_faint : float
        In standard deviations of D and of M.
    min_separation : float
        Of two maxima, in ``unit``; of two that are nearer, the one with the larger D stays.
    unit : "psf" or "arcsec"
        "psf": the standard deviation of the Gaussian with the noise-effective area of the sharpest
        band's PSF, sqrt(1 / (4 pi sum P^2)) pixels: the same filter for any pixel scale and seeing.
    bands : list of str, optional
        Bands of the detection image; all by default.
    sed : dict of str to float, optional
        Relative flux density (f_nu) by band of the source to be optimal for; flat by default.
    noise : "variance" or "measured"
        "measured" scales M and D each to the clipped standard deviation of the image itself: for
        noise that is correlated between pixels, which the variances do not know.
    """

    def __init__(
        self,
        threshold: Positive = 5.0,
        split: Number = 4.0,
        sigma_in: Positive = 0.5,
        sigma_out: Positive = 0.75,
        prominence: Number = 0.5,
        prominence_faint: Number = 2.0,
        min_separation: Number = 1.0,
        unit: Literal["psf", "arcsec"] = "psf",
        bands: Bands = None,
        sed: Spectrum = None,
        noise: Literal["variance", "measured"] = "variance",
    ):
        if not sigma_in < sigma_out:
            raise StudyError(
                f"sigma_in {sigma_in} and sigma_out {sigma_out} make no difference of Gaussians",
                "detectors.peaks",
                "choose 0 < sigma_in < sigma_out",
            )
        self.threshold, self.split, self.unit = threshold, split, unit
        self.sigma_in, self.sigma_out, self.min_separation = sigma_in, sigma_out, min_separation
        self.prominence, self.prominence_faint = prominence, prominence_faint
        self.bands, self.sed, self.noise = bands, sed, noise

    def detect(self, patch, sky, truth=None):
        """Return the `Detection` of a patch; ``truth`` is not looked at."""
        columns, segmentation = self._find(patch, sky)
        return Detection(detection_table(columns), segmentation)

    def positions(self, patch, sky):
        """Return x and y of what `detect` finds, without the cost of a table."""
        columns, _ = self._find(patch, sky)
        return columns["x"], columns["y"]

    def _find(self, patch, sky):
        flux, variance = coadd(patch, sky, self.bands, self.sed)
        psf_sigma, pixels = self._scales(patch)
        seen = np.isfinite(variance)
        blurred, error = smooth(flux, variance, kernel_pixels("psf", patch, self.bands))
        matched = blurred / error
        sharp, broad = difference(flux, variance, self.sigma_in * pixels, self.sigma_out * pixels)
        if self.noise == "measured" and seen.any():
            matched, sharp = (_rescaled(image, ~seen) for image in (matched, sharp))

        footprint = seen & (matched >= self.threshold)
        apart = self.min_separation * pixels
        peaks = _apart(maxima(sharp, footprint & (sharp >= self.split), self.prominence), sharp, apart)
        faint = _apart(maxima(matched, footprint, self.prominence_faint), matched, apart)
        if len(peaks) and len(faint):
            catchment = watershed(-matched, markers(faint, matched.shape), mask=footprint, connectivity=2)
            faint = faint[~np.isin(np.arange(1, len(faint) + 1), catchment[tuple(peaks.T)])]
        peaks = np.concatenate([peaks, faint])
        peaks = peaks[np.lexsort((peaks[:, 1], peaks[:, 0]))]
        segmentation = watershed(-broad, markers(peaks, matched.shape), mask=footprint, connectivity=2).astype(np.int32)
        flag = flags(segmentation, footprint, peaks, ~seen)
        x, y, lost = vertex(broad - blurred, peaks)
        alone = np.flatnonzero((flag & BITS.BLENDED) == 0)
        if len(alone):
            windowed = sep.winpos(flux, x[alone], y[alone], psf_sigma, mask=None if seen.all() else ~seen)
            moved = np.hypot(windowed[0] - x[alone], windowed[1] - y[alone])
            use = (windowed[2] == 0) & (moved <= 2 * psf_sigma)
            x[alone[use]], y[alone[use]], lost[alone[use]] = windowed[0][use], windowed[1][use], False
        flag |= np.where(lost, BITS.PEAK_POSITION, 0)
        return {
            "det_id": np.arange(1, len(peaks) + 1),
            "x": x,
            "y": y,
            "peak_snr": matched[tuple(peaks.T)],
            "flag": flag,
            **moments(segmentation, np.maximum(blurred, 0.0), len(peaks)),
        }, segmentation

    def _scales(self, patch):
        """Return the PSF's noise-equivalent standard deviation and one ``unit``, both in pixels."""
        images = [patch.bands[band] for band in (self.bands or patch.bands)]
        concentration = max((image.psf**2).sum() / image.psf.sum() ** 2 for image in images)
        sigma = float(np.sqrt(1 / (4 * np.pi * concentration)))
        return sigma, sigma if self.unit == "psf" else 1 / images[0].pixel_scale


def difference(flux, variance, sigma_in, sigma_out):
    """Filter an image with a difference of Gaussians.

    Parameters
    ----------
    flux, variance : (ny, nx) array
        As `data.significance.coadd` returns them; infinite variance: no data.
    sigma_in, sigma_out : float
        Pixels.

    Returns
    -------
    significance : (ny, nx) array
        (g_in * flux - g_out * flux) over its standard deviation for noise that is not correlated
        between pixels: with a and b the two sampled Gaussians, variance sum (a - b)^2 V =
        sum a^2 V + sum b^2 V - 2 sum a b V. Each Gaussian is normalised over the pixels that have
        data, so a constant gives 0 at edges and beside masked pixels too. 0 without data.
    broad : (ny, nx) array
        g_out * flux.
    """
    half = int(np.ceil(4 * sigma_out))
    offset = np.arange(-half, half + 1)
    a, b = (g / g.sum() for g in (np.exp(-0.5 * (offset / s) ** 2) for s in (sigma_in, sigma_out)))
    seen = np.isfinite(variance)
    flux, variance = np.where(seen, flux, 0.0), np.where(seen, variance, 0.0)
    norm_a, norm_b = (_coverage(seen, k) for k in (a, b))
    use = seen & (norm_a > 0.25) & (norm_b > 0.25)
    norm_a, norm_b = np.where(use, norm_a, 1.0), np.where(use, norm_b, 1.0)
    broad = _separable(flux, b) / norm_b
    value = _separable(flux, a) / norm_a - broad
    noise = (
        _separable(variance, a * a) / norm_a**2
        + _separable(variance, b * b) / norm_b**2
        - 2 * _separable(variance, a * b) / (norm_a * norm_b)
    )
    use &= noise > 0
    return np.where(use, value / np.sqrt(np.where(use, noise, 1.0)), 0.0), np.where(use, broad, 0.0)


def vertex(image, peaks):
    """Return the vertex of the parabola through the 3x3 pixels about each peak.

    Parameters
    ----------
    image : (ny, nx) array
        With its maxima near the peaks.
    peaks : (N, 2) int array
        Row and column.

    Returns
    -------
    x, y : (N,) array
        Pixels, at most one from the peak along each axis.
    lost : (N,) bool array
        The pixels have no maximum there: the position is the peak pixel's.
    """
    row, column = peaks.T
    j, i = (np.clip(p, 1, n - 2) for p, n in zip((row, column), image.shape))
    dx, dy = 0.5 * (image[j, i + 1] - image[j, i - 1]), 0.5 * (image[j + 1, i] - image[j - 1, i])
    xx = image[j, i + 1] - 2 * image[j, i] + image[j, i - 1]
    yy = image[j + 1, i] - 2 * image[j, i] + image[j - 1, i]
    xy = 0.25 * (image[j + 1, i + 1] + image[j - 1, i - 1] - image[j + 1, i - 1] - image[j - 1, i + 1])
    determinant = xx * yy - xy**2
    lost = ~((determinant > 0) & (xx < 0) & (j == row) & (i == column))
    safe = np.where(lost, 1.0, determinant)
    x = np.where(lost, column, column + np.clip((xy * dy - yy * dx) / safe, -1, 1))
    y = np.where(lost, row, row + np.clip((xy * dx - xx * dy) / safe, -1, 1))
    return x, y, lost


def maxima(image, where, prominence):
    """Find local maxima from which every way to a higher one leads down by ``prominence``.

    Parameters
    ----------
    image : (ny, nx) array
        Finite.
    where : (ny, nx) bool array
        Where maxima are looked for.
    prominence : float
        In the unit of ``image``.

    Returns
    -------
    (N, 2) int array
        Row and column; in order of rows. Of a plateau, every pixel.
    """
    image = image.astype(np.float32)
    found = where & (image == maximum_filter(image, size=3, mode="nearest"))
    if prominence > 0 and np.count_nonzero(found) > 1:
        image = np.maximum(image, image[found].min() - 2 * prominence)  # no deeper pass matters
        # Reconstruction of the lowered image under the image fills each maximum up to the pass that
        # leads to a higher one; where it adds nothing, that pass is deep enough.
        lowered = image - np.float32(prominence)
        found &= reconstruction(lowered, image) <= lowered
    return np.argwhere(found)


def _apart(peaks, height, separation):
    """Return the peaks that no higher one lies within ``separation`` pixels of."""
    if len(peaks) < 2:
        return peaks
    peaks = peaks[np.argsort(-height[tuple(peaks.T)], kind="stable")]
    keep = np.ones(len(peaks), dtype=bool)
    pairs = cKDTree(peaks).query_pairs(separation, output_type="ndarray")
    for first, second in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
        keep[second] &= not keep[first]  # first < second, so it is the higher one
    return peaks[keep]


def _separable(array, kernel):
    rows = correlate1d(array, kernel, axis=0, mode="constant")
    return correlate1d(rows, kernel, axis=1, mode="constant")


def _coverage(seen, kernel):
    """Return the part of a separable kernel that falls on pixels with data."""
    if not seen.all():
        return _separable(seen.astype(float), kernel)
    return np.outer(*(correlate1d(np.ones(n), kernel, mode="constant") for n in seen.shape))


def _rescaled(significance, bad):
    return significance / sep.Background(np.ascontiguousarray(significance), mask=bad).globalrms
