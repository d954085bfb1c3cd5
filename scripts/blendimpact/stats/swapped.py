"""Statistics of swapped lists: what the list of centres does to the shear response of the same pixels."""

from dataclasses import dataclass
from typing import ClassVar

from .statistic import Statistic, ratio


@dataclass(frozen=True, kw_only=True)
class SwappedLists(Statistic):
    """Response of centres that are detected anew on each sheared image over that of centres that are carried, minus 1.

    Sums: number of the list of +g, its sum of e / 2g on the image of +g, and on that of -g; number of the list of -g,
    its sums on the images of +g and of -g. The list of +g is carried through the known shear to the image of -g, and
    the other way round. The pixels and the estimator are the same; only the list differs. Identical lists give 0
    exactly, whatever the noise.
    """

    counted: ClassVar[tuple] = (0, 3)
    paired: ClassVar[bool] = True

    def of(self, sums):
        own, fixed = responses(sums[..., 0, :])
        return ratio(own, fixed) - 1


@dataclass(frozen=True, kw_only=True)
class Merging(Statistic):
    """Response of a detected list that is carried over that of true centres, minus 1.

    Sums: number of the list of +g, its sum of (e on +g - e on -g) / 2g; the same of the list of -g; the same of the
    true centres.
    """

    counted: ClassVar[tuple] = (0, 2)
    paired: ClassVar[bool] = True

    def of(self, sums):
        plus, minus, true = (ratio(sums[..., 0, k + 1], sums[..., 0, k]) for k in (0, 2, 4))
        return ratio((plus + minus) / 2, true) - 1


def responses(sums):
    """Return the responses of re-detected and of carried lists, from the sums (..., 6) of `SwappedLists`."""
    n, m = sums[..., 0], sums[..., 3]
    plus_plus, plus_minus = ratio(sums[..., 1], n), ratio(sums[..., 2], n)
    minus_plus, minus_minus = ratio(sums[..., 4], m), ratio(sums[..., 5], m)
    return plus_plus - minus_minus, (plus_plus - plus_minus + minus_plus - minus_minus) / 2
