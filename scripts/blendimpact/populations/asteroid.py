"""Asteroids: main-belt and near-Earth objects on drawn orbits, seen for one exposure; anywhere or past a static source.

The geometry is exact: two-body orbits, the Earth on a circle, rates as seen from its centre. The distributions of
elements and of absolute magnitudes are stated here [M], round numbers and no survey's; which objects are in a catalogue
of a given depth follows from both.
"""

from dataclasses import dataclass

import numpy as np

from . import POPULATIONS
from .comet import BESIDE, SUN, solar_colours
from .kinds import Kind

GAUSS = 0.01720209895
"""au^1.5 / d: the motion of what orbits the Sun at 1 au."""
ELONGATION, FASTEST = 60.0, 10.0
"""Deg from the Sun at least; deg per day at most: where and how far one exposure follows them."""
SLOPE_G = 0.15
"""Of the phase function of H and G (Bowell et al. 1989)."""
_TRIES = 2048


@dataclass(frozen=True)
class Orbits:
    """Distributions that orbits and absolute magnitudes are drawn from.

    Attributes
    ----------
    q : (float, float)
        Perihelion distance, au, uniform.
    a : (float, float)
        Semi-major axis, au, uniform.
    inclination : float
        Deg: the scale of a Rayleigh distribution.
    slope : float
        The number brighter than H is proportional to 10^(slope H).
    """

    q: tuple
    a: tuple
    inclination: float
    slope: float


MAIN_BELT = Orbits((1.7, 3.2), (2.1, 3.3), 7.0, 0.30)
NEAR_EARTH = Orbits((0.3, 1.3), (0.8, 3.2), 14.0, 0.40)


def seen(orbits, rng, number=_TRIES):
    """Draw objects on orbits and how they are seen from the Earth.

    Parameters
    ----------
    orbits : Orbits
    rng : numpy.random.Generator
    number : int

    Returns
    -------
    rate : (number,) array
        Apparent motion, deg per day.
    fainter : (number,) array
        Apparent minus absolute magnitude.
    weight : (number,) array
        Relative number of such objects at one apparent magnitude: 0 where they are not looked for.
    """
    a, q = rng.uniform(*orbits.a, number), rng.uniform(*orbits.q, number)
    e = 1 - q / a
    incl = np.radians(np.minimum(rng.rayleigh(orbits.inclination, number), 90))
    node, argument, mean = rng.uniform(0, 2 * np.pi, (3, number))
    place, motion = _moved(a, np.maximum(e, 0), incl, node, argument, mean)
    earth, speed = np.array([1.0, 0.0, 0.0]), np.array([0.0, GAUSS, 0.0])
    away, moved = place - earth, motion - speed
    r, delta = np.linalg.norm(place, axis=1), np.linalg.norm(away, axis=1)
    sight = away / delta[:, None]
    across = moved - (moved * sight).sum(axis=1)[:, None] * sight
    rate = np.degrees(np.linalg.norm(across, axis=1) / delta)
    elongation = np.degrees(np.arccos(np.clip(-sight[:, 0], -1, 1)))
    half = np.tan(np.arccos(np.clip((place * away).sum(axis=1) / (r * delta), -1, 1)) / 2)
    bright = (1 - SLOPE_G) * np.exp(-3.33 * half**0.63) + SLOPE_G * np.exp(-1.87 * half**1.22)
    fainter = 5 * np.log10(r * delta) - 2.5 * np.log10(np.maximum(bright, 1e-9))
    use = (e >= 0) & (elongation > ELONGATION) & (rate > 0) & (rate < FASTEST)
    return rate, fainter, np.where(use, 10 ** (-orbits.slope * fainter), 0.0)


def _moved(a, e, incl, node, argument, mean):
    """Return places (au) and motions (au per day), (n, 3), of bodies on orbits; angles in radians."""
    anomaly = mean.copy()
    for _ in range(12):  # Newton, for eccentricities up to 0.9
        anomaly = anomaly - (anomaly - e * np.sin(anomaly) - mean) / (1 - e * np.cos(anomaly))
    cos, sin, minor = np.cos(anomaly), np.sin(anomaly), np.sqrt(1 - e**2)
    pace = GAUSS / np.sqrt(a) / (1 - e * cos)
    flat = np.stack([a * (cos - e), a * minor * sin]), np.stack([-pace * sin, pace * minor * cos])
    cn, sn, cw, sw, ci, si = (f(v) for v in (node, argument, incl) for f in (np.cos, np.sin))
    one = np.stack([cn * cw - sn * sw * ci, sn * cw + cn * sw * ci, sw * si], axis=1)
    two = np.stack([-cn * sw - sn * cw * ci, -sn * sw + cn * cw * ci, cw * si], axis=1)
    return tuple(p[0][:, None] * one + p[1][:, None] * two for p in flat)


@POPULATIONS.register("trail")
class Trail(Kind):
    """An asteroid of the main belt: at its rates a trail that is shorter than the PSF is wide."""

    columns = {"h_mag": ("mag", "asteroid: absolute magnitude in the band whose S/N or magnitude was drawn")}
    orbits = MAIN_BELT
    any_band = True

    def look(self, row, bands, reference, options, tables, rng):
        """Give an asteroid its orbit, and so its motion; it has the colours of the Sun."""
        row["source_type"], row["beta"] = "Trail", float(rng.uniform(0, 360))
        rate, fainter, weight = seen(self._orbits(rng), rng)
        k = min(int(np.searchsorted(np.cumsum(weight), rng.uniform() * weight.sum(), "right")), len(rate) - 1)
        row["rate"], row["h_mag"] = float(rate[k]), -float(fainter[k])  # the apparent magnitude is added when known
        row["trail_length"] = row["rate"] * 3600 * options["exposure"] / 86400
        return solar_colours(bands, reference) if reference in SUN else {reference: 0.0}

    def _orbits(self, rng):
        return self.orbits

    def magnitude(self, row, options, rng):
        """Draw it by the counts: the number brighter than m goes as 10^(slope m), whatever the orbit.

        Its S/N is what it would have standing still, so a faster one loses some of it.
        """
        if not options["snr"]:
            return None
        low, high = options["snr"]
        power = 2.5 * self.orbits.slope
        part = rng.uniform()
        wanted = (low**-power + part * (high**-power - low**-power)) ** (-1 / power)
        return options["point"] - 2.5 * np.log10(wanted)

    def finish(self, row, mag, band):
        """Say what absolute magnitude makes it this bright."""
        row["h_mag"] = float(row["h_mag"] + mag)


@POPULATIONS.register("near_earth")
class NearEarth(Trail):
    """A near-Earth asteroid: at its rates trails are longer than the PSF is wide."""

    orbits = NEAR_EARTH


@POPULATIONS.register("beside")
class Beside(Trail):
    """An asteroid, of either kind, whose line passes within `BESIDE` of a static source: for figures of that alone."""

    look_first = True

    def _orbits(self, rng):
        return MAIN_BELT if rng.uniform() < 0.5 else NEAR_EARTH

    def place(self, sky, row, placed, separation, rng):
        """Return a place from which the trail passes a source that can be seen."""
        return next(iter(sky.free(sky.beside(row, rng, BESIDE), placed, separation)), None)
