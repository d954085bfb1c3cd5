"""What is asked of a deblender, and what all of them share."""

from typing import Protocol

import numpy as np

from ..data.children import BITS, Children
from ..data.stamps import disc, masked_stamps
from ..errors import StudyError

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


LEAST_CENTRES = 10
"""Centres of a patch from which it is no accident that none of their children has finite pixels."""


def checked(name, children, patch, sky, centres, stamp_size, *_, **__):
    """Return the children that a deblender made of a patch; those with pixels that are no numbers count as failed.

    Raises
    ------
    StudyError
        That names the deblender, the patch and what to mend: another number, order or size of children, or none with
        finite pixels.
    """
    who, where = f"the deblender {name!r}", f"patch {patch.index} ({patch.twin})"
    expected = (len(centres), len(patch.bands), stamp_size, stamp_size)
    if not isinstance(children, Children) or children.stamps.shape != expected:
        shape = getattr(getattr(children, "stamps", None), "shape", type(children).__name__)
        raise StudyError(
            f"{who} returned stamps {shape}, not {expected}: centres, bands, pixels, pixels",
            where,
            "begin with Children.blank(patch, centres, stamp_size) and fill its stamps",
        )
    if not np.array_equal(children.det_id, centres["det_id"]):
        raise StudyError(
            f"{who} returned the children of other centres, or in another order",
            where,
            "return one child per centre, in the order of the centres",
        )
    lost = ~np.isfinite(children.stamps).all(axis=(1, 2, 3))
    if lost.all() and len(lost) >= LEAST_CENTRES:
        raise StudyError(
            f"{who} returned no child with finite pixels ({len(lost)} centres)",
            where,
            "give children that cannot be made pixels of 0 and the status FAILED",
        )
    if lost.any():
        children.stamps[lost] = 0
        children.status[lost] |= BITS.FAILED
    return children
