"""Which pixels belong together: footprints of the detection image that hold centres."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes, find_objects
from scipy.ndimage import label as label_connected

from ..data.significance import coadd, extract, kernel_pixels, smooth
from .base import BITS

_EIGHT = np.ones((3, 3))


@dataclass
class Parents:
    """The parents of a patch.

    Attributes
    ----------
    label : (ny, nx) int32 array
        Parent of each pixel, from 1; 0: sky, or a footprint that holds no centre.
    first : (U,) int array
        Sources: for each pixel that holds centres, the first of its children.
    source : (N,) int array
        Source of each child, -1 if its centre is not on the image. Centres in one pixel share it.
    number : (U,) int array
        Parent of each source, from 1.
    """

    label: np.ndarray
    first: np.ndarray
    source: np.ndarray
    number: np.ndarray

    def __iter__(self):
        """Yield for each parent its number, its sources, and its box as (rows, columns) slices."""
        boxes = find_objects(self.label)
        order = np.argsort(self.number, kind="stable")
        edges = np.flatnonzero(np.diff(self.number[order])) + 1
        for members in np.split(order, edges) if len(order) else ():
            number = int(self.number[members[0]])
            yield number, members, boxes[number - 1]


def find_parents(patch, sky, children, x, y, threshold=2.0, min_area=5, kernel="3x3", disc=0.8, sed=None):
    """Find the footprints that hold centres.

    Footprints are connected (8 neighbours) pixels of the smoothed detection image above a
    threshold, not split, with holes of masked pixels filled. A centre outside of all of them makes
    a disc of its own, which joins what it touches.

    Parameters
    ----------
    patch : Patch
        All bands make the detection image.
    sky : dict of str to (ny, nx) array
        Sky of each band.
    children : Children
        As `Children.blank` returns them. The bits NO_FOOTPRINT and SHARED of their status are set.
    x, y : (N,) array
        Centres in pixels.
    threshold : float
        In standard deviations of the smoothed detection image.
    min_area : int
        Least number of pixels of a footprint.
    kernel : "psf", "3x3" or None
        Smoothing of the detection image.
    disc : float
        Radius in arcsec.
    sed : dict of str to float, optional
        Relative flux density by band of the detection image, flat by default.

    Returns
    -------
    Parents
    """
    ny, nx = patch.shape
    half = children.size // 2
    inside = np.flatnonzero((children.status & BITS.OUTSIDE) == 0)
    pixel = (children.y0[inside] + half) * nx + children.x0[inside] + half
    unique, index, inverse, count = np.unique(pixel, return_index=True, return_inverse=True, return_counts=True)
    source = np.full(len(children), -1)
    source[inside] = inverse
    children.status[inside] |= np.where(count[inverse] > 1, BITS.SHARED, 0).astype(np.int32)

    flux, error = smooth(*coadd(patch, sky, sed=sed), kernel_pixels(kernel, patch))
    footprint = extract(flux, error, threshold, min_area, nthresh=1, contrast=1.0, clean=False)[1] > 0
    masked = ~np.isfinite(error)
    if masked.any():
        footprint |= masked & binary_fill_holes(footprint)

    first = inside[index]
    lonely = first[~footprint.flat[unique]]
    children.status[np.isin(source, source[lonely])] |= BITS.NO_FOOTPRINT
    radius = disc / patch.pixel_scale
    for k in lonely:
        rows, columns = (
            slice(max(0, int(c - radius)), min(int(c + radius) + 2, n)) for c, n in ((y[k], ny), (x[k], nx))
        )
        yy, xx = np.ogrid[rows, columns]
        footprint[rows, columns] |= np.hypot(xx - x[k], yy - y[k]) <= radius
    footprint.flat[unique] = True  # a centre owns at least its own pixel

    label, _ = label_connected(footprint, _EIGHT)
    held, number = np.unique(label.flat[unique], return_inverse=True)
    renumber = np.zeros(label.max() + 1, dtype=np.int32)
    renumber[held] = np.arange(1, len(held) + 1)
    return Parents(renumber[label], first, source, number + 1)
