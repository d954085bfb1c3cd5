"""Perfect subtraction: the exact static sky is taken away, its photon noise stays."""

import numpy as np

from ..errors import StudyError
from . import SUBTRACTORS
from .base import BITS, Noise, failed, finish, prepare
from .kernels import DELTA


@SUBTRACTORS.register("truth")
class TruthSubtractor:
    """A template without noise, seen through the PSF of the science image: a bound and not an engine.

    What is left of a constant source is its photon noise in the science image. The template is not looked at.
    """

    needs_truth = True

    def subtract(self, science, template, static=None):
        """Return the `Difference` of a science image and the exact static sky.

        Raises
        ------
        StudyError
            If ``static`` is not given, or has another shape.
        """
        if static is None or np.shape(static) != science.science.shape:
            raise StudyError(
                "the subtractor 'truth' needs the static sky on the pixels of the science image",
                "subtract",
                "pass static=, e.g. the MODEL plane without the transients",
            )
        pair = prepare(science, None)
        if pair.status & BITS.NO_DATA:
            return failed(pair, 0)
        image = pair.science - np.where(pair.bad, 0, static)
        if not np.isfinite(image).all():
            return failed(pair, BITS.FAILED)
        return finish(pair, image, pair.science_psf, [Noise(DELTA, pair.science_variance)])
