"""What is asked of a deblender, and what all of them share."""

from typing import Protocol

import numpy as np

from ..data.children import BITS, Children
from ..data.significance import BAD
from ..data.stamps import cut

__all__ = ["BITS", "Children", "Deblender", "disc", "masked_stamps"]


class Deblender(Protocol):
    """A member of the family: ``blendimpact.deblend.DEBLENDERS.register(name)`` makes it one.

    It knows pixels and centres only, so it does the same for true and for detected centres, and it
    never raises for one bad source: the child's ``status`` says what happened.
    """

    name: str

    def deblend(self, patch, sky, centres, stamp_size):
        """Make one child image per centre.

        Parameters
        ----------
        patch : Patch
            All bands are deblended.
        sky : dict of str to (ny, nx) array
            Sky of each band, in the band's unit.
        centres : astropy.table.Table
            Columns ``det_id``, ``x``, ``y`` (pixels).
        stamp_size : int
            Width of the child images, odd.

        Returns
        -------
        Children
            In the order of ``centres``.
        """


def disc(size, radius):
    """Return (size, size) bool: pixels whose centre is within ``radius`` of the central pixel's."""
    yy, xx = np.indices((size, size)) - size // 2
    return xx**2 + yy**2 <= radius**2


def masked_stamps(image, x0, y0, size):
    """Return (N, S, S) bool: pixels of one band without data (not those outside of the image)."""
    bad = ((image.mask & BAD) != 0) | ~np.isfinite(image.science)
    if not bad.any():
        return np.zeros((len(x0), size, size), dtype=bool)
    return cut(bad, x0, y0, size, False)
