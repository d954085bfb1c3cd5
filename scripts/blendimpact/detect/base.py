"""What every detector returns, and what is asked of it."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from ..data.brief import Brief
from ..data.catalogues import describe
from ..data.flags import Bits
from ..data.images import Patch
from ..data.significance import detection_image
from ..data.stamps import cut
from ..errors import StudyError

__all__ = [
    "BITS",
    "COLUMNS",
    "DETECTION_BITS",
    "Detection",
    "Detector",
    "detect_on_stamp",
    "detect_on_stamps",
    "detection_image",
    "detection_table",
]

BITS = DETECTION_BITS = Bits(
    {
        0: ("BLENDED", "split from a footprint that holds other detections too"),
        1: ("EDGE", "the footprint touches the edge of the image"),
        2: ("MASKED", "a pixel without data touches the footprint"),
        3: ("NOT_SPLIT", "the detector could not split the footprints of this image"),
        4: ("PEAK_POSITION", "no finite barycentre: the position is the peak pixel's"),
        5: ("ISOPHOTAL", "no windowed centroid: the position is the isophotal barycentre"),
    }
)

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


@dataclass(repr=False)
class Detection(Brief):
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

    @abstractmethod
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

    def positions(self, patch, sky):
        """Return x and y of what `detect` finds; a member may know a faster way to the same."""
        table = self.detect(patch, sky).table
        return np.asarray(table["x"]), np.asarray(table["y"])


def checked(name, detection, patch, *_, **__):
    """Return what a detector has found on a patch, if it is what the rest of the study can take.

    Raises
    ------
    StudyError
        That names the detector, the patch and what to mend.
    """
    where = f"patch {patch.index} ({patch.twin})"
    return checked_detection(detection, patch.shape, f"the detector {name!r}", where)


def checked_detection(detection, shape, who, where):
    """Return a `Detection` on an image of a shape (ny, nx), if it holds what it must; ``who`` made it."""
    table = getattr(detection, "table", None)
    if not isinstance(table, Table) or set(COLUMNS) - set(table.colnames):
        missing = sorted(set(COLUMNS) - set(getattr(table, "colnames", ())))
        raise StudyError(
            f"{who} returned no Detection with the columns {', '.join(missing)}",
            where,
            "make its table with detect.base.detection_table",
        )
    numbers = np.asarray(table["det_id"])
    if len(np.unique(numbers)) != len(table) or (numbers < 1).any():
        raise StudyError(
            f"{who} returned numbers det_id that are not distinct or not above 0",
            where,
            "number the detections 1, 2, ...",
        )
    lost = ~(np.isfinite(np.asarray(table["x"], float)) & np.isfinite(np.asarray(table["y"], float)))
    if lost.any():
        raise StudyError(
            f"{who} returned {lost.sum()} of {len(table)} positions that are not finite, the first "
            f"det_id {numbers[lost][0]}",
            where,
            "leave such objects out, or give the peak's position",
        )
    owners = detection.segmentation
    if owners is not None and owners.shape != shape:
        raise StudyError(
            f"{who} returned a segmentation of shape {owners.shape}, the image has {shape}",
            where,
            "give the owner of each pixel of the image, or None",
        )
    return detection


def detection_table(columns):
    """Return a table of `COLUMNS` with units and descriptions.

    Parameters
    ----------
    columns : dict of str to array
        Absent columns become NaN, or 0 if they count.
    """
    n = len(columns["det_id"])
    integer = {"det_id": np.int64, "npix": np.int32, "flag": np.int32}
    table = Table(
        {
            name: np.asarray(columns.get(name, np.zeros(n) if name in integer else np.full(n, np.nan))).astype(
                integer.get(name, np.float64)
            )
            for name in COLUMNS
        }
    )
    return describe(table, COLUMNS)


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
    one = {band: np.asarray(stamp)[None] for band, stamp in stamps.items()}
    variances = None if variances is None else {band: np.asarray(v)[None] for band, v in variances.items()}
    return bool(detect_on_stamps(detector, patch, one, [x0], [y0], [x], [y], radius, variances)[0])


def detect_on_stamps(detector, patch, stamps, x0, y0, x, y, radius, variances=None):
    """Say of each of many sources whether a detector finds it alone on its stamps.

    The stamps are laid out on one sheet, a source's centre a stamp's width from what is not its own and pixels without
    data between: one call of the detector finds all of them, which for stamps takes less than a call for each.

    Parameters
    ----------
    detector, patch, radius
        See `detect_on_stamp`.
    stamps : dict of str to (N, S, S) array
    x0, y0 : (N,) int array
        Image pixels of the stamps' first pixels.
    x, y : (N,) array
        Positions of the sources in the patch, in pixels.
    variances : dict of str to (S, S) or (N, S, S) array, optional
        See `detect_on_stamp`.

    Returns
    -------
    (N,) bool array
    """
    n, size = next(iter(stamps.values())).shape[:2]
    if not n:
        return np.zeros(0, bool)
    x0, y0 = np.asarray(x0), np.asarray(y0)
    columns = int(np.ceil(np.sqrt(n)))
    pitch = size + size // 2
    row, column = np.divmod(np.arange(n), columns)
    shape = row[-1] * pitch + size, min(n - 1, columns - 1) * pitch + size

    def sheet(cut_outs, dtype, empty):
        out = np.full(shape, empty, dtype)
        for one, j, i in zip(cut_outs, row * pitch, column * pitch):
            out[j : j + size, i : i + size] = one
        return out

    bands = {}
    for band, light in stamps.items():
        image = patch.bands[band]
        variance = (
            cut(image.variance, x0, y0, size, np.inf)
            if variances is None
            else np.broadcast_to(variances[band], light.shape)
        )
        bands[band] = replace(
            image,
            science=sheet(light, light.dtype, 0),
            planes={},
            variance=sheet(variance, variance.dtype, np.inf),
            mask=sheet(cut(image.mask, x0, y0, size, 1), image.mask.dtype.newbyteorder("="), 1),
        )
    found = np.column_stack(detector.positions(Patch(patch.index, patch.twin, patch.shear, bands, 0), sky={}))
    where = np.column_stack([np.asarray(x) - x0 + column * pitch, np.asarray(y) - y0 + row * pitch])
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return np.zeros(n, bool)
    return cKDTree(found).query(where)[0] <= radius
