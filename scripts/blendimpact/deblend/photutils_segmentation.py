"""Segments of photutils, which finds and splits them without knowing the centres."""

import warnings
from typing import Literal

import numpy as np

from ..config.options import Count, Kernel, NotNegative, Positive, Share, Spectrum
from ..data.significance import coadd, kernel_pixels, smooth
from . import DEBLENDERS
from .base import BITS
from .segmentation import SegmentationDeblender


@DEBLENDERS.register("photutils")
class PhotutilsDeblender(SegmentationDeblender):
    """`photutils.segmentation`: multi-thresholding and watershed on the smoothed detection image.

    photutils detects and splits by itself; it cannot be told where the sources are. To compare it with
    deblenders that can, its segments are given to the centres afterwards:

    * a centre owns the segment of the pixel that it lies in;
    * centres in one segment, which photutils did not separate, own all of it together: UNSPLIT;
    * a centre in no segment owns a disc: NO_FOOTPRINT;
    * a segment without a centre belongs to nobody: its light stays in the children around it.

    So an unrecognised blend counts against photutils, as it would in a catalogue that photutils made.
    What a child is follows photutils' own ``SourceCatalog`` (``aperture_mask_method="correct"``): pixels
    of other segments are replaced by those opposite to the centre, or by 0. That is also what the deblender
    "sep" does, so the two differ in the segments alone.

    Parameters
    ----------
    threshold : float
        In standard deviations of the smoothed detection image.
    n_pixels : int
        Least number of connected pixels, of a segment and of its parts.
    n_levels : int
        Levels between threshold and maximum at which parts are looked for.
    contrast : float
        Least share of the segment's flux in a part; photutils' default.
    mode : "exponential", "linear" or "sinh"
        Spacing of the levels.
    kernel : "psf", "3x3" or None
        Smoothing of the detection image.
    disc, core, crowded, sed
        As in the deblender "sep".
    """

    def __init__(
        self,
        threshold: Positive = 2.0,
        n_pixels: Count = 5,
        n_levels: Count = 32,
        contrast: Share = 0.001,
        mode: Literal["exponential", "linear", "sinh"] = "exponential",
        kernel: Kernel = "3x3",
        disc: NotNegative = 0.8,
        core: NotNegative = 1.0,
        crowded: Share = 0.1,
        sed: Spectrum = None,
    ):
        super().__init__(threshold, n_pixels, kernel, disc, core, crowded, sed)
        self.n_pixels, self.n_levels, self.contrast, self.mode = n_pixels, n_levels, contrast, mode

    def segments(self, patch, sky):
        """Return photutils' deblended segmentation of the detection image, (ny, nx) int array."""
        from photutils.segmentation import deblend_sources, detect_sources  # takes a second: only when used

        flux, error = smooth(*coadd(patch, sky, sed=self.sed), kernel_pixels(self.kernel, patch))
        bad = ~np.isfinite(error)
        if bad.all():
            return np.zeros(patch.shape, dtype=np.int32)
        significance = flux / error  # 0 without data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing found; negative pixels change the spacing of levels
            found = detect_sources(significance, self.threshold, self.n_pixels, mask=bad)
            if found is None:
                return np.zeros(patch.shape, dtype=np.int32)
            return deblend_sources(
                significance,
                found,
                self.n_pixels,
                n_levels=self.n_levels,
                contrast=self.contrast,
                mode=self.mode,
                progress_bar=False,
            ).data

    def segment(self, patch, sky, children, x, y):
        """Divide the pixels of the patch among the centres: see `SegmentationDeblender.segment`."""
        half, ny, nx = children.size // 2, *patch.shape
        column, row = children.x0 + half, children.y0 + half
        inside = np.flatnonzero((children.status & BITS.OUTSIDE) == 0)
        segments = self.segments(patch, sky)
        label = np.zeros(len(children), dtype=np.int32)
        label[inside] = segments[row[inside], column[inside]]
        lonely = inside[label[inside] == 0]

        children.status[lonely] |= BITS.NO_FOOTPRINT
        owner = np.where(np.isin(segments, label[inside]), segments, 0).astype(np.int32)

        radius = self.disc / patch.pixel_scale
        for number, k in enumerate(lonely, int(segments.max()) + 1):
            rows, columns = (
                slice(max(0, int(c - radius)), min(int(c + radius) + 2, n)) for c, n in ((y[k], ny), (x[k], nx))
            )
            yy, xx = np.ogrid[rows, columns]
            part = owner[rows, columns]
            part[(np.hypot(xx - x[k], yy - y[k]) <= radius) & (part == 0)] = number
            label[k] = owner[row[k], column[k]]  # of a disc drawn before, if that holds this centre
        held, count = np.unique(label[inside], return_counts=True)
        children.status |= np.where(np.isin(label, held[count > 1]), BITS.UNSPLIT, 0).astype(np.int32)
        return owner, label
