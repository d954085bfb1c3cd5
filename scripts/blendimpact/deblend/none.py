"""No deblending: the pixels as they are."""

import numpy as np

from ..config.options import NotNegative
from ..data.stamps import cut
from . import DEBLENDERS
from .base import BITS, Children, disc, masked_stamps


@DEBLENDERS.register("none")
class NoDeblender:
    """Sky-subtracted pixels around each centre, neighbours included.

    Every child has all of the light: the upper bound of what blending does to a measurement. Pixels without
    data are 0.

    Parameters
    ----------
    core : float
        Radius in arcsec about the centre in which a pixel without data is flagged.
    """

    def __init__(self, core: NotNegative = 1.0):
        self.core = core

    def deblend(self, patch, sky, centres, stamp_size):
        """Return the `Children` of a patch."""
        children = Children.blank(patch, centres, stamp_size)
        for k, (band, image) in enumerate(patch.bands.items()):
            plane = image.science - sky[band] if band in sky else image.science
            children.stamps[:, k] = cut(plane, children.x0, children.y0, stamp_size)
            masked = masked_stamps(image, children.x0, children.y0, stamp_size)
            children.stamps[:, k][masked] = 0
            near = disc(stamp_size, self.core / image.pixel_scale)
            children.status |= np.where(masked[:, near].any(axis=1), BITS.MASKED, 0).astype(np.int32)
        return children
