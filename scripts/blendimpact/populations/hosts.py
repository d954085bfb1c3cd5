"""Hosts of supernovae: which galaxy of the whole survey one explodes in, given how bright it is.

A patch is too small for that: half of the light of all galaxies comes from those brighter than r = 20.5, of which an
arcminute has hardly one. So hosts are drawn from the whole sample of galaxies and added to the static sky, where the
supernova is, in visit and template. As the other galaxies of a simulated patch lie at random, what is around such a
host is what is around any: a sky of random places, seen from one of its points.

Rates go with stellar mass, for which the luminosity in the reddest band stands, without a K correction. Phases are
uniform in the rest frame, and magnitudes scatter about those of a normal SN Ia of this redshift and phase.
"""

import numpy as np
from astropy import units
from astropy.cosmology import Planck18

from .galaxy_counts import counts

SCATTER = 0.15
"""Mag: intrinsic scatter of SNe Ia about the normal one [M]."""
PHASES = np.arange(-10.0, 30.1, 0.5)
"""Days from maximum, rest frame: uniform, to half a step."""
STEP = 0.01
"""Of the redshifts at which magnitudes are known, in ln z: 0.02 mag."""
RED = "y"
"""Band of the luminosity that stands for stellar mass."""


class Hosts:
    """All galaxies that supernovae explode in, with the rate of each.

    Parameters
    ----------
    galaxies : Table
        A sample sorted by ``mag_i``, with the columns of `populations.galaxies.sample`.
    supernovae : Table
        From `supernova.build_supernovae`.
    brightest : float
        i magnitude of the brightest galaxies: those of the sky.
    limits : (float, float), optional
        Of the magnitude of hosts in ``band``.
    band : str
        Of the magnitudes of supernovae.
    """

    def __init__(self, galaxies, supernovae, band, brightest, limits=None):
        self.galaxies = galaxies
        mag = np.asarray(galaxies["mag_i"], float)
        self._grid, self._normal = light_curves(supernovae, band)
        z = np.asarray(galaxies["redshift"], float)
        use = (mag >= brightest) & (z >= self._grid[0])
        self._z = np.clip(z, self._grid[0], self._grid[-1])
        self._cell = np.rint((np.log(self._z) - np.log(self._grid[0])) / STEP).astype(int)
        if limits:
            own = np.asarray(galaxies[f"mag_{band}"], float)
            use &= (own >= limits[0]) & (own < limits[1])
        self.rate = np.where(use, self._rates(mag), 0.0)

    def _rates(self, mag):
        """Return the relative number of supernovae of each galaxy: its luminosity times the sky's galaxies like it."""
        edges = np.concatenate([mag[:1], (mag[1:] + mag[:-1]) / 2, mag[-1:]])
        number = np.diff(counts(edges))
        modulus = np.interp(np.log(self._z), np.log(self._grid), Planck18.distmod(self._grid).to_value(units.mag))
        return number * 10 ** (-0.4 * (np.asarray(self.galaxies[f"mag_{RED}"], float) - modulus))

    def draw(self, mag, rng):
        """Draw the galaxy and the phase of a supernova of this magnitude.

        Parameters
        ----------
        mag : float
            AB, in ``band``.
        rng : numpy.random.Generator

        Returns
        -------
        row : int
            Of ``galaxies``.
        phase : float
            Days after maximum, in its rest frame.
        """
        excess = mag - self._normal  # (redshifts, phases)
        # The nearest to what is asked for is always possible.
        chance = np.exp(-0.5 * (excess**2 - (excess**2).min()) / SCATTER**2)
        draws = rng.uniform(size=3)
        row = _pick(self.rate * chance.sum(axis=1)[self._cell], draws[0])
        k = _pick(chance[self._cell[row]], draws[1])
        return row, float(PHASES[k] + (draws[2] - 0.5) * (PHASES[1] - PHASES[0]))


def _pick(weights, draw):
    total = np.cumsum(weights)
    return min(int(np.searchsorted(total, draw * total[-1], "right")), len(weights) - 1)


def light_curves(supernovae, band):
    """Return redshifts, `STEP` apart in their logarithm, and the magnitudes of a normal SN Ia there by phase."""
    z, phase = (np.unique(supernovae[name]) for name in ("redshift", "phase"))
    table = np.asarray(supernovae[f"mag_{band}"], float).reshape(len(z), len(phase))
    at_phase = np.stack([np.interp(PHASES, phase, row) for row in table])
    grid = np.exp(np.arange(np.log(z[0]), np.log(z[-1]), STEP))
    return grid, np.stack([np.interp(np.log(grid), np.log(z), column) for column in at_phase.T], axis=1)
