"""What is asked of every difference finder."""

from typing import Protocol

from ..detect.base import checked_detection


class Finder(Protocol):
    """A member of the family: ``blendimpact.search.FINDERS.register(name)`` makes it one.

    Attributes
    ----------
    name : str
    threshold : float
        Least height, in units of the noise, of what it finds.
    """

    name: str
    threshold: float

    def find(self, difference, pixel_scale):
        """Find what has changed, of either sign.

        Parameters
        ----------
        difference : subtract.base.Difference
            Its noise is what the errors follow from; that of a real image is measured on itself.
        pixel_scale : float
            Arcsec.

        Returns
        -------
        detect.base.Detection
            ``peak_snr`` has the sign of the change. ``a`` larger than ``b``: a trail along ``theta`` of length
            sqrt(12 (a^2 - b^2)).
        """


def checked(name, detection, difference, *_, **__):
    """Return what a finder has found on a difference, if it is what the rest of the study can take.

    Raises
    ------
    StudyError
        That names the finder and what to mend.
    """
    return checked_detection(detection, difference.image.shape, f"the finder {name!r}", None)
