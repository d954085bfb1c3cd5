"""The coma of a real comet, 9P/Tempel 1, as a stamp that can be injected.

The frame (NTT/EMMI, narrow band at 835 nm; the file test/prim/hbo.fits of ESO-MIDAS' test data) is sky-subtracted and
an average of jittered exposures. Its header says 3:20 UT on 4 July 2005, 2.5 hours before Deep Impact. What it lacks is
stated here:

* the pixel scale, 0.35 arcsec: ESO's page on EMMI's imaging performance, for the blue arm with which it was taken;
* distances: 1.506 au from the Sun (ESO: perihelion on 5 July 2005) and 0.89 au from the Earth [M];
* its PSF: 1.9 arcsec of seeing at zenith and an airmass of 1.83, both from the header, make 2.7 arcsec.

Seen from `DELTA` instead, all angles shrink in proportion, the seeing to 0.34 arcsec: so much the stamp is blurred
before the PSF of the image it is injected into. Fluxes are not used: a stamp is scaled to the magnitude asked for. Read
as erg / s / cm2 / Angstrom they make A f rho 450 cm within 10,000 km, where the most that was published is 310 (Milani
et al. 2007, in R): of that order, and no more can be said, for the header's conversion has another filter's wavelength.

The coma is no steady outflow: from `INNER` to `RADIUS` its brightness falls as rho^-0.61 (standard error of 8 sectors
0.02; 0.04 from the level of the sky), so that A f rho rises as rho^0.4, by half from 10,000 to 29,000 km; beyond 150
pixels it falls faster than 1 / rho. Published profiles of these days, in R, are near 1 / rho. No constant that was left
of the sky makes the one of the other: it would be larger than all light at 375 pixels.
"""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import median_filter

from ..data.reading import reading
from ..errors import StudyError
from . import POPULATIONS
from .comet import afrho_of, solar_colours
from .kinds import Kind

CENTRE = 401, 463
"""x, y of the nucleus on the frame, pixels, 0-based: where the header's coordinates are 0; the centroid of its light is
0.1 pixels from there."""
SHAPE = 1030, 888
FRAME_SCALE = 0.35
FRAME_DELTA = 0.89
SEEING = 2.7
"""Arcsec, on the frame."""
DELTA = 7.0
"""au: distance from the observer at which the stamp shows the comet, at opposition. It makes the coma as large as those
of the study's own comets; that 9P would hardly be active so far out is no matter to its shape."""
RADIUS = 127
"""Pixels of the frame: where the stamp ends. The level of the sky is known to 0.2e-18 of the frame's unit, as what is
left at its edges shows; the light at this radius is 1.4e-18."""
BIN = 3
INNER = 12
"""Pixels of the frame from the nucleus, within which the seeing rules the profile."""
OUTLIER = 6.0
SECTORS = 8
_AROUND, _LOCAL = 9, 31


@dataclass(frozen=True)
class RealComa:
    """A stamp of a real coma.

    Attributes
    ----------
    path : str
        FITS file.
    radius : float
        Where it ends, arcsec.
    delta, r_h : float
        Distances from observer and Sun that it is scaled to, au.
    slope, slope_error : float
        Exponent of surface brightness against distance from the nucleus (-1: steady outflow), and its standard error.
    seeing : float
        FWHM in arcsec by which it is blurred already.
    """

    path: str
    radius: float
    delta: float
    r_h: float
    slope: float
    slope_error: float
    seeing: float


@POPULATIONS.register("coma_9p")
class Coma9P(Kind):
    """The coma of a real comet, 9P/Tempel 1; left out where its frame is not to be had."""

    inputs = ("comet_9p",)
    ending = "fits"
    memory_mb = 500

    @classmethod
    def build(cls, folders):
        """Return the stamp."""
        (path,) = folders["comet_9p"].glob("*.fits")
        return build_coma(path)

    @classmethod
    def without_inputs(cls, reason):
        """Return a file without a stamp that says why: other transients are injected without it."""
        hdu = fits.PrimaryHDU()
        hdu.header["ABSENT"] = reason
        return hdu

    @classmethod
    def read(cls, path):
        """Return the `RealComa`, or None where the frame was not to be had."""
        return read_coma(path)

    def there(self, tables):
        """Return whether there is a stamp."""
        return tables.get(self.name) is not None

    def look(self, row, bands, reference, options, tables, rng):
        """Give it the stamp; it has the colours of the Sun."""
        coma = tables[self.name]
        row["source_type"], row["stamp"], row["coma_radius"] = "Stamp", coma.path, coma.radius
        row["r_h"], row["delta"] = coma.r_h, coma.delta
        return solar_colours(bands, reference)

    def finish(self, row, mag, band):
        """Say how much dust makes it this bright: the nucleus is not told from its coma."""
        row["afrho"] = afrho_of(row, mag, band)


def profile_slope(image, centre, inner, outer):
    """Measure how the surface brightness of a coma falls with distance from its nucleus.

    Parameters
    ----------
    image : (ny, nx) array
    centre : (x, y)
        Pixels.
    inner, outer : float
        Radii, pixels.

    Returns
    -------
    slope, error : float
        Mean of the slopes of log brightness (mean of 8 logarithmic rings) against log radius in `SECTORS` sectors, and
        its standard error from their scatter: a coma that is not round has a larger one. NaN if a sector has a ring
        without positive light.
    """
    yy, xx = np.indices(image.shape)
    dx, dy = xx - centre[0], yy - centre[1]
    radius = np.hypot(dx, dy)
    ring = np.digitize(radius, np.geomspace(inner, outer, 9)) - 1
    sector = np.minimum((np.arctan2(dy, dx) + np.pi) / (2 * np.pi) * SECTORS, SECTORS - 1).astype(int)
    use = (ring >= 0) & (ring < 8)
    cell = (sector * 8 + ring)[use]
    number = np.maximum(np.bincount(cell, minlength=8 * SECTORS), 1)
    light, distance = (np.bincount(cell, v[use], 8 * SECTORS) / number for v in (image, radius))
    if not (light > 0).all():
        return np.nan, np.nan
    slopes = [
        np.polyfit(np.log(r), np.log(s), 1)[0] for r, s in zip(distance.reshape(SECTORS, 8), light.reshape(SECTORS, 8))
    ]
    return float(np.mean(slopes)), float(np.std(slopes, ddof=1) / np.sqrt(SECTORS))


def build_coma(path):
    """Cut the coma out of the frame and bin it.

    Parameters
    ----------
    path : path-like
        The frame.

    Returns
    -------
    astropy.io.fits.PrimaryHDU
        (85, 85) pixels of `BIN` of the frame's, centred on the nucleus, 0 outside of `RADIUS`, unit sum, with a WCS of
        its pixel scale at `DELTA` and cards that `read_coma` reads. Pixels that differ by more than `OUTLIER` sigma
        from the median around them (stars, cosmic rays; ``NFILLED`` of them) are replaced by it, but for the core.

    Raises
    ------
    StudyError
        If it is not the frame that is known.
    """
    with reading(path, "the frame of a comet", "fetch it again"), fits.open(path) as hdus:
        frame = np.array(hdus[0].data, float)
    if frame.shape != SHAPE:
        raise StudyError(f"the frame has shape {frame.shape}, not {SHAPE}", str(path), "fetch it again")
    (x, y), half = CENTRE, RADIUS
    part = frame[y - half : y + half + 1, x - half : x + half + 1]
    radius = np.hypot(*(np.indices(part.shape) - half))
    around = median_filter(part, _AROUND)
    noise = 1.4826 * np.sqrt(median_filter((part - around) ** 2, _LOCAL))
    odd = (np.abs(part - around) > OUTLIER * noise) & (radius > INNER)
    part = np.where(odd, around, part)
    if not np.isfinite(part).all() or not part[radius < INNER].min() > 0:
        raise StudyError("there is no comet at the place where it is known to be", str(path), "fetch it again")
    slope, error = profile_slope(part, (half, half), INNER, RADIUS)
    part = np.where(radius <= RADIUS, part, 0)
    side = len(part) // BIN
    stamp = part.reshape(side, BIN, side, BIN).sum(axis=(1, 3))
    scale = FRAME_DELTA / DELTA
    hdu = fits.PrimaryHDU(stamp / stamp.sum())
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crpix = (side + 1) / 2, (side + 1) / 2
    pixel = FRAME_SCALE * BIN * scale / 3600
    wcs.wcs.cdelt = -pixel, pixel
    hdu.header.update(wcs.to_header())
    for key, value, text in (
        ("OBJECT", "9P/Tempel 1", "NTT/EMMI, 835 nm, 2005-07-03"),
        ("COMARAD", RADIUS * FRAME_SCALE * scale, "[arcsec] where the stamp ends"),
        ("DELTA", DELTA, "[au] distance from the observer"),
        ("RH", DELTA + 1.0, "[au] distance from the Sun"),
        ("SLOPE", round(slope, 4), "d log brightness / d log radius; -1: outflow"),
        ("SLOPEERR", round(error, 4), "its standard error, of 8 sectors"),
        ("SEEING", round(SEEING * scale, 4), "[arcsec] FWHM that is in the stamp"),
        ("NFILLED", int(odd.sum()), "pixels of the frame that were replaced"),
    ):
        hdu.header[key] = (value, text)
    return hdu


def read_coma(path):
    """Return the `RealComa` of a file, or None if it holds none: the frame was not to be had (``ABSENT`` says why)."""
    with reading(path, "the coma of a comet"), fits.open(path) as hdus:
        header = hdus[0].header
    if "ABSENT" in header:
        print(f"no coma of a real comet: {header['ABSENT']}")
        return None
    return RealComa(
        str(path),
        header["COMARAD"],
        header["DELTA"],
        header["RH"],
        header["SLOPE"],
        header["SLOPEERR"],
        header["SEEING"],
    )
