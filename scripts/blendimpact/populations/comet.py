"""Comets: nucleus, coma and, half of them, a tail; how much dust makes a coma how bright."""

import numpy as np

from ..data.coma import coma_share
from ..sky.comets import TAIL_WIDTH
from . import POPULATIONS
from .kinds import Kind

AU_CM = 1.495978707e13
SUN = {"u": -25.30, "g": -26.52, "r": -26.93, "i": -27.05, "z": -27.07, "y": -27.07}
"""Apparent AB magnitude of the Sun at 1 au in bands like LSST's: Willmer 2018 (ApJS 236, 47), as Rubin's rubin_sim has
them (maf/stackers/mo_stackers.py); not checked in the paper."""
AFRHO, DISTANCE = (10.0, 3000.0), (3.0, 20.0)
"""cm within `AFRHO_RADIUS`, and au from the Sun (seen at opposition); both log-uniform. [M]: active comets have tens to
thousands of cm; 9P, a weak one, had 310 at most (Milani et al. 2007). What a visit sees of them the S/N decides."""
AFRHO_RADIUS = 3.0
"""Arcsec: of the circle whose light, of the coma alone, has the drawn A f rho, and the S/N that a comet is drawn by."""
NUCLEUS, SIZES, ALBEDO = (1.0, 10.0), 1.92, 0.04
"""Radii in km, of which those above r are as r^-1.92 (Snodgrass et al. 2011, of Jupiter's family); their albedo [M]."""
SLOPES, ASYMMETRY = (-1.5, -0.8), 0.5
"""Of comae: -1 is a steady outflow, -1.5 what radiation pressure makes of it, shallower ones are fading or fed by icy
grains [M]; most by which one side is brighter. Uniform."""
COMA, VANISHED = (2.0, 8.0), 0.3
"""A coma fades at the radius (arcsec, within this range) where it is this part of the noise of a square arcsec: so it
runs into the noise, and does not end before."""
TAILED, TAIL = 0.5, (0.05, 0.3)
"""Share that has a tail, and part of the light in it, uniform: stated."""
BESIDE = 2.0
"""FWHM: farthest from a static source of those that are put beside one: comets, and asteroids as they are."""
_TRIES = 1024


@POPULATIONS.register("comet")
class Comet(Kind):
    """Nucleus, coma and, half of them, a tail: dust and distance are drawn, brightness follows."""

    def look(self, row, bands, reference, options, tables, rng):
        """Give a comet its dust, distance and shape; it has the colours of the Sun."""
        row["source_type"], slope = "Comet", float(rng.uniform(*SLOPES))
        r_h, dust = np.exp(rng.uniform(*np.log(DISTANCE), _TRIES)), np.exp(rng.uniform(*np.log(AFRHO), _TRIES))
        inner = coma_mag(dust, AFRHO_RADIUS, r_h - 1, r_h, SUN[reference])
        # What has not the S/N that is asked for is not drawn; if nothing has, the one that is nearest to it.
        noise = options["patch"] - 1.25 * np.log10(np.pi * AFRHO_RADIUS**2)
        low, high = options["snr"] or (1e-9, 1e9)
        beyond = np.maximum(
            np.maximum(inner - (noise - 2.5 * np.log10(low)), (noise - 2.5 * np.log10(high)) - inner), 0
        )
        k = int(np.argmin(beyond))
        row["r_h"], row["delta"], row["afrho"] = float(r_h[k]), float(r_h[k] - 1), float(dust[k])
        # Brightness at rho of rho^slope that has the light of F(AFRHO_RADIUS) within: the light is as rho^(2 + slope).
        rise = 10 ** (0.4 * (options["patch"] - inner[k])) * (2 + slope) / (2 * np.pi * AFRHO_RADIUS ** (2 + slope))
        row["coma_radius"] = float(np.clip((VANISHED / rise) ** (1 / slope), *COMA))
        row["coma_slope"], row["coma_asymmetry"] = slope, float(rng.uniform(0, ASYMMETRY))
        row["coma_angle"] = float(rng.uniform(0, 360))
        part = rng.uniform()
        size = (NUCLEUS[0] ** -SIZES + part * (NUCLEUS[1] ** -SIZES - NUCLEUS[0] ** -SIZES)) ** (-1 / SIZES)
        coma = 1 / coma_share(AFRHO_RADIUS, row["coma_radius"], slope)
        nucleus = 10 ** (0.4 * (inner[k] - nucleus_mag(size, row["delta"], row["r_h"], SUN[reference])))
        tail, length = rng.uniform(*TAIL), rng.uniform(1, 2)
        tailed = rng.uniform() < TAILED
        row["tail_fraction"] = float(tail) if tailed else 0.0
        total = (coma + nucleus) / (1 - row["tail_fraction"])
        row["nucleus_fraction"], row["comet_mag"] = float(nucleus / total), float(inner[k] - 2.5 * np.log10(total))
        row["tail_length"] = row["coma_radius"] * float(length) if tailed else 0.0
        row["tail_angle"], row["tail_width"] = float(rng.uniform(0, 360)), TAIL_WIDTH
        return solar_colours(bands, reference)

    def magnitude(self, row, options, rng):
        """Return what its dust, nucleus and distance make."""
        return row.pop("comet_mag")


@POPULATIONS.register("comet_beside")
class CometBeside(Comet):
    """A comet that lies over a static source or within `BESIDE` of it."""

    def place(self, sky, row, placed, separation, rng):
        """Return a place beside a source that can be seen."""
        return next(iter(sky.free(sky.beside(row, rng, BESIDE), placed, separation)), None)


def solar_colours(bands, reference):
    """Return the magnitudes of sunlight by band, relative to a band."""
    return {band: SUN[band] - SUN[reference] for band in bands}


def afrho_of(row, mag, band):
    """Return A f rho (cm) of a drawn comet whose coma has a magnitude in a band."""
    return float(afrho(mag, row["coma_radius"], row["delta"], row["r_h"], SUN[band]))


def afrho(mag_coma, coma_radius, delta, r_h, mag_sun):
    """Return A f rho of a coma in cm.

    A f rho = (2 delta r_h)^2 / rho x F(rho) / F_sun (A'Hearn et al. 1984), r_h in au and delta and rho in cm; of
    a steady outflow F(rho) / rho is the same for all rho.

    Parameters
    ----------
    mag_coma : float or array
        AB magnitude of the coma within a circle, without nucleus and tail.
    coma_radius : float or array
        Of the circle, arcsec.
    delta, r_h : float or array
        Distances from the observer and from the Sun, au.
    mag_sun : float
        Apparent AB magnitude of the Sun at 1 au in the same band.
    """
    distance = np.asarray(delta) * AU_CM
    rho = distance * np.radians(np.asarray(coma_radius) / 3600)
    return (2 * distance * np.asarray(r_h)) ** 2 / rho * 10 ** (0.4 * (mag_sun - np.asarray(mag_coma)))


def coma_mag(afrho, coma_radius, delta, r_h, mag_sun):
    """Return the AB magnitude of the coma within a circle that has some A f rho: `afrho`, solved for ``mag_coma``."""
    distance = np.asarray(delta) * AU_CM
    rho = distance * np.radians(np.asarray(coma_radius) / 3600)
    return mag_sun - 2.5 * np.log10(np.asarray(afrho) * rho / (2 * distance * np.asarray(r_h)) ** 2)


def nucleus_mag(radius, delta, r_h, mag_sun):
    """Return the AB magnitude of a nucleus of ``radius`` km and `ALBEDO`, seen at opposition."""
    return mag_sun - 2.5 * np.log10(ALBEDO * (radius * 1e5 / (np.asarray(delta) * AU_CM * np.asarray(r_h))) ** 2)
