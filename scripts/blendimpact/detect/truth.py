"""The oracle: the centres of the true sources that a truth-side cut lets through."""

import numpy as np

from ..config.options import Number
from ..errors import StudyError
from . import DETECTORS
from .base import Detection, Detector, detection_table


def truth_detections(truth, patch, cut=5.0, context=True):
    """Return the detection table of a detector that makes no mistake.

    The cut is on the signal-to-noise ratio that a source would have alone (column ``snr``), so
    that the oracle has the depth of a real detector but nothing of its blending.

    Parameters
    ----------
    truth : astropy.table.Table
        Truth rows of this patch and twin.
    patch : Patch
        For its shape.
    cut : float
        Least isolated matched-filter signal-to-noise ratio.
    context : bool
        Also return the rows of role "context": real sources of an adopted image, whose light
        (and so ``snr``) is not known but whose centre is.

    Returns
    -------
    astropy.table.Table
        Columns of `base.COLUMNS`: ``det_id`` is the ``source_id``, positions are the true ones;
        only sources whose centre is on the image.
    """
    ny, nx = patch.shape
    x, y = np.asarray(truth["x"], dtype=float), np.asarray(truth["y"], dtype=float)
    snr = np.asarray(truth["snr"], dtype=float)
    known = np.asarray(truth["role"]).astype(str) == "context" if context else np.zeros(len(x), dtype=bool)
    with np.errstate(invalid="ignore"):
        keep = (snr >= cut) | known
        keep &= (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(np.asarray(truth["source_id"])[rows], kind="stable")]
    return detection_table(
        {"det_id": np.asarray(truth["source_id"])[rows], "x": x[rows], "y": y[rows], "peak_snr": snr[rows]}
    )


@DETECTORS.register("truth")
class TruthDetector(Detector):
    """The oracle as a member of the family.

    Parameters
    ----------
    cut : float
        Least isolated signal-to-noise ratio.
    context : bool
        Also return real sources whose light is not known.
    """

    def __init__(self, cut: Number = 5.0, context: bool = True):
        self.cut, self.context = cut, context

    def detect(self, patch, sky, truth=None):
        """Return the `Detection` of a patch, without a segmentation.

        Raises
        ------
        StudyError
            If ``truth`` is not given.
        """
        if truth is None:
            raise StudyError(
                "the detector 'truth' needs the truth table of the patch",
                "detector",
                "choose another detector for images without truth",
            )
        return Detection(truth_detections(truth, patch, self.cut, self.context))
