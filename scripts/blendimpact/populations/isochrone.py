"""Stars of one age and metallicity: an isochrone, an initial mass function, a distance and a reddening.

The isochrone is that of MIST (Choi et al. 2016, arXiv:1604.08592; Dotter 2016, arXiv:1601.05144) which the package
artpop ships: 10 Gyr, [Fe/H] = -1, absolute AB magnitudes in LSST's ugrizy, initial masses from 0.1 solar masses. Its
stars are numbered by the fraction of stars born lighter, under the initial mass function of Kroupa (2001, MNRAS 322,
231), so that one uniform number is one star: its magnitudes and colours, and the stage of its evolution.

What it is not: there is one age and one metallicity, so a colour-magnitude diagram is a line, and a metallicity that
is measured from a colour is that of this line; stars are single, where in nature a third or so are unresolved
binaries; there is no depth along the line of sight, no differential reddening, no foreground disk.
"""

import numpy as np
from astropy.table import Table

from ..config.options import NotNegative, Number
from ..data import pickles
from ..data.catalogues import describe
from ..errors import StudyError
from ..sky.positions import DENSITY_MAX
from . import POPULATIONS
from .base import BANDS, Population
from .drawn import placed

STAGES = {0: "main sequence", 2: "red giant branch", 3: "red clump", 4: "early AGB", 5: "AGB", 6: "post-AGB"}
"""Stages of evolution by the isochrone's phase. Sub-giants are in the red giant branch; the red clump is core helium
burning (at this metallicity partly a red horizontal branch); the last goes from the AGB to the cooling white
dwarf."""
RED_CLUMP = STAGES[3]
EXTINCTION = {"u": 4.757, "g": 3.661, "r": 2.701, "i": 2.054, "z": 1.590, "y": 1.308}
"""A_b / E(B-V): Cardelli, Clayton & Mathis (1989) at R_V = 3.1 through LSST's bands for a flat spectrum, as rubin_sim's
DustValues has it and LSST's own configurations quote it. One number per band: for a cool star the true one is up to 5 %
less in u and g."""
STARS_MAX = 4e7
"""Stars per deg2, however faint, at which fields of an isochrone are drawn before they are thinned: about ten times
the bulge in Baade's window."""
DISTANCE_MODULUS, REDDENING = 14.5, 1.0
"""Defaults: about that of the bulge (8 kpc), and a low-latitude bulge field."""

_SLOPES = (1.3, 2.3)  # Kroupa (2001): dN/dm ~ m^-1.3 to 0.5 solar masses, m^-2.3 beyond
_BREAK = 0.5
_COLUMNS = {
    "initial_mass": ("solMass", "mass at birth"),
    "rank": (None, "fraction of the stars alive that were born lighter (Kroupa 2001)"),
    "evolution": (None, "stage of evolution from this row to the next"),
    **{f"mag_{b}": ("mag", f"absolute AB magnitude in {b} (MIST)") for b in BANDS},
}


@POPULATIONS.register("isochrone")
class Isochrone(Population):
    """The stars of an old population, numbered by an initial mass function: fields of any density are drawn from it.

    Parameters
    ----------
    surface_density : float
        Stars per deg2 brighter than ``limit``, those brighter than ``mag_min`` included, although they are not drawn.
    limit : float
        Magnitude in the reference band to which they are counted.
    distance_modulus : float
        Mag.
    reddening : float
        E(B-V), mag.
    """

    inputs = ("artpop",)
    memory_mb = 500

    def __init__(
        self,
        surface_density: NotNegative,
        limit: Number,
        distance_modulus: Number = DISTANCE_MODULUS,
        reddening: NotNegative = REDDENING,
    ):
        self.surface_density, self.limit = surface_density, limit
        self.seen = {"distance_modulus": distance_modulus, "reddening": reddening}

    @classmethod
    def build(cls, folders):
        """Return the table of stars: see `build_isochrone`."""
        (path,) = folders["artpop"].glob("*.pkl")
        return build_isochrone(path)

    def scatter(self, field, tables):
        """Return stars, Poisson, a sparser field a subset of a denser one."""
        stars = Stars(tables[self.name], self.seen)
        counted = stars.fraction_brighter(self.limit, field.reference)
        where = f"population.{field.label}"
        if not counted > 0:
            raise StudyError(
                f"no star of the isochrone is brighter than {self.limit} in {field.reference}",
                f"{where}.limit",
                "give a fainter limit, or a smaller distance_modulus or reddening",
            )
        share = field.density * self.surface_density / counted / STARS_MAX
        if not 0 <= share <= 1:
            raise StudyError(
                f"{self.surface_density:g} stars per deg2 to {self.limit} are {share * STARS_MAX:.3g} to the faintest",
                f"{where}.surface_density",
                f"ask for at most {counted * STARS_MAX:.3g} to this limit",
            )
        places = field.candidates(STARS_MAX / DENSITY_MAX / 3600**2)
        # Magnitudes belong to the candidate, whatever the limits and the density.
        rank = field.stream("stars").uniform(size=len(places))
        there = np.flatnonzero(places.rank < share)
        mags, evolution = stars.at_rank(rank[there], dict.fromkeys([*field.bands, field.reference]))
        within = (mags[field.reference] >= field.mag_min) & (mags[field.reference] < field.mag_max)
        columns = {f"mag_{b}": mags[b][within] for b in field.bands}
        return placed(places, there[within], "star", evolution=evolution[within], **columns)


def build_isochrone(path):
    """Build the table of stars from artpop's pickled isochrone.

    Parameters
    ----------
    path : path-like
        ``artpop/data/feh_m1.00_vvcrit0.4_LSST_10gyr_test_iso.pkl``: a dict of arrays.

    Returns
    -------
    astropy.table.Table
        One row per point of the isochrone, in the order of initial mass. A star of ``rank`` between two rows has
        the magnitudes in between.

    Raises
    ------
    StudyError
        If the file is another one.
    """
    needed = ["initial_mass", "phase", *(f"LSST_{b}" for b in BANDS)]
    given = pickles.load(path, "artpop's isochrone")
    try:
        columns = {name: np.asarray(given[name], dtype=float) for name in needed}
    except (LookupError, TypeError, ValueError) as error:
        raise StudyError(f"not artpop's isochrone ({error})", str(path), "delete it and fetch it again") from error
    mass = columns["initial_mass"]
    if len({len(v) for v in columns.values()}) != 1 or len(mass) < 2 or not (np.diff(mass) >= 0).all():
        raise StudyError("the isochrone's rows are not in the order of mass", str(path), "delete it and fetch it again")
    born = kroupa(mass)
    table = Table(
        {
            "initial_mass": mass,
            "rank": (born - born[0]) / (born[-1] - born[0]),
            "evolution": np.array([STAGES.get(int(p), "unknown") for p in columns["phase"]]),
            **{f"mag_{b}": columns[f"LSST_{b}"] for b in BANDS},
        }
    )
    table.meta["sources"] = "artpop (MIST, 10 Gyr, [Fe/H] = -1); initial mass function of Kroupa (2001)"
    return describe(table, _COLUMNS)


def kroupa(mass):
    """Return the number of stars born lighter than ``mass`` (solar masses; at least 0.08), in arbitrary units.

    The integral of m^-1.3 to 0.5 and of 0.5 m^-2.3 from there on (continuous), Kroupa (2001).
    """
    mass = np.asarray(mass, dtype=float)
    low, high = (1 - slope for slope in _SLOPES)
    light = np.minimum(mass, _BREAK) ** low / low
    heavy = _BREAK * (np.maximum(mass, _BREAK) ** high - _BREAK**high) / high
    return light + heavy


class Stars:
    """The isochrone's stars as they are seen.

    Parameters
    ----------
    table : astropy.table.Table
        From `build_isochrone`.
    options : dict
        Of ``population.stars``: ``distance_modulus`` (mag) and ``reddening`` (E(B-V), mag).
    """

    def __init__(self, table, options):
        if "rank" not in table.colnames:
            raise StudyError("this is not the table of an isochrone", "population.stars.kind: isochrone")
        self.rank = np.asarray(table["rank"], dtype=float)
        self.evolution = np.asarray(table["evolution"]).astype(str)
        modulus = options.get("distance_modulus", DISTANCE_MODULUS)
        reddening = options.get("reddening", REDDENING)
        self.mag = {b: np.asarray(table[f"mag_{b}"], float) + modulus + EXTINCTION[b] * reddening for b in BANDS}

    def fraction_brighter(self, limit, band):
        """Return which part (0 to 1) of all stars is brighter than ``limit`` in ``band``."""
        low, high, width = self._segments(band)
        inside = np.where(high > low, np.clip((limit - low) / np.maximum(high - low, 1e-12), 0, 1), limit > low)
        return float((inside * width).sum())

    def at_rank(self, rank, bands):
        """Return the magnitudes of stars, {band: (N,) array}, and their stages of evolution."""
        rank = np.asarray(rank, float)
        row = np.clip(np.searchsorted(self.rank, rank, side="right") - 1, 0, len(self.rank) - 2)
        return {b: np.interp(rank, self.rank, self.mag[b]) for b in bands}, self.evolution[row]

    def at_magnitude(self, mag, band, draw, bands):
        """Return magnitudes and stages of stars that have given magnitudes in one band.

        Among the places where the isochrone crosses a magnitude, one is drawn in proportion to the number
        of stars per magnitude there. Beyond its ends: the colours of the end.

        Parameters
        ----------
        mag : (N,) array
            In ``band``.
        band : str
        draw : (N,) array
            Uniform numbers in [0, 1).
        bands : sequence of str
        """
        low, high, width = self._segments(band)
        here = np.clip(mag, low.min(), np.nextafter(high.max(), -np.inf))
        crosses = (here[:, None] >= low) & (here[:, None] < high)
        steep = width / np.maximum(high - low, 1e-9)
        total = np.cumsum(np.where(crosses, steep, 0.0), axis=1)
        row = np.minimum((total <= np.asarray(draw)[:, None] * total[:, -1:]).sum(axis=1), len(low) - 1)
        first, second = self.mag[band][row], self.mag[band][row + 1]
        along = np.where(first == second, 0.0, (here - first) / np.where(first == second, 1.0, second - first))
        out = {b: self.mag[b][row] + along * (self.mag[b][row + 1] - self.mag[b][row]) for b in bands}
        return {b: value + (mag - out[band]) for b, value in out.items()}, self.evolution[row]

    def stage(self, name):
        """Return the ranks between which a stage of evolution lies."""
        rows = np.flatnonzero(self.evolution[:-1] == name)
        if not len(rows):
            raise StudyError(f"the isochrone has no stars of the stage {name!r}", "population.stars")
        return self.rank[rows[0]], self.rank[rows[-1] + 1]

    def _segments(self, band):
        mag = self.mag[band]
        return np.minimum(mag[:-1], mag[1:]), np.maximum(mag[:-1], mag[1:]), np.diff(self.rank)
