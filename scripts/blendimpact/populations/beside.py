"""Targets beside brighter sources, and the weight that makes them a sample of the places of chance.

Most places of a sky are far from brighter sources, so targets that are spread evenly say little about blends. Here
most of them are put beside brighter sources, and each gets the ratio of two densities of place and magnitude: that of
targets that are spread evenly, over that of this design. Sums with these weights are sums over evenly spread
targets, with less noise where blending is.
"""

from typing import NamedTuple

import numpy as np

from ..errors import StudyError

MOST = 4.0
"""Targets of a cell that are put beside a source, at most, for one that is not: no weight exceeds 1 + this."""
STEP = 0.25
"""Arcsec: pitch of the grid of places that a target is drawn from, and moved about in."""
WEIGHT = {
    "chance_weight": (
        None,
        "density of place and magnitude of targets that are spread evenly, over that of the design that put it here",
    )
}


class Counts(NamedTuple):
    """Magnitudes with dN/dm ~ 10^(slope m) between two limits; slope 0: uniform."""

    low: float
    high: float
    slope: float = 0.0

    def below(self, mag):
        """Return the share of sources that are brighter than ``mag``."""
        mag = np.clip(mag, self.low, self.high)
        if not self.slope:
            return (mag - self.low) / (self.high - self.low)
        bright, faint, here = (10 ** (self.slope * np.asarray(m)) for m in (self.low, self.high, mag))
        return (here - bright) / (faint - bright)

    def magnitude(self, share):
        """Return the magnitude than which a ``share`` of the sources is brighter: the inverse of `below`."""
        if not self.slope:
            return self.low + (self.high - self.low) * share
        bright, faint = 10 ** (self.slope * self.low), 10 ** (self.slope * self.high)
        return np.log10(bright + share * (faint - bright)) / self.slope


class Hosts(NamedTuple):
    """Sources that targets are put beside.

    Attributes
    ----------
    place : (H, 2) array
        Pixels.
    mag : (H,) array
    """

    place: np.ndarray
    mag: np.ndarray

    @classmethod
    def of(cls, truth, band):
        """Return the sources of a truth table that have light and were not injected."""
        mag = np.asarray(truth[f"mag_{band}"], float)
        there = np.isfinite(mag)
        if "injection_id" in truth.colnames:
            there &= np.asarray(truth["injection_id"]) < 0
        return cls(np.stack([truth["x"], truth["y"]], axis=1).astype(float)[there], mag[there])


def lattice_of(number, side, separation):
    """Return how many cells each row of a square lattice has, and their side, for ``number`` targets in a square.

    Raises
    ------
    StudyError
        If targets cannot be ``separation`` apart.
    """
    cells = int(np.ceil(np.sqrt(number)))
    if side / cells < separation:
        raise StudyError(
            f"{number} targets {separation:.0f} pixels apart do not fit into a square of {side} pixels",
            "inject.per_patch",
            f"per_patch: {int(side // separation) ** 2} or fewer, or a smaller inject.separation",
        )
    return cells, side / cells


def place_beside(number, side, corner, scale, options, hosts, rng):
    """Draw places and magnitudes of targets: most of them beside sources that are brighter.

    Each target has a cell of a square lattice of random phase, and lies in the middle of it, at least ``separation``
    from those of other cells. In each cell the density of place and magnitude goes as 1 + ``factor`` n, where n is how
    many hosts are within reach and brighter than the target; in crowded cells the factor is smaller (`MOST`). So the
    weights are exact, cell by cell, and targets that are beside a source are about as far from it as chance has it.

    Parameters
    ----------
    number : int
        Of targets.
    side : float
        Side of the square that they are put in, pixels.
    corner : float
        Its first coordinates.
    scale : float
        Arcsec per pixel.
    options : dict
        ``separation`` (arcsec, between targets), ``mag``, ``counts_slope``, and of ``beside``: ``factor``,
        ``separation`` (arcsec), ``brighter_by`` (mag).
    hosts : Hosts
    rng : numpy.random.Generator

    Returns
    -------
    place : (number, 2) array
        Pixels.
    mag : (number,) array
    weight : (number,) array

    Raises
    ------
    StudyError
        If so many do not fit.
    """
    separation = options["separation"] / scale
    cells, pitch = lattice_of(number, side, separation)
    room = pitch - separation
    steps = max(int(np.ceil(room * scale / STEP)), 1)
    y, x = (np.mgrid[:steps, :steps].reshape(2, -1) + 0.5) / steps * room + separation / 2
    phase = rng.uniform(0, side, 2)
    chosen = np.sort(rng.permutation(cells * cells)[:number])
    first = np.stack([chosen % cells, chosen // cells], axis=1) * pitch + phase
    counts = Counts(*options["mag"], options.get("counts_slope", 0.0))
    place, mag, weight = np.empty((number, 2)), np.empty(number), np.empty(number)
    for k, cell in enumerate(first):
        # The square is a torus for the lattice: what leaves it on one side comes in on the other.
        grid = corner + np.stack([x + cell[0], y + cell[1]], axis=1) % side
        at, mag[k], weight[k] = _draw(grid, hosts, scale, options["beside"], counts, rng.uniform(size=4))
        move = (rng.uniform(size=2) - 0.5) * room / steps
        place[k] = corner + (grid[at] + move - corner) % side
    return place, mag, weight


def _draw(grid, hosts, scale, options, counts, uniform):
    """Draw one target of a cell: its number on the grid of places, its magnitude, its weight."""
    (near, far), (least, most) = options["separation"], options["brighter_by"]
    distance = np.hypot(*(grid[:, None] - hosts.place).T).T * scale
    within = (distance >= near) & (distance < far)
    first, last = counts.below(hosts.mag + least), counts.below(hosts.mag + most)
    pairs = within * (last - first)
    upto = np.cumsum(pairs)
    mean = upto[-1] / len(grid) if pairs.size else 0.0  # of n, over the cell and the counts
    often = min(options["factor"] * mean, MOST)
    if uniform[0] < often / (1 + often):
        pair = min(int(np.searchsorted(upto, uniform[1] * upto[-1], side="right")), pairs.size - 1)
        at, host = divmod(pair, len(hosts.mag))
        mag = counts.magnitude(first[host] + uniform[2] * (last[host] - first[host]))
    else:
        at, mag = int(uniform[1] * len(grid)), counts.magnitude(uniform[2])
    apart = mag - hosts.mag
    brighter = within[at, (apart >= least) & (apart < most)].sum()
    return at, mag, (1 + often) / (1 + often * brighter / mean) if mean else 1.0
