"""What every detector returns, and what is asked of it."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from astropy.table import Table

from ..core.catalogues import describe
from ..core.flags import decode as _decode
from ..core.flags import values
from ..core.images import Patch
from ..core.significance import detection_image
from ..core.stamps import cut

__all__ = ["BITS", "COLUMNS", "DETECTION_BITS", "Detection", "Detector", "decode", "detect_on_stamp",
           "detection_image", "detection_table"]

DETECTION_BITS = {
    0: ("BLENDED", "split from a footprint that holds other detections too"),
    1: ("EDGE", "the footprint touches the edge of the image"),
    2: ("MASKED", "a pixel without data touches the footprint"),
    3: ("NOT_SPLIT", "the detector could not split the footprints of this image"),
    4: ("PEAK_POSITION", "no finite barycentre: the position is the peak pixel's"),
    5: ("ISOPHOTAL", "no windowed centroid: the position is the isophotal barycentre"),
}
BITS = values(DETECTION_BITS)

COLUMNS = {
    "det_id": (None, "number of the detection in its patch, > 0"),
    "x": ("pix", "centre along axis 1, 0-based"),
    "y": ("pix", "centre along axis 2, 0-based"),
    "npix": ("pix2", "pixels above the threshold"),
    "a": ("pix", "rms of the smoothed, thresholded light along the major axis"),
    "b": ("pix", "the same along the minor axis"),
    "theta": ("rad", "angle of the major axis, counterclockwise from the x axis"),
    "peak_snr": (None, "signal-to-noise ratio of the brightest pixel of the smoothed detection image"),
    "flag": (None, "bits of blendimpact.detect.base.DETECTION_BITS"),
}


@dataclass
class Detection:
    """What a detector found on one patch.

    Attributes
    ----------
    table : astropy.table.Table
        The columns of `COLUMNS`; one row per object, sorted by ``det_id``.
    segmentation : (ny, nx) int32 array or None
        The ``det_id`` that owns each pixel, 0 is sky.
    """

    table: Table
    segmentation: np.ndarray | None = None


class Detector(Protocol):
    """A member of the family: ``blendimpact.detect.DETECTORS.register(name)`` makes it one.

    A class that inherits from it has to write `detect` alone.
    """

    name: str

    def detect(self, patch, sky, truth=None):
        """Find the objects of a patch.

        Parameters
        ----------
        patch : Patch
            All bands may be used.
        sky : dict of str to (ny, nx) array
            Sky of each band, in the band's unit.
        truth : astropy.table.Table, optional
            Truth rows of this patch and twin. Only the detector "truth" looks at them.

        Returns
        -------
        Detection
        """
        raise NotImplementedError

    def positions(self, patch, sky):
        """Return x and y of what `detect` finds; a member may know a faster way to the same."""
        table = self.detect(patch, sky).table
        return np.asarray(table["x"]), np.asarray(table["y"])


def detection_table(columns):
    """Return a table of `COLUMNS` with units and descriptions.

    Parameters
    ----------
    columns : dict of str to array
        Absent columns become NaN, or 0 if they count.
    """
    n = len(columns["det_id"])
    integer = {"det_id": np.int64, "npix": np.int32, "flag": np.int32}
    table = Table({name: np.asarray(columns.get(name, np.zeros(n) if name in integer else np.full(n, np.nan)))
                   .astype(integer.get(name, np.float64)) for name in COLUMNS})
    return describe(table, COLUMNS)


def decode(flag):
    """Return the (name, text) of each bit of a detection's ``flag``."""
    return _decode(DETECTION_BITS, flag)


def detect_on_stamp(detector, patch, stamps, x0, y0, x, y, radius, variances=None):
    """Say whether a detector finds a source that is alone on its stamps.

    Parameters
    ----------
    detector : Detector
        Any member of the family.
    patch : Patch
        Where the stamps come from: PSF, WCS, zero point, mask and, by default, the variance.
    stamps : dict of str to (S, S) array
        Image of the source with its own and the sky's noise, sky-subtracted, by band.
    x0, y0 : int
        Image pixel of the stamps' first pixel.
    x, y : float
        Position of the source in the patch, in pixels.
    radius : float
        Distance in pixels within which a detection is the source.
    variances : dict of str to (S, S) array, optional
        Variance of the stamps. The patch's own contains the photon noise of the neighbours.

    Returns
    -------
    bool
    """
    bands = {}
    for band, stamp in stamps.items():
        image = patch.bands[band]
        size = stamp.shape[0]
        variance = cut(image.variance, [x0], [y0], size, np.inf)[0] if variances is None else variances[band]
        bands[band] = replace(image, science=stamp, variance=variance, planes={},
                              mask=cut(image.mask, [x0], [y0], size, 1)[0])
    x_found, y_found = detector.positions(Patch(patch.index, patch.twin, patch.shear, bands, 0), sky={})
    return bool(np.any(np.hypot(x_found - (x - x0), y_found - (y - y0)) <= radius))
