"""Shape buckets: a compiled program serves every blend that fits its shape.

A program's shape is (width of the sources' boxes, number of sources). Blends are padded to the nearest bucket:
absent sources have no flux, absent pixels no weight.
"""

from dataclasses import dataclass

# Odd widths whose FFT (width + 11 pixels of model PSF + 3, rounded up) is 48, 64, 96 and 128.
WIDTHS = (33, 49, 81, 113)
COUNTS = (1, 4, 8)
_ROOM = {1: 0, 4: 40, 8: 64}  # how much wider than a box the common window is


@dataclass(frozen=True)
class Bucket:
    """Shape of a program.

    Attributes
    ----------
    width : int
        Of each source's box in pixels.
    count : int
        Sources.
    """

    width: int
    count: int

    @property
    def window(self):
        """Width of the pixels that are fitted: centres may be ``window - width`` apart."""
        return self.width + _ROOM[self.count]


def span(count):
    """Return how far apart, in pixels, the centres of a parent of ``count`` sources may be."""
    return _ROOM[next(c for c in COUNTS if c >= count)]


def bucket(half, count, extent):
    """Return the smallest bucket of a parent.

    Parameters
    ----------
    half : float
        How far the largest source reaches from its centre, in pixels; beyond the largest box it is cut.
    count : int
        Sources, at most ``COUNTS[-1]``.
    extent : int
        Width of the square that holds the central pixels, less 1.

    Returns
    -------
    Bucket

    Raises
    ------
    ValueError
        If no bucket holds the parent.
    """
    width = next((w for w in WIDTHS if w >= 2 * half + 1), WIDTHS[-1])
    for c in COUNTS:
        if c >= count and _ROOM[c] >= extent:
            return Bucket(width, c)
    raise ValueError(f"no bucket holds {count} sources over {extent} pixels")
