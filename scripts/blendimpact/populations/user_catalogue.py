"""The sources of a user's injection catalogue on each patch, and on the image as a whole."""

import numpy as np
from astropy.coordinates import SkyCoord

from ..data.frames import jacobian, pixel_to_sky, sky_to_pixel
from ..errors import StudyError
from ..sky.profiles import MAX_STAMP, reach_of
from ..sky.spectra import known_wcs, read_stamp
from .catalogue import read_catalogue
from .extras import COMET, STAMP
from .source_types import SOURCE_TYPES

PADDING = 100.0
"""Pixels around a patch in which a point source is tried; one brighter than `BRIGHT` in half of `MAX_STAMP`."""
BRIGHT = 16.0
COMPACT = 1.0
"""Arcsec: half-light radius of faint galaxies (5 mag below `BRIGHT`) that need no more than `PADDING`."""


def reaches(catalogue, band, scale, alignment="wcs"):
    """Return how far (pixels) around a patch each source is tried.

    Parameters
    ----------
    catalogue : Table
        From `read_catalogue`.
    band : str
    scale : float
        Arcsec per pixel.
    alignment : str
        Of stamps, as for `oriented`.
    """
    mag = np.asarray(catalogue[f"mag_{band}"], float)
    out = np.where(mag < BRIGHT, np.maximum(PADDING, 0.5 * MAX_STAMP), PADDING)
    kinds = np.array([SOURCE_TYPES[t][0] for t in catalogue["source_type"]])
    small = np.asarray(catalogue["half_light_radius"], float) < COMPACT
    wide = (kinds != "star") & ~((kinds == "sersic") & small & (mag > BRIGHT + 5))
    for k in np.flatnonzero(wide):
        if kinds[k] == "stamp":
            out[k] += _stamp_reach(str(catalogue["stamp"][k]), alignment, scale)
        else:
            out[k] += reach_of(_row(catalogue[k], kinds[k]), band, scale) / scale
    return out


def _stamp_reach(path, alignment, scale):
    """Return half the diagonal of a stamp in pixels of the image; 0 if it cannot be drawn."""
    try:
        own = _stamp_matrix(path, alignment)
    except StudyError:
        return 0.0
    size = 1.0 if own is None else np.linalg.norm(own, 2) / scale
    return 0.5 * float(np.hypot(*read_stamp(path)[0].shape)) * size


def _stamp_matrix(path, alignment):
    """Return d(east, north) / d(x, y) in the middle of a stamp (arcsec); None if its pixels are the image's."""
    data, wcs = read_stamp(path)
    if alignment == "pixel":
        return None
    return jacobian(known_wcs(wcs, path), (data.shape[1] - 1) / 2, (data.shape[0] - 1) / 2)


def _row(source, kind):
    """Return a row of a catalogue as `profiles.reach_of` takes it."""
    row = {name: source[name] for name in source.colnames} | {"kind": kind}
    if kind == "sersic":
        q = float(source["q"])
        row |= {"n_disk": source["n"], "hlr_disk": source["half_light_radius"], "g1_disk": (1 - q) / (1 + q)}
        row["g2_disk"] = 0.0
    elif kind == "trail":
        row["trail_angle"] = 0.0
    return row


def on_patch(catalogue, patch, padding=PADDING):
    """Return the rows of a catalogue whose light can reach a patch.

    Parameters
    ----------
    catalogue : Table
    patch : Patch
    padding : float or (N,) array
        Pixels around the patch, for each row: see `reaches`.
    """
    image = patch.reference
    ny, nx = patch.shape
    padding = np.broadcast_to(np.asarray(padding, float), len(catalogue))
    ra, dec = (np.radians(np.asarray(catalogue[name], float)) for name in ("ra", "dec"))
    ra0, dec0 = np.radians(pixel_to_sky(image.wcs, (nx - 1) / 2, (ny - 1) / 2))
    # first by distance on the sphere: a tangent plane also shows the other half of the sky
    square = np.sin((dec - dec0) / 2) ** 2 + np.cos(dec) * np.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    reach = np.radians((0.5 * np.hypot(nx, ny) + 1.5 * padding) * image.pixel_scale / 3600)
    close = 2 * np.arcsin(np.sqrt(np.minimum(square, 1))) < reach
    near, padding = catalogue[close], padding[close]
    if not len(near):
        return near
    x, y = sky_to_pixel(image.wcs, near["ra"], near["dec"])
    return near[(x > -padding) & (x < nx - 1 + padding) & (y > -padding) & (y < ny - 1 + padding)]


def check_on_image(catalogue, places, where, reach=0.0):
    """Return how many sources of a catalogue lie on an image.

    Parameters
    ----------
    catalogue : Table
        With ``ra``, ``dec`` (deg).
    places : iterable of (WCS, (ny, nx))
        The image, or the patches that it was cut into.
    where : str
        The file, for messages.
    reach : float or (N,) array
        Pixels from which light comes onto the image (`reaches`, without their `PADDING`).

    Raises
    ------
    StudyError
        If no light of any does.
    """
    sky = SkyCoord(np.asarray(catalogue["ra"], float), np.asarray(catalogue["dec"], float), unit="deg")
    found, seen, nearest = np.zeros(len(sky), bool), np.zeros(len(sky), bool), np.full(len(sky), np.inf)
    reach = np.broadcast_to(np.asarray(reach, float), len(sky))
    for wcs, (ny, nx) in places:
        centre = SkyCoord(*pixel_to_sky(wcs, (nx - 1) / 2, (ny - 1) / 2), unit="deg")
        distance = sky.separation(centre).deg
        nearest = np.minimum(nearest, distance)
        close = np.flatnonzero(distance < 45)  # a tangent plane also shows the other half of the sky
        if len(close):
            x, y = sky_to_pixel(wcs, sky.ra.deg[close], sky.dec.deg[close])
            outside = np.max([-0.5 - x, x - nx + 0.5, -0.5 - y, y - ny + 0.5], axis=0)
            found[close] |= outside < 0
            seen[close] |= outside < reach[close]
    if not (found | seen).any():
        raise StudyError(
            f"none of the {len(sky)} sources of the catalogue lies on the image: the nearest is {nearest.min():.3g} "
            f"deg from the middle of it, which is at ra {centre.ra.deg:.4f}, dec {centre.dec.deg:.4f}",
            where,
            "give ICRS positions in degrees on this image",
        )
    return int(found.sum())


class UserCatalogue:
    """The sources of an injection catalogue, drawn as a population is.

    Parameters
    ----------
    path : path-like
    settings : dict
        ``bands``, ``pixel_scale`` and ``inject``: ``beta``, ``trail_mag``, ``fits_alignment``.
    """

    columns = COMET | STAMP

    def __init__(self, path, settings):
        inject = settings["inject"]
        self.path, self.bands, self.sources, self._reach = str(path), settings["bands"], None, None
        self.options = {key: inject[key] for key in ("beta", "trail_mag") if key in inject}
        self.alignment = inject.get("fits_alignment", "wcs")

    def read(self, scale):
        """Return the catalogue, for images of ``scale`` arcsec per pixel; it is read once."""
        if self.sources is None:
            self.sources = read_catalogue(self.path, self.bands, scale, **self.options)
        return self.sources

    def number_on(self, places, scale):
        """Return how many sources lie on an image (`check_on_image`), and how many there are."""
        sources = self.read(scale)
        return check_on_image(sources, places, self.path, self.reach(scale) - PADDING), len(sources)

    def reach(self, scale):
        """Return how far each source is tried, in any band (`reaches`); it takes a while, and is done once."""
        if self._reach is None:
            parts = [reaches(self.read(scale), band, scale, self.alignment) for band in self.bands]
            self._reach = np.max(parts, axis=0)
        return self._reach

    def draw(self, settings, patch, *_):
        """Return the sources on a patch."""
        sources = oriented(self.read(patch.pixel_scale), patch.reference, self.alignment)
        return on_patch(sources, patch, self.reach(patch.pixel_scale))


def oriented(catalogue, image, alignment):
    """Return a catalogue with the matrices of its stamps on an image (`extras.STAMP`).

    Parameters
    ----------
    catalogue : Table
    image : BandImage
    alignment : {"wcs", "pixel"}
        LSST's ``fits_alignment``. wcs: north, east and distances of the stamp are those of the sky, by its own WCS.
        pixel: its pixels are those of the image.
    """
    stamps = np.asarray(catalogue["source_type"]) == "Stamp"
    if not stamps.any():
        return catalogue
    scale, out = image.pixel_scale, catalogue.copy()
    ny, nx = image.science.shape
    to_pixels = scale * np.linalg.inv(jacobian(image.wcs, (nx - 1) / 2, (ny - 1) / 2))
    matrices = np.full((len(out), 2, 2), np.nan)
    for k in np.flatnonzero(stamps):
        try:
            own = _stamp_matrix(str(out["stamp"][k]), alignment)
        except StudyError:  # the source gets a flag when it is drawn
            continue
        matrices[k] = scale * np.eye(2) if own is None else to_pixels @ own
    for name, values in zip(STAMP, matrices.reshape(-1, 4).T):
        out[name] = values
    return out
