"""What is drawn on simulated sky: the populations under ``population`` of a case, and the patch they are asked for.

Every property of a source belongs to its candidate (see `sky.positions`), so neither the density nor the magnitude
limits nor the bands change a source that is there anyway.
"""

from dataclasses import dataclass, field

import numpy as np

from ..config.sky import Drawn, Galaxies, Positions, Stars
from ..errors import StudyError
from ..sky.positions import DENSITY_MAX, draw_positions
from ..stats.streams import stream
from . import POPULATIONS

STAR_IDS, LABEL_IDS = 10_000_000, 1_000_000
"""``source_id`` of a galaxy is the number of its candidate, from 1; that of a star this plus it; those of further
populations follow, each `LABEL_IDS` after the one before."""
DEFAULTS = {"galaxies": Galaxies().plain(), "stars": Stars().plain()}


def blocks(population):
    """Return {label: settings} of the populations of a simulated sky, in the order of their ids.

    Parameters
    ----------
    population : dict
        The ``population`` of the settings: ``galaxies``, ``stars`` and ``others``.
    """
    own = {label: {**default, **population.get(label, {})} for label, default in DEFAULTS.items()}
    return own | population.get("others", {})


def first_id(number):
    """Return what is added to the numbers of the candidates of the population with this number among `blocks`."""
    return 0 if number == 0 else STAR_IDS + (number - 1) * LABEL_IDS


def member(block):
    """Return the population that a block names, made with its options: the keys that are not of all populations."""
    return POPULATIONS.create(block["kind"], {k: v for k, v in block.items() if k not in Drawn.model_fields})


@dataclass(frozen=True)
class Field:
    """The patch that a population is drawn on.

    Attributes
    ----------
    label : str
        Of the population in the settings; names its streams.
    half : float
        Half the side (arcsec) of the square in which sources are drawn.
    seed, case, index : int, str, int
        Name the streams: of the study, the case and the block of sky.
    bands : tuple of str
    reference : str
        Band of shapes and sizes.
    density : float
        Factor on the population's own density.
    mag_min, mag_max : float
        Between these are the sources that are drawn.
    positions : dict
        How galaxies are placed, see `config.sky.Positions`.
    """

    label: str
    half: float
    seed: int
    case: str
    index: int
    bands: tuple
    reference: str
    density: float = 1.0
    mag_min: float = -np.inf
    mag_max: float = np.inf
    positions: dict = field(default_factory=dict)

    def __post_init__(self):
        where = f"population.{self.label}"
        if not 0 <= self.density <= DENSITY_MAX:
            raise StudyError(f"density {self.density}", where, f"give a factor from 0 to {DENSITY_MAX}")
        if not self.mag_min < self.mag_max:
            raise StudyError(f"magnitudes {self.mag_min} to {self.mag_max}", where, "mag_min < mag_max")

    def stream(self, purpose):
        """Return the random numbers of this field for one purpose (`stats.streams.stream`)."""
        return stream(self.seed, self.case, self.index, self.label, purpose)

    def candidates(self, density, clustered=False):
        """Return `sky.positions.Positions` of all candidates: `DENSITY_MAX` times as many as a sky of density 1 has.

        Parameters
        ----------
        density : float
            Sources per arcsec2 of a sky of density 1.
        clustered : bool
            Whether ``population.positions`` holds for this population; else its sources are Poisson.
        """
        options = self.positions if clustered else {}
        kind = options.get("kind", Positions().kind)
        return draw_positions(kind, options, density, self.half, self.seed, self.case, self.index, self.label)

    def kept(self, places, mag):
        """Return which candidates are there, by the density and by the limits of magnitude."""
        within = (mag >= self.mag_min) & (mag < self.mag_max)
        return np.flatnonzero((places.rank < self.density / DENSITY_MAX) & within)


def placed(places, keep, kind, **columns):
    """Return the columns that `base.Population.scatter` gives, of the candidates ``keep``.

    Parameters
    ----------
    places : sky.positions.Positions
    keep : (N,) int array
        Of the candidates.
    kind : str
        "star" or "galaxy".
    **columns : (N,) arrays
        Further columns.
    """
    return {
        "candidate": keep,
        "kind": np.full(len(keep), kind),
        "dx": places.x[keep],
        "dy": places.y[keep],
        "cluster": places.cluster[keep],
        **columns,
    }
