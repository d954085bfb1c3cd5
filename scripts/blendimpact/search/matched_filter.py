"""What has changed: sources of either sign on a difference, found with filters for points, trails and comae."""

import numpy as np

from ..config.options import Positive
from ..data.transient_geometry import THRESHOLD, distance_from_line
from ..detect.base import BITS, Detection, detection_table
from ..subtract.kernels import width
from . import FINDERS
from .base import Finder
from .filters import search
from .shapes import bank, trail

MISFIT = 0.25
"""Part of the height that a source explains at a place by which a real source may differ from its filter there."""


@FINDERS.register("matched_filter")
class MatchedFilterFinder(Finder):
    """Extrema of the most significant of a bank of matched filters, as far as stronger ones do not explain them.

    A bright source is seen by every filter of the bank out to where the two still overlap, and there noise
    makes extrema that are no sources. So candidates are taken from the strongest down, and each is held against
    what those before it leave there: the flux that the candidate's filter has there of the stronger one, over the
    candidate's error, for white noise. It is a detection if it exceeds that by the threshold and a quarter of it.

    Parameters
    ----------
    threshold : float
        Signal-to-noise ratio of the matched filter, of either sign. The figures of merit of the search are those of
        this threshold.
    trails, comae : bool
        Whether these are looked for beside points.
    """

    def __init__(self, threshold: Positive = THRESHOLD, trails: bool = True, comae: bool = True):
        self.threshold, self.trails, self.comae = threshold, trails, comae

    def find(self, difference, pixel_scale):
        """Return the `Detection` of a difference.

        ``peak_snr`` has the sign of the change; ``a``, ``b`` and ``theta`` are those of the filter that fits best,
        ``npix`` is 0. The segmentation is that of trails alone, whose centre is less well known than their line: the
        pixels within half a FWHM of it.

        Parameters
        ----------
        difference : Difference
        pixel_scale : float
            Arcsec.
        """
        trails, shapes = bank(difference, pixel_scale)
        trails, shapes = trails if self.trails else (), shapes if self.comae else ()
        found = search(difference, self.threshold, trails=trails, shapes=shapes)
        sources = [difference.psf, *(trail(difference.psf, *t) for t in trails), *shapes]
        found = found[independent(found, sources, self.threshold)]
        sigma, length = width(difference.psf), np.asarray(found["length"], float)
        shape = np.asarray(found["shape"])
        round_ = np.array([width(s) for s in sources])[shape] if len(found) else np.zeros(0)
        b = np.where(length > 0, sigma, round_)
        return Detection(
            detection_table(
                {
                    "det_id": np.arange(1, len(found) + 1),
                    "x": found["x"],
                    "y": found["y"],
                    "a": np.sqrt(b**2 + length**2 / 12),
                    "b": b,
                    "theta": found["angle"],
                    "peak_snr": found["snr"],
                    "flag": np.where(np.asarray(found["flag"]) & 1, BITS.MASKED, 0),
                }
            ),
            lines(found, difference.image.shape, 1.1775 * sigma),
        )


def is_trail(table):
    """Return which detections were found by the filter of a trail."""
    return np.asarray(table["a"], float) > 1.001 * np.asarray(table["b"], float)


def trail_length(table):
    """Return the length in pixels of the trail whose filter found each detection; 0 for points and comae."""
    a, b = (np.asarray(table[name], float) for name in ("a", "b"))
    return np.where(is_trail(table), np.sqrt(12 * np.maximum(a**2 - b**2, 0)), 0.0)


def independent(found, sources, threshold):
    """Return which candidates stand out of what the stronger ones before them explain.

    Parameters
    ----------
    found : Table
        Of `search.filters.search`, the most significant first.
    sources : list of (k, k) array
        The bank: what the column ``shape`` counts.
    threshold : float

    Returns
    -------
    (N,) bool array
    """
    x, y, height, flux, error = (np.asarray(found[n], float) for n in ("x", "y", "snr", "flux", "flux_err"))
    shape = np.asarray(found["shape"]).astype(int)
    halves = np.array([s.shape[0] // 2 for s in sources])
    norms = [(s**2).sum() for s in sources]
    wide = [np.pad(s, 2 * halves.max() + 1) for s in sources]
    explained, keep = np.zeros(len(found)), np.zeros(len(found), bool)
    for k in range(len(found)):
        if abs(height[k] - explained[k]) <= threshold + MISFIT * abs(explained[k]):
            continue
        keep[k] = True
        half = halves[shape[k]]
        near = (
            k
            + 1
            + np.flatnonzero(
                np.maximum(np.abs(x[k + 1 :] - x[k]), np.abs(y[k + 1 :] - y[k])) <= half + halves[shape[k + 1 :]]
            )
        )
        for other in np.unique(shape[near]):
            rows = near[shape[near] == other]
            i, j = (np.rint(c[rows] - c[k]).astype(int) for c in (x, y))
            seen = np.maximum(np.abs(i), np.abs(j)) <= half + halves[other]
            overlap = overlaps(wide[shape[k]], sources[other], i[seen], j[seen]) / norms[other]
            explained[rows[seen]] += flux[k] * overlap / error[rows[seen]]
    return keep


def overlaps(wide, image, dx, dy):
    """Return the sums over pixels of an image times another that is moved by dx, dy.

    Parameters
    ----------
    wide, image : (k, k), (m, m) array
        k and m odd; the first has a margin of zeros so wide that the other, moved, lies within it.
    dx, dy : (N,) int array
        From the centre of the first to that of the second.

    Returns
    -------
    (N,) array
    """
    m, low = len(image), len(wide) // 2 - len(image) // 2
    return np.array([np.vdot(wide[low + j : low + j + m, low + i : low + i + m], image) for i, j in zip(dx, dy)])


def lines(found, shape, reach):
    """Return (ny, nx) int32: number of the strongest trail whose line is within ``reach`` pixels, 0: none."""
    out = np.zeros(shape, np.int32)
    length, angle = (np.asarray(found[n], float) for n in ("length", "angle"))
    for k in np.flatnonzero(length > 0)[::-1]:
        half = int(length[k] / 2 + reach) + 1
        x0, y0 = (max(0, round(float(found[n][k])) - half) for n in ("x", "y"))
        window = out[y0 : y0 + 2 * half + 1, x0 : x0 + 2 * half + 1]
        yy, xx = np.indices(window.shape)
        dx, dy = xx + x0 - found["x"][k], yy + y0 - found["y"][k]
        window[distance_from_line(dx, dy, length[k], angle[k]) <= reach] = k + 1
    return out
