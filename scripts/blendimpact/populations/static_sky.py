"""The static sky of a patch: where hosts and neighbours are, and how bright each place is."""

import galsim
import numpy as np

from ..data.light import real_light
from ..data.psf import psf_fwhm
from ..data.stamps import cut, origins
from ..data.transient_geometry import distance_from_line
from ..sky.injection_flags import INJECTED_IDS
from ..sky.profiles import add_stamp, draw_source
from ..sky.sersic_tables import enclosing

EXTENDED, HOST_SNR = 1.2, 20.0
"""A source of a real image can be a host if its half-light radius is so many times that of the PSF, at this S/N at
least: stars are none, and the sizes of fainter sources are noise."""
PLANTED_IDS = 100_000
"""``injection_id`` of the first host that is added to a sky: above those of the targets."""
_TRIES = 400


class StaticSky:
    """Where hosts and neighbours are on a patch, and how bright each place is.

    Parameters
    ----------
    patch, truth : Patch, Table
        Before the injection. On a real image hosts are the extended sources of the context (`EXTENDED`).
    band : str
        Band of the light.
    settings : dict
        ``truth_snr``: S/N from which a static source can be seen; ``bands``.

    Attributes
    ----------
    looks : callable or None
        ``looks(number, angle)``: a galaxy of the sample of hosts as columns of an injection catalogue.
    planted : list of dict
        Those that were added to the sky, as columns of an injection catalogue.
    """

    def __init__(self, patch, truth, band, settings):
        self.image = image = patch.bands[band]
        self.looks, self.planted, self.least = None, [], settings.get("truth_snr", 5)
        self.patch, self.truth, self.band, self.scale = patch, truth, band, image.pixel_scale
        self.zero_point, self.fwhm = image.zero_point, psf_fwhm(image) / image.pixel_scale
        self.real = real = "BASE" in image.planes
        self.light = real_light(image.planes["BASE"], image.planes["SEG"]) if real else image.planes["MODEL"]
        self.owner = image.planes["SEG"] if real else None
        self.sigma = float(np.sqrt(np.median(image.variance - np.maximum(self.light, 0) / image.gain)))
        self.x, self.y = (np.asarray(truth[name], float) for name in ("x", "y"))
        self.ids = np.asarray(truth["source_id"])
        self.galaxy = self._extended(image) if real else np.asarray(truth["kind"]) == "galaxy"
        self.seen = np.asarray(truth["snr"], float) >= self.least
        self.total = np.nan_to_num(np.asarray(truth[f"flux_{band}"], float))
        self.flux = np.where(self.galaxy, self.total, 0.0)

    def _extended(self, image):
        """Return which sources of a real image are larger than its PSF and bright enough to say so."""
        with np.errstate(invalid="ignore"):
            large = np.asarray(self.truth["hlr"], float) > EXTENDED * psf_half_light(image.psf, self.scale)
            return large & (np.asarray(self.truth["snr"], float) > HOST_SNR)

    def on_host(self, row, placed, separation, rng, nuclear=None):
        """Return a place on a galaxy, drawn by its flux, or None if there is none; the host goes into the row.

        Parameters
        ----------
        nuclear : float, optional
            Uniform in area within so many arcsec from the centre; without it the place follows the galaxy's light.
        """
        weight = np.where(self.patch.inside(self.x, self.y), self.flux, 0.0)
        for x, y in placed:
            weight[np.hypot(self.x - x, self.y - y) < separation] = 0.0
        for _ in range(_TRIES if weight.sum() > 0 else 0):
            k = int(np.searchsorted(np.cumsum(weight), rng.uniform() * weight.sum(), "right"))
            place = self._on_host(k, nuclear, rng)
            if place is not None and self._free(place, placed, separation):
                away = float(np.hypot(*(place - (self.x[k], self.y[k])))) * self.scale
                row["host_id"], row["host_distance"] = int(self.ids[k]), away
                row["redshift"] = float(self.truth["redshift"][k])
                return place
        return None

    def with_host(self, row, number, placed, separation, rng, nuclear=None):
        """Return a free place for a supernova, and add its host to the sky; None if there is no place.

        Parameters
        ----------
        row : dict
            The supernova's: what its host is goes into it.
        number : int
            Of the galaxy in the sample of hosts.
        """
        place = next(iter(self.free(self.anywhere(rng), placed, separation)), None)
        if place is None:
            return None
        host = self.looks(number, np.pi * rng.uniform())
        offset = within(nuclear, rng) if nuclear is not None else host_offset(host, self.band, rng)
        host["x"], host["y"] = (float(v) for v in place - offset / self.scale)
        row["host_id"], row["host_distance"] = self.plant(host), float(np.hypot(*offset))
        return place

    def plant(self, host):
        """Add a galaxy to the static sky; return its source_id."""
        number = PLANTED_IDS + len(self.planted)
        blank = {"source_type": "Galaxy", "trail_length": np.nan, "beta": 0.0, "stamp": ""}
        self.planted.append({**blank, **host, "injection_id": number, "planted": 1})
        flux = 10 ** (0.4 * (self.zero_point - host[f"mag_{self.band}"]))
        stamp = draw_source({**host, "kind": "galaxy", f"flux_{self.band}": flux}, self.image)
        self.light = np.array(self.light, float)
        add_stamp(self.light, stamp)
        seen = np.sqrt((stamp.array**2).sum()) / self.sigma >= self.least
        for name, value in (("x", host["x"]), ("y", host["y"]), ("ids", INJECTED_IDS + number), ("seen", seen)):
            setattr(self, name, np.append(getattr(self, name), value))
        self.galaxy, self.flux, self.total = (
            np.append(self.galaxy, True),
            np.append(self.flux, 0.0),
            np.append(self.total, flux),
        )
        return INJECTED_IDS + number

    def free(self, places, placed, separation):
        """Yield those places that lie inside the border and ``separation`` pixels from all that are placed."""
        return (place for place in places if self._free(place, placed, separation))

    def _on_host(self, k, nuclear, rng):
        """Return a place on a host, pixels, or None."""
        centre = np.array([self.x[k], self.y[k]])
        if nuclear is not None:
            return centre + within(nuclear, rng) / self.scale
        if self.owner is not None:
            return place_in_light(self.light, self.owner == self.ids[k], rng)
        host = {name: self.truth[name][k] for name in self.truth.colnames}
        return centre + host_offset(host, self.band, rng) / self.scale

    def anywhere(self, rng):
        """Return places (x, y) in pixels, uniform inside the border."""
        (ny, nx), b = self.patch.shape, self.patch.border - 0.5
        return np.array([b, b]) + rng.uniform(size=(_TRIES, 2)) * np.array([nx - 1 - 2 * b, ny - 1 - 2 * b])

    def beside(self, row, rng, reach):
        """Return places that pass a static source that can be seen, of any brightness alike, nearby.

        Parameters
        ----------
        row : dict
            A trail passes it anywhere along its line; what has no ``trail_length`` is a point.
        rng : numpy.random.Generator
        reach : float
            FWHM: the distance is uniform up to it.

        Returns
        -------
        (N, 2) array
            x, y in pixels. The sources are drawn uniformly in magnitude, between the brightest and the faintest.
        """
        near = np.flatnonzero(self.seen & self.patch.inside(self.x, self.y) & (self.total > 0))
        draws = rng.uniform(size=(_TRIES, 3))
        if not len(near):
            return np.empty((0, 2))
        bright = np.log(self.total[near])
        wanted = bright.min() + draws[:, 0] * np.ptp(bright)
        k = near[np.abs(wanted[:, None] - bright).argmin(axis=1)]
        length = row["trail_length"] if row["trail_length"] > 0 else 0.0
        along, across = (draws[:, 1] - 0.5) * length / self.scale, (2 * draws[:, 2] - 1) * reach * self.fwhm
        cos, sin = np.cos(np.radians(row["beta"])), np.sin(np.radians(row["beta"]))
        return np.c_[self.x[k] + along * cos - across * sin, self.y[k] + along * sin + across * cos]

    def _free(self, place, placed, separation):
        apart = not len(placed) or np.hypot(*(placed - place).T).min() >= separation
        return apart and bool(self.patch.inside(*place))

    def describe(self, row):
        """Put the surface brightness of the place and the nearest static source into a row."""
        x, y = row["x"], row["y"]
        light = float(self.light[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))])
        if light > 0:
            row["host_sb"] = self.zero_point - 2.5 * np.log10(light / self.scale**2)
        psf = self.image.psf
        x0, y0 = origins([x], [y], psf.shape[0])
        below = float((cut(self.light, x0, y0, psf.shape[0])[0] * psf).sum() / (psf**2).sum())
        if below > 0:
            row["static_mag"] = self.zero_point - 2.5 * np.log10(below)
        if not self.seen.any():
            return
        length = row["trail_length"] / self.scale if row["source_type"] == "Trail" else 0.0
        distance = distance_from_line(self.x - x, self.y - y, length, np.radians(row["beta"]))
        distance = np.where(self.seen, distance, np.inf)
        row["static_id"] = int(self.ids[np.argmin(distance)])
        row["static_distance"] = float(distance.min() * self.scale)


def within(radius, rng):
    """Return a place (x, y) uniform in area in a circle."""
    angle, away = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform())
    return away * np.array([np.cos(angle), np.sin(angle)])


def host_offset(host, band, rng):
    """Draw a place that follows the light of a galaxy.

    Parameters
    ----------
    host : mapping
        A truth row: ``bulge_fraction_<band>``, and ``n_``, ``hlr_``, ``g1_``, ``g2_`` of bulge and disk.
    band : str
        Band of the light.
    rng : numpy.random.Generator

    Returns
    -------
    (2,) array
        Offset from the centre, arcsec along x and y: the profile before the PSF and before any shear of the scene.
    """
    part = "bulge" if rng.uniform() < host[f"bulge_fraction_{band}"] else "disk"
    n, hlr = float(host[f"n_{part}"]), float(host[f"hlr_{part}"])
    radius = hlr * enclosing(n, rng.uniform())
    angle = rng.uniform(0, 2 * np.pi)
    shape = galsim.Shear(g1=float(host[f"g1_{part}"]), g2=float(host[f"g2_{part}"])).getMatrix()
    return shape @ (radius * np.array([np.cos(angle), np.sin(angle)]))


def place_in_light(light, footprint, rng):
    """Draw a place that follows the light of a real source, as the image shows it: with its PSF.

    Parameters
    ----------
    light : (ny, nx) array
        Sky-subtracted; what is below 0 has no weight.
    footprint : (ny, nx) bool array
        Pixels of the source.
    rng : numpy.random.Generator

    Returns
    -------
    (2,) array or None
        x, y in pixels, uniform within the pixel that is drawn; None if there is no light.
    """
    y, x = np.nonzero(footprint)
    total = np.cumsum(np.maximum(light[y, x].astype(float), 0.0))
    draws = rng.uniform(size=3)  # always three, so that what follows depends on nothing that is found here
    if not len(total) or not total[-1] > 0:
        return None
    k = min(int(np.searchsorted(total, draws[0] * total[-1], "right")), len(total) - 1)
    return np.array([x[k], y[k]]) + draws[1:] - 0.5


def psf_half_light(psf, scale):
    """Return the half-light radius of a PSF on its pixels, arcsec."""
    half = psf.shape[0] // 2
    radius = np.hypot(*(np.indices(psf.shape) - half)).ravel()
    order = np.argsort(radius, kind="stable")
    growth = np.cumsum(psf.ravel()[order])
    return float(np.interp(0.5, growth / growth[-1], radius[order])) * scale
