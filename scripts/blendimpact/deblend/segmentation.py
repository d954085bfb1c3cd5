"""Segmentation: every pixel of a footprint belongs to one source."""

import numpy as np
from skimage.segmentation import watershed

from ..config.options import Count, Kernel, Number, Positive, Spectrum
from ..data.significance import coadd, extract, kernel_pixels, smooth
from ..data.stamps import cut
from . import DEBLENDERS
from .base import BITS, Children, disc, masked_stamps

_BATCH = 256  # children at a time: bounds the memory of the temporaries


@DEBLENDERS.register("sep")
class SegmentationDeblender:
    """SEP footprints, split among the given centres by watershed, filled by point symmetry.

    How light is shared: not at all. Footprints are the connected pixels above a low threshold on the
    multi-band detection image, not split. Inside a footprint each pixel goes to one centre, by a
    watershed on the smoothed detection image with the centres as markers; one segmentation serves all
    bands. In a child, pixels that it owns and sky pixels stay as they are, with their noise; so does
    light of footprints that hold no centre. A pixel that another centre owns is replaced by the pixel
    opposite to it through the child's centre (to the nearest half pixel) or, where that one belongs to
    another centre too, has no data or lies outside of the image, by 0. This is SExtractor's
    ``MASK_TYPE CORRECT``, with 0 where SExtractor has nothing to put either. A pixel's light is thus in
    one child, and what was replaced is a guess that point-symmetric sources justify. Filled pixels repeat
    noise.

    Parameters
    ----------
    threshold : float
        Of the footprints, in standard deviations of the smoothed detection image.
    min_area : int
        Least number of pixels of a footprint.
    kernel : "psf", "3x3" or None
        Smoothing of the detection image.
    disc : float
        Radius in arcsec of what a centre outside of all footprints owns.
    core : float
        Radius in arcsec about the centre in which replaced pixels are flagged.
    crowded : float
        Share of the core's pixels that may be 0 before the child is flagged CROWDED.
    sed : dict of str to float, optional
        Relative flux density by band of the detection image, flat by default.
    """

    def __init__(
        self,
        threshold: Positive = 2.0,
        min_area: Count = 5,
        kernel: Kernel = "3x3",
        disc: Number = 0.8,
        core: Number = 1.0,
        crowded: Number = 0.1,
        sed: Spectrum = None,
    ):
        self.threshold, self.min_area, self.kernel, self.sed = threshold, min_area, kernel, sed
        self.disc, self.core, self.crowded = disc, core, crowded

    def deblend(self, patch, sky, centres, stamp_size):
        """Return the `Children` of a patch."""
        children = Children.blank(patch, centres, stamp_size)
        x, y = (np.array(centres[name], dtype=np.float64) for name in ("x", "y"))
        owner, label = self.segment(patch, sky, children, x, y)
        planes = {
            band: np.asarray(image.science - sky[band] if band in sky else image.science, np.float32)
            for band, image in patch.bands.items()
        }
        for start in range(0, len(children), _BATCH):
            self._fill(patch, planes, owner, label, children, x, y, slice(start, start + _BATCH))
        return children

    def segment(self, patch, sky, children, x, y):
        """Divide the pixels of the patch among the centres.

        Parameters
        ----------
        patch : Patch
            Its bands make the detection image.
        sky : dict of str to (ny, nx) array
            Sky of each band.
        children : Children
            As `Children.blank` returns them; their status is updated.
        x, y : (N,) array
            Centres in pixels.

        Returns
        -------
        owner : (ny, nx) int32 array
            Label of the owner of each pixel; 0: sky, or a footprint without a centre.
        label : (N,) int32 array
            Label of each child. Children whose centres lie in the same pixel have the same one.
            0: the centre is not on the image.

        Notes
        -----
        Sets the bits NO_FOOTPRINT and SHARED in ``children.status``.
        """
        ny, nx = patch.shape
        column, row = children.x0 + children.size // 2, children.y0 + children.size // 2
        inside = np.flatnonzero((children.status & BITS.OUTSIDE) == 0)
        pixel = row[inside] * nx + column[inside]
        unique, index, inverse, count = np.unique(pixel, return_index=True, return_inverse=True, return_counts=True)
        label = np.zeros(len(children), dtype=np.int32)
        label[inside] = inverse + 1
        children.status[inside] |= np.where(count[inverse] > 1, BITS.SHARED, 0).astype(np.int32)

        flux, error = smooth(*coadd(patch, sky, sed=self.sed), kernel_pixels(self.kernel, patch))
        _, footprints, _ = extract(flux, error, self.threshold, self.min_area, nthresh=1, contrast=1.0, clean=False)
        footprint = footprints > 0
        markers = np.zeros((ny, nx), dtype=np.int32)
        markers.flat[unique] = np.arange(1, len(unique) + 1)
        owner = watershed(-flux, np.where(footprint, markers, 0), mask=footprint, connectivity=2)
        owner = owner.astype(np.int32)

        lonely = np.flatnonzero(~footprint.flat[unique])
        radius = self.disc / patch.pixel_scale
        first = inside[index]  # one child per label
        nearest = np.full((ny, nx), np.inf)
        for k in lonely:
            xc, yc = x[first[k]], y[first[k]]
            rows = slice(max(0, int(yc - radius)), min(int(yc + radius) + 2, ny))
            columns = slice(max(0, int(xc - radius)), min(int(xc + radius) + 2, nx))
            yy, xx = np.ogrid[rows, columns]
            distance = np.hypot(xx - xc, yy - yc)
            own = (distance <= radius) & ~footprint[rows, columns] & (distance < nearest[rows, columns])
            owner[rows, columns][own] = k + 1
            nearest[rows, columns][own] = distance[own]
        owner.flat[unique[lonely]] = lonely + 1  # a centre owns at least its own pixel
        children.status[np.isin(label, lonely + 1)] |= BITS.NO_FOOTPRINT
        return owner, label

    def _fill(self, patch, planes, owner, label, children, x, y, batch):
        size = children.size
        x0, y0, mine = children.x0[batch], children.y0[batch], label[batch][:, None, None]
        # The pixel opposite to column c of the stamp is column S - 1 - c of the window at x0m.
        x0m, y0m = (
            np.floor(2 * np.where(np.isfinite(c[batch]), c[batch], 0.0) + 0.5).astype(np.int64) - c0 - (size - 1)
            for c, c0 in ((x, x0), (y, y0))
        )
        taken = _taken(owner, x0, y0, size, mine, outside=0)
        opposite_taken = _taken(owner, x0m, y0m, size, mine, outside=-1)[:, ::-1, ::-1]
        status, stamps = np.zeros(len(x0), dtype=np.int32), children.stamps[batch]
        for k, (band, image) in enumerate(patch.bands.items()):
            replace, no_source = taken, opposite_taken
            masked = masked_stamps(image, x0, y0, size)
            if masked.any():
                replace = taken | masked
                no_source = opposite_taken | masked_stamps(image, x0m, y0m, size)[:, ::-1, ::-1]
            raw = cut(planes[band], x0, y0, size)
            mirror = cut(planes[band], x0m, y0m, size)[:, ::-1, ::-1]
            fill = replace & ~no_source
            raw[replace] = 0
            np.copyto(raw, mirror, where=fill)
            stamps[:, k] = raw

            near = disc(size, self.core / image.pixel_scale)
            status |= np.where(masked[:, near].any(axis=1), BITS.MASKED, 0).astype(np.int32)
            status |= np.where(fill[:, near].any(axis=1), BITS.MIRRORED, 0).astype(np.int32)
            empty = (replace & ~fill)[:, near].mean(axis=1)
            status |= np.where(empty > self.crowded, BITS.CROWDED, 0).astype(np.int32)
        children.status[batch] |= status


def _taken(owner, x0, y0, size, mine, outside):
    """Return (N, S, S) bool: pixels that another centre owns (or that are outside, if that is -1)."""
    window = cut(owner, x0, y0, size, outside)
    return (window != 0) & (window != mine)
