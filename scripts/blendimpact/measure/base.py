"""What is asked of every measurement of child images."""

from abc import abstractmethod
from typing import ClassVar, Protocol


class Measurement(Protocol):
    """A member of the family: ``blendimpact.measure.MEASUREMENTS.register(name)`` makes it one.

    It sees child images and never where they come from, so it does the same on every rung, with and without noise.
    Nothing is raised for one bad object: what could not be measured is NaN.

    Attributes
    ----------
    name : str
    columns : dict of str to (unit or None, description)
        What it adds to the table of measurements. Those that begin with ``flux_`` are kept in every band when objects
        are scored, all others in the shape band.
    """

    name: str
    columns: ClassVar[dict]

    @abstractmethod
    def measure(self, objects):
        """Measure all objects of a patch.

        Parameters
        ----------
        objects : measure.objects.Objects
            N objects in B bands.

        Returns
        -------
        dict of str to array
            Each of `columns`: (N, B), or (N,) for numbers of the shape band, NaN in the others. Bits for the shared
            column ``flux_flag`` may be among them.
        """
