"""No subtraction: the science image as it is."""

from . import SUBTRACTORS
from .base import BITS, Noise, failed, finish, prepare
from .kernels import DELTA


@SUBTRACTORS.register("none")
class NoSubtractor:
    """The science image: every constant source is left in it.

    The upper bound of what static light does to a search. The template is not looked at.
    """

    def subtract(self, science, template, static=None):
        """Return the `Difference` of a science image and nothing."""
        pair = prepare(science, None)
        if pair.status & BITS.NO_DATA:
            return failed(pair, 0)
        return finish(pair, pair.science, pair.science_psf, [Noise(DELTA, pair.science_variance)])
