"""Draw one source: noiseless light, photon noise, and where it lies.

A source is drawn in Fourier space: flux x profile(k) x PSF(k) x phase(position), one inverse FFT.
The transforms of profiles and PSFs are tabulated once; what is left per source are a
few array operations, 3 to 6 times faster than GalSim's ``drawImage`` (with which the tests compare
the result). The stamp is as large as the FFT, so it is one period of the image: its sum
is the source's flux exactly, and the light that a larger stamp would hold further out (below
`SURFACE_BRIGHTNESS`, see `stamp_size`) is folded back into it.

Conventions: pixel (0, 0) has its centre at x = y = 0; x runs along axis 1. Shapes are reduced
shears g1, g2 with |g| = (1 - q) / (1 + q), q the axis ratio, in the frame of the image's axes.
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from scipy.fft import next_fast_len

from ..errors import StudyError
from .spectra import Psf, grid, light_of, source_name

SURFACE_BRIGHTNESS = 31.5
"""AB mag/arcsec2 to which a stamp holds a source: 2 % of the sky's rms per pixel in a ten-year i coadd."""
MAX_STAMP = 384
"""Pixels; bounds the cost of the wings of the brightest galaxies, but for those that have light outside of it."""
LARGEST = 4096
"""Pixels of the largest FFT, of which there may be several per pixel of the image."""
FOLDED = 0.05
"""Part of the light of a source that may be outside of the largest stamp, and is folded back into it."""
_SCALE_DIGITS = 6  # arcsec; a WCS read from FITS gives the pixel scale to 1e-13 only


@dataclass
class Stamp:
    """Part of an image: ``array[0, 0]`` is the image's pixel (y0, x0)."""

    array: np.ndarray
    x0: int
    y0: int


def draw_source(row, image, shear=0.0, size=None):
    """Draw the noiseless light of one source in one band.

    The result depends on the arguments alone, to the last bit: not on other sources, on the order
    of calls, or on whether the image has been written and read in between.

    Parameters
    ----------
    row : mapping
        ``kind``, ``x``, ``y`` (pixels) and ``flux_<band>`` (image unit, total), and by kind:

        galaxy: ``bulge_fraction_<band>``, ``n_bulge``, ``hlr_bulge``, ``g1_bulge``, ``g2_bulge``
        and the same of the disk, of whose light the part ``knots`` may be in clumps at places that
        ``knots_seed`` names; sersic: the columns of the disk alone; hlr is in arcsec, along
        the circularised axis, before shear;

        trail: ``trail_length`` (arcsec), ``trail_angle`` (deg, from the x axis counter-clockwise);

        stamp: ``stamp``, the path of a FITS image. It is resampled from the pixel scale of its
        WCS, scaled to the row's flux, centred on its central pixel, and convolved with the PSF
        as LSST's source_injection does: what PSF it already contains stays in it.
    image : BandImage
        Of which ``band``, ``pixel_scale``, ``psf_model``, ``psf`` and ``zero_point`` are used.
    shear : float
        Reduced shear g1 of the scene: applied to the shapes of galaxies, Sersic profiles and
        stamps; positions in the row have it already.
    size : int, optional
        Side of the stamp that is wanted: the natural stamp is re-framed about the pixel nearest
        to the source, with zeros where it does not reach.

    Returns
    -------
    Stamp
        float64; it may reach outside the image.

    Raises
    ------
    StudyError
        If the kind is unknown, a number is missing, or a profile cannot be drawn.
    """
    band, scale = image.band, round(float(image.pixel_scale), _SCALE_DIGITS)
    flux, x, y = float(row[f"flux_{band}"]), float(row["x"]), float(row["y"])
    if not np.isfinite([flux, x, y]).all():
        raise StudyError(f"flux {flux} in {band} at ({x}, {y})", source_name(row), "give finite numbers")
    psf = Psf.of(image, scale)
    light = light_of(row, band, 0.0)
    n = _size(light, flux, psf, _limit(image.zero_point))  # of the unsheared source: the same in both twins
    if shear:
        light = light_of(row, band, float(shear))
    x_pixel, y_pixel = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    x0, y0 = x_pixel - n // 2, y_pixel - n // 2
    over = psf.over
    waves, spectrum = grid(n * over, scale / over), psf.transform(n)
    profile = light.transform(waves)
    if profile is not None:
        spectrum = spectrum * profile
    phase_x = np.exp(-1j * scale * (x - x0) * waves.kx) * (flux * over * over)
    phase_y = np.exp(-1j * scale * (y - y0) * waves.ky)
    array = np.fft.irfft2(spectrum * phase_x * phase_y, (n * over, n * over))
    stamp = Stamp(array[::over, ::over] if over > 1 else array, x0, y0)
    if size is None:
        return stamp
    x0, y0 = x_pixel - size // 2, y_pixel - size // 2
    return Stamp(cut(stamp, x0, y0, size), x0, y0)


def stamp_size(row, image):
    """Return the side in pixels of the natural stamp of a source.

    It reaches to where each component of the source and the wing of its PSF have fallen below
    `SURFACE_BRIGHTNESS`, or to `MAX_STAMP`. It holds the fraction `sersic_tables.ENCLOSED` of the source's light and
    GalSim's good size for the PSF (outside of which is 0.5 % of a point source), or as much as fits into `LARGEST`.

    Raises
    ------
    StudyError
        If more than `FOLDED` of the light would be outside.
    """
    psf = Psf.of(image, round(float(image.pixel_scale), _SCALE_DIGITS))
    light = light_of(row, image.band, 0.0)
    return _size(light, float(row[f"flux_{image.band}"]), psf, _limit(image.zero_point))


def reach_of(row, band, scale):
    """Return how far the light of a source is drawn, without the wings of the PSF.

    Parameters
    ----------
    row : mapping
        As for `draw_source`, with ``mag_<band>``.
    band : str
    scale : float
        Arcsec per pixel.

    Returns
    -------
    float
        Arcsec; 0 of what cannot be drawn.
    """
    try:
        light = light_of(row, band, 0.0)
    except StudyError:
        return 0.0
    end = light.radius(10 ** (0.4 * (float(row[f"mag_{band}"]) - SURFACE_BRIGHTNESS)))
    return max(light.extent, min(end, max(light.reach(), 0.5 * MAX_STAMP * scale)))


def add_stamp(array, stamp):
    """Add to an image in place what of a stamp overlaps with it."""
    image, part = overlap(array.shape, stamp)
    array[image] += stamp.array[part]


def cut(stamp, x0, y0, size):
    """Return the (size, size) array whose first pixel is (x0, y0) of the image, 0 where unknown."""
    out = np.zeros((size, size), stamp.array.dtype)
    add_stamp(out, Stamp(stamp.array, stamp.x0 - x0, stamp.y0 - y0))
    return out


def photon_noise(stamp, gain, rng):
    """Return the photon noise of a source on the grid of its stamp.

    Gaussian limit of the Poisson noise of ``gain`` x light electrons. The normal deviates belong
    to the grid and not to the light, so that +g and -g twins share them.

    Parameters
    ----------
    stamp : Stamp
        Noiseless light.
    gain : float
        Electrons per image unit.
    rng : numpy.random.Generator
        The stream of this source, band and patch.
    """
    noise = rng.standard_normal(stamp.array.shape)
    noise *= np.sqrt(np.maximum(stamp.array, 0.0) / gain)
    return noise


def wcs_for_patch(index, shape, scale, shift=(0.0, 0.0)):
    """Return the WCS of a simulated patch: tangent plane, north up, east left, its own place on the sky.

    Places follow a golden-angle spiral between declinations -60 and 0 deg.

    Parameters
    ----------
    index : int
        Number of the patch.
    shape : tuple of int
        (ny, nx) of the image.
    scale : float
        Arcsec per pixel.
    shift : (float, float)
        Pixels along both axes by which the sky is shifted on the image.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.cunit = "deg", "deg"
    fraction = (0.5 + index * 0.7548776662466927) % 1.0
    wcs.wcs.crval = (
        round((index * 0.6180339887498949 % 1.0) * 360.0, 6),
        round(float(np.degrees(np.arcsin(-np.sin(np.pi / 3) * fraction))), 6),
    )
    wcs.wcs.crpix = (shape[1] + 1) / 2 + shift[0], (shape[0] + 1) / 2 + shift[1]
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def overlap(shape, stamp):
    """Return the slices of an image of that shape and of a stamp where both have pixels (maybe none)."""
    ny, nx = stamp.array.shape
    y_low, y_high = max(stamp.y0, 0), max(min(stamp.y0 + ny, shape[0]), 0)
    x_low, x_high = max(stamp.x0, 0), max(min(stamp.x0 + nx, shape[1]), 0)
    y_high, x_high = max(y_low, y_high), max(x_low, x_high)
    return (
        (slice(y_low, y_high), slice(x_low, x_high)),
        (slice(y_low - stamp.y0, y_high - stamp.y0), slice(x_low - stamp.x0, x_high - stamp.x0)),
    )


def _limit(zero_point):
    """Return the surface brightness limit in image units per arcsec2."""
    return 10 ** (0.4 * (zero_point - SURFACE_BRIGHTNESS))


def _size(light, flux, psf, limit):
    wing, core = 0.0, light.radius(limit / flux if flux > 0 else np.inf)
    if flux > 0:
        wing = psf.radius(limit / flux)
    if core:
        wing = max(wing, core + 0.5 * psf.fwhm)
    side = max(min(2 * wing / psf.scale, MAX_STAMP), psf.good_size) + 2 * light.extent / psf.scale
    if 2 * wing / psf.scale > MAX_STAMP:  # else all of the light is inside
        side = max(side, 2 * light.reach() / psf.scale)
    n, most = 2 * next_fast_len(int(np.ceil(side / 2)), real=True), 2 * (LARGEST // (2 * psf.over))
    if n > most and 2 * light.reach(1 - FOLDED) / psf.scale > most:
        raise StudyError(f"a source {n} pixels across, where {most} can be drawn", remedy="give a smaller size")
    return min(n, most)
