"""Draw transients: supernovae on their hosts, hostless ones, asteroids as trails, comets."""

import galsim
import numpy as np
from astropy.table import Table
from scipy.special import gammaincinv

from ..data.catalogues import describe
from ..data.images import real_light
from ..data.psf import psf_fwhm
from ..data.transient_geometry import distance_from_line
from ..errors import StudyError
from ..sky.profiles import draw_source
from ..stats.streams import stream
from .catalogue import COLUMNS, SOURCE_TYPES
from .comets import SUN, TAIL_WIDTH, afrho
from .extras import EXTRAS, blank

KINDS = ("supernova", "nuclear", "hostless", "trail", "comet", "coma_9p", "beside")
SUPERNOVAE = KINDS[:3]
TRAILS = ("trail", "beside")
"""Anywhere, and with a line that passes a static source that can be seen within the FWHM of the PSF."""
NUCLEAR = 0.1
"""Arcsec from the centre within which a nuclear transient lies, uniform in area."""
PHASES = (-10.0, 30.0)
"""Days from maximum, rest frame, uniform."""
RATES, FAST = (0.1, 0.6), (0.6, 10.0)
"""Deg per day: of the main belt, uniform, and of near-Earth objects, uniform in the logarithm: stated, not a survey."""
COMA, DISTANCE, TAILED = (2.0, 6.0), (1.5, 5.0), 0.5
"""Comets: radii of comae (arcsec, log-uniform), distances from the Sun (au, log-uniform; seen at opposition), share
that has a tail. Nucleus fractions are uniform: a range to measure along, not a population."""
EXTENDED, HOST_SNR = 1.2, 20.0
"""A source of a real image can be a host if its half-light radius is so many times that of the PSF, at this S/N at
least: stars are none, and the sizes of fainter sources are noise."""
_TRIES, _LONE = 400, 64


def generate_transients(settings, patch, truth, seed, case, block, realisation, supernovae=None, coma=None):
    """Draw the transients of one patch.

    Parameters
    ----------
    settings : dict
        ``inject``: ``per_patch``, ``kinds`` (shares of `KINDS`), ``snr`` (range, uniform in the logarithm, of the
        matched filter on the sky's noise in ``shape_band``, of a trail and a comet as a whole) or ``mag``,
        ``separation`` (arcsec), ``exposure`` (s, for trails); ``bands``, ``shape_band``, ``truth_snr``.
    patch, truth : Patch, Table
        Before the injection. Galaxies of the truth are the hosts; on a real image the extended sources of the context
        (`EXTENDED`), whose redshift is not known: it is drawn.
    seed, case, block, realisation : int, str, int, int
        Name the streams.
    supernovae : Table, optional
        From `supernovae.build_supernovae`. Needed for supernovae, of every place.
    coma : RealComa, optional
        From `real_comet.read_coma`, for the kind "coma_9p"; without it those transients are left out.

    Returns
    -------
    Table
        As `generate`'s, with the columns of `extras.EXTRAS`. It has fewer than ``per_patch`` rows if no place is left
        ``separation`` away from the others; what is left out depends on nothing that is measured later.
        A hosted transient without a possible host is hostless; a trail beside a source is left out where there is none.
    """
    options, bands = settings["inject"], list(settings["bands"])
    reference = settings.get("shape_band", bands[0])
    image = patch.bands[reference]
    shares = np.array([float((options.get("kinds") or {}).get(kind, 0.0)) for kind in KINDS])
    if not shares.sum() > 0:
        raise StudyError("no kind of transient has a share", "inject.kinds", f"give shares of {', '.join(KINDS)}")
    key = (case, "transients", int(block), int(realisation))
    sky = _Static(patch, truth, reference, settings)
    placed, rows = np.empty((0, 2)), []
    separation = options["separation"] / image.pixel_scale
    draws = stream(seed, *key, "kinds").uniform(size=int(options["per_patch"]))
    for number, draw in enumerate(draws):
        kind = KINDS[min(int(np.searchsorted(np.cumsum(shares) / shares.sum(), draw, "right")), len(KINDS) - 1)]
        rng = stream(seed, *key, number)
        row = {**{name: blank(name) for name in EXTRAS}, "injection_id": number, "trail_length": np.nan,
               "beta": 0.0, "redshift": np.nan, "stamp": "", "transient": kind}
        colours = _look(row, options, supernovae, coma, bands, reference, rng) if kind == "beside" else None
        place = sky.place(row, placed, separation, rng)
        if place is None or (kind == "coma_9p" and coma is None):
            continue
        placed = np.vstack([placed, place])
        row["x"], row["y"] = (float(v) for v in place)
        colours = colours or _look(row, options, supernovae, coma, bands, reference, rng)
        sky.describe(row)
        _brighten(row, options, image, colours, rng, sky.sigma)
        rows.append(row)
    return _table(rows, image, bands)


def _look(row, options, supernovae, coma, bands, reference, rng):
    """Give a transient its source_type and shape; return its magnitudes by band relative to ``reference``."""
    kind = row["transient"]
    if kind in SUPERNOVAE:
        if supernovae is None:
            raise StudyError("no table of supernovae", "inject.kinds", "leave supernovae out, or build the table")
        from .supernovae import magnitudes_at

        row["source_type"], row["phase"] = "Star", float(rng.uniform(*PHASES))
        if np.isnan(row["redshift"]):
            row["redshift"] = float(rng.uniform(0.05, 1.0))
        natural = magnitudes_at(supernovae, row["redshift"], row["phase"], bands)
        row["excess_mag"] = -natural[reference]  # the drawn magnitude is added when it is known
        return {band: natural[band] - natural[reference] for band in bands}
    if kind in TRAILS:
        row["source_type"], row["beta"] = "Trail", float(rng.uniform(0, 360))
        fast = rng.uniform() < options.get("fast_share", 0.2)
        row["rate"] = float(np.exp(rng.uniform(*np.log(FAST)))) if fast else float(rng.uniform(*RATES))
        row["trail_length"] = row["rate"] * 3600 * options.get("exposure", 30.0) / 86400
    elif kind == "coma_9p":
        row["source_type"], row["stamp"], row["coma_radius"] = "Stamp", coma.path, coma.radius
        row["r_h"], row["delta"] = coma.r_h, coma.delta
    else:
        row["source_type"] = "Comet"
        row["coma_radius"] = float(np.exp(rng.uniform(*np.log(COMA))))
        row["r_h"] = float(np.exp(rng.uniform(*np.log(DISTANCE))))
        row["delta"] = row["r_h"] - 1.0
        tailed = rng.uniform() < TAILED
        row["tail_fraction"] = float(rng.uniform(0, 0.3)) if tailed else 0.0
        row["nucleus_fraction"] = float(rng.uniform(0, 1)) * (1 - row["tail_fraction"])
        row["tail_length"] = row["coma_radius"] * float(rng.uniform(1, 2)) if tailed else 0.0
        row["tail_angle"], row["tail_width"] = float(rng.uniform(0, 360)), TAIL_WIDTH
    return {band: SUN[band] - SUN[reference] for band in bands}


def _brighten(row, options, image, colours, rng, sigma):
    """Give a transient its magnitudes, by S/N or by magnitude in the reference band."""
    band = image.band
    if "snr" in options:
        wanted = np.exp(rng.uniform(*np.log(options["snr"])))
        kind = SOURCE_TYPES[row["source_type"]][0]
        unit = draw_source({**row, "kind": kind, "trail_angle": row["beta"], f"flux_{band}": 1.0}, image)
        mag = image.zero_point - 2.5 * np.log10(wanted * sigma / np.sqrt((unit.array**2).sum()))
    else:
        mag = rng.uniform(*options["mag"])
    row.update({f"mag_{name}": float(mag + colour) for name, colour in colours.items()})
    if row["transient"] in SUPERNOVAE:
        row["excess_mag"] = float(row["excess_mag"] + mag)
    if row["transient"] in ("comet", "coma_9p"):  # the nucleus in the real one is not told from its coma
        coma = 1 - row["nucleus_fraction"] - row["tail_fraction"] if row["transient"] == "comet" else 1.0
        row["afrho"] = float(afrho(mag - 2.5 * np.log10(coma), row["coma_radius"], row["delta"], row["r_h"],
                                   SUN[band])) if coma > 0 else 0.0


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
    # The light within r of a Sersic profile is the incomplete gamma function P(2n, b (r / hlr)^(1/n)).
    radius = hlr * (gammaincinv(2 * n, rng.uniform()) / gammaincinv(2 * n, 0.5)) ** n
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


class _Static:
    """The static sky of a patch: where hosts and neighbours are, and how bright each place is."""

    def __init__(self, patch, truth, band, settings):
        image = patch.bands[band]
        self.patch, self.truth, self.band, self.scale = patch, truth, band, image.pixel_scale
        self.zero_point, self.fwhm = image.zero_point, psf_fwhm(image) / image.pixel_scale
        real = "BASE" in image.planes
        self.light = real_light(image.planes["BASE"], image.planes["SEG"]) if real else image.planes["MODEL"]
        self.owner = image.planes["SEG"] if real else None
        self.sigma = float(np.sqrt(np.median(image.variance - np.maximum(self.light, 0) / image.gain)))
        self.x, self.y = (np.asarray(truth[name], float) for name in ("x", "y"))
        self.ids = np.asarray(truth["source_id"])
        self.galaxy = self._extended(image) if real else np.asarray(truth["kind"]) == "galaxy"
        self.seen = np.asarray(truth["snr"], float) >= settings["truth_snr"]
        self.flux = np.where(self.galaxy, np.nan_to_num(np.asarray(truth[f"flux_{band}"], float)), 0.0)

    def _extended(self, image):
        """Return which sources of a real image are larger than its PSF and bright enough to say so."""
        with np.errstate(invalid="ignore"):
            large = np.asarray(self.truth["hlr"], float) > EXTENDED * psf_half_light(image.psf, self.scale)
            return large & (np.asarray(self.truth["snr"], float) > HOST_SNR)

    def _on_host(self, k, nuclear, rng):
        """Return a place on a host, pixels, or None."""
        centre = np.array([self.x[k], self.y[k]])
        if nuclear:
            angle, radius = rng.uniform(0, 2 * np.pi), NUCLEAR * np.sqrt(rng.uniform())
            return centre + radius * np.array([np.cos(angle), np.sin(angle)]) / self.scale
        if self.owner is not None:
            return place_in_light(self.light, self.owner == self.ids[k], rng)
        host = {name: self.truth[name][k] for name in self.truth.colnames}
        return centre + host_offset(host, self.band, rng) / self.scale

    def place(self, row, placed, separation, rng):
        """Return the place (x, y) in pixels of a transient, or None; the host goes into the row."""
        if row["transient"] in ("supernova", "nuclear"):
            weight = np.where(self.patch.inside(self.x, self.y), self.flux, 0.0)
            for x, y in placed:
                weight[np.hypot(self.x - x, self.y - y) < separation] = 0.0
            for _ in range(_TRIES if weight.sum() > 0 else 0):
                k = int(np.searchsorted(np.cumsum(weight), rng.uniform() * weight.sum(), "right"))
                place = self._on_host(k, row["transient"] == "nuclear", rng)
                if place is not None and self._free(place, placed, separation):
                    away = float(np.hypot(*(place - (self.x[k], self.y[k])))) * self.scale
                    row["host_id"], row["host_distance"] = int(self.ids[k]), away
                    row["redshift"] = float(self.truth["redshift"][k])
                    return place
            row["transient"] = "hostless"
        drawn = self._beside(row, rng) if row["transient"] == "beside" else self._anywhere(rng)
        places = [p for p in drawn if self._free(p, placed, separation)]
        if not places:
            return None
        if row["transient"] != "hostless":
            return places[0]
        return min(places[:_LONE], key=lambda p: self.light[int(p[1] + 0.5), int(p[0] + 0.5)])

    def _anywhere(self, rng):
        (ny, nx), b = self.patch.shape, self.patch.border - 0.5
        return np.array([b, b]) + rng.uniform(size=(_TRIES, 2)) * np.array([nx - 1 - 2 * b, ny - 1 - 2 * b])

    def _beside(self, row, rng):
        """Return places from which a trail passes a static source that can be seen within a FWHM, anywhere along it."""
        near = np.flatnonzero(self.seen & self.patch.inside(self.x, self.y))
        draws = rng.uniform(size=(_TRIES, 3))
        if not len(near):
            return np.empty((0, 2))
        k = near[(draws[:, 0] * len(near)).astype(int)]
        along, across = (draws[:, 1] - 0.5) * row["trail_length"] / self.scale, (2 * draws[:, 2] - 1) * self.fwhm
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
        if not self.seen.any():
            return
        length = row["trail_length"] / self.scale if row["source_type"] == "Trail" else 0.0
        distance = distance_from_line(self.x - x, self.y - y, length, np.radians(row["beta"]))
        distance = np.where(self.seen, distance, np.inf)
        row["static_id"] = int(self.ids[np.argmin(distance)])
        row["static_distance"] = float(distance.min() * self.scale)


def _table(rows, image, bands):
    names = ["injection_id", "x", "y", "source_type", "trail_length", "beta", "redshift", "stamp", *EXTRAS,
             *(f"mag_{band}" for band in bands)]
    texts, whole = ("source_type", "stamp", "transient"), ("injection_id", "host_id", "static_id")
    types = {name: "U9" if name in texts else np.int64 if name in whole else float for name in names}
    types["stamp"] = f"U{max([1, *(len(row['stamp']) for row in rows)])}"
    out = Table({name: np.array([row[name] for row in rows], types[name]) for name in names})
    out["ra"], out["dec"] = image.wcs.wcs_pix2world(out["x"], out["y"], 0) if rows else (out["x"], out["y"])
    return describe(out, {**COLUMNS, **EXTRAS, "x": ("pix", "position along axis 1"),
                          "y": ("pix", "position along axis 2"), "redshift": (None, "redshift"),
                          **{f"mag_{b}": ("mag", f"AB magnitude in {b}") for b in bands}})
