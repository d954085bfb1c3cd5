"""What the scarlet2 deblenders share."""

import numpy as np

from ..data.children import BITS, Children
from . import jaxenv
from .canvas import on_image
from .scarlet_scene import ScarletFit
from .scene import FLAGS


class Scarlet2:
    """Base of the scarlet2 deblenders; a subclass has ``kind`` and ``name``.

    Parameters
    ----------
    child, core, cache
        See `blendimpact.deblend.scarlet2_sersic.Scarlet2Sersic`.
    options : ScarletOptions

    Raises
    ------
    StudyError
        If scarlet2 is not installed.
    """

    def __init__(self, child, core, cache, options):
        where = f"deblenders.{self.name}"
        self.child, self.core, self.options = child, core, options
        jaxenv.scarlet2(where, cache)

    def fit(self, patch, sky, x, y):
        """Return the `ScarletFit` of sources at ``x``, ``y`` (pixels, finite, on the image)."""
        return ScarletFit(patch, sky, x, y, self.options, self.kind)

    def deblend(self, patch, sky, centres, stamp_size):
        """Return the `Children` of a patch."""
        children = Children.blank(patch, centres, stamp_size)
        rows = on_image(children)
        x, y = (np.asarray(centres[name], dtype=float)[rows] for name in ("x", "y"))
        fit = self.fit(patch, sky, x, y)
        for name in FLAGS:
            children.status[rows] |= np.where(fit.flags[name], getattr(BITS, name), 0).astype(np.int32)
        return fit.canvas.children(children, rows, self.child, self.core)
