"""Which ladder a case climbs."""

from ..config.settings import roles
from .difference import DifferenceLadder
from .image import ImageLadder

LADDERS = {"deblend": ImageLadder, "subtract": DifferenceLadder}
"""By the family of what separates the light."""


def ladder_of(settings, seed=None, finding=None, separating=None):
    """Return the `base.Ladder` of a case and scenario; the parameters are those of the ladder."""
    return LADDERS[roles(settings)["separate"].package](settings, seed, finding, separating)
