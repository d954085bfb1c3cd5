"""Comets: a nucleus, a 1 / rho coma and, half of them, a tail; and what their brightness says of their dust."""

import numpy as np

from ..sky.comets import TAIL_WIDTH
from . import POPULATIONS
from .kinds import Kind

AU_CM = 1.495978707e13
SUN = {"u": -25.30, "g": -26.52, "r": -26.93, "i": -27.05, "z": -27.07, "y": -27.07}
"""Apparent AB magnitude of the Sun at 1 au in bands like LSST's: Willmer 2018 (ApJS 236, 47), as Rubin's rubin_sim has
them (maf/stackers/mo_stackers.py); not checked in the paper."""
COMA, DISTANCE, TAILED = (2.0, 6.0), (1.5, 5.0), 0.5
"""Radii of comae (arcsec, log-uniform), distances from the Sun (au, log-uniform; seen at opposition), share that has a
tail. Nucleus fractions are uniform: a range to measure along, not a population."""


@POPULATIONS.register("comet")
class Comet(Kind):
    """Nucleus, 1 / rho coma and, half of them, a tail."""

    def look(self, row, bands, reference, options, tables, rng):
        """Give a comet its shape; it has the colours of the Sun."""
        row["source_type"] = "Comet"
        row["coma_radius"] = float(np.exp(rng.uniform(*np.log(COMA))))
        row["r_h"] = float(np.exp(rng.uniform(*np.log(DISTANCE))))
        row["delta"] = row["r_h"] - 1.0
        tailed = rng.uniform() < TAILED
        row["tail_fraction"] = float(rng.uniform(0, 0.3)) if tailed else 0.0
        row["nucleus_fraction"] = float(rng.uniform(0, 1)) * (1 - row["tail_fraction"])
        row["tail_length"] = row["coma_radius"] * float(rng.uniform(1, 2)) if tailed else 0.0
        row["tail_angle"], row["tail_width"] = float(rng.uniform(0, 360)), TAIL_WIDTH
        return solar_colours(bands, reference)

    def finish(self, row, mag, band):
        """Say how much dust makes a coma of this brightness."""
        coma = 1 - row["nucleus_fraction"] - row["tail_fraction"]
        row["afrho"] = afrho_of(row, mag - 2.5 * np.log10(coma), band) if coma > 0 else 0.0


def solar_colours(bands, reference):
    """Return the magnitudes of sunlight by band, relative to a band."""
    return {band: SUN[band] - SUN[reference] for band in bands}


def afrho_of(row, mag, band):
    """Return A f rho (cm) of a drawn comet whose coma has a magnitude in a band."""
    return float(afrho(mag, row["coma_radius"], row["delta"], row["r_h"], SUN[band]))


def afrho(mag_coma, coma_radius, delta, r_h, mag_sun):
    """Return A f rho of a coma in cm.

    A f rho = (2 delta r_h)^2 / rho x F(rho) / F_sun (A'Hearn et al. 1984), r_h in au and delta and rho in cm; of
    this coma F(rho) / rho is the same for all rho up to its radius.

    Parameters
    ----------
    mag_coma : float or array
        AB magnitude of the whole coma, without nucleus and tail.
    coma_radius : float or array
        Arcsec.
    delta, r_h : float or array
        Distances from the observer and from the Sun, au.
    mag_sun : float
        Apparent AB magnitude of the Sun at 1 au in the same band.
    """
    distance = np.asarray(delta) * AU_CM
    rho = distance * np.radians(np.asarray(coma_radius) / 3600)
    return (2 * distance * np.asarray(r_h)) ** 2 / rho * 10 ** (0.4 * (mag_sun - np.asarray(mag_coma)))
