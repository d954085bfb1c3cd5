"""Sources and PSFs in Fourier space, on the grids of real FFTs.

Those of Sersic profiles are tabulated once per index against (k hlr)^2 (`sersic_tables`), so that any size and shear of
a profile is one interpolation. The others are GalSim's; those of PSFs are kept per grid.
"""

from functools import lru_cache

import galsim
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from ..data.psf import draw_method, psf_object
from ..data.reading import reading
from ..errors import StudyError
from ..stats.streams import stream
from . import sersic_tables
from .comets import comet_of
from .sersic_tables import ENCLOSED

KNOTS = 12
"""Clumps of a galaxy's disk, if it has any."""
KNOTS_WITHIN = 0.95
"""Part of the disk's light, from the centre, in which clumps are placed."""
KINDS = ("galaxy", "star", "sersic", "trail", "stamp", "comet")


class Grid:
    """Wave numbers (rad/arcsec) of a real FFT of n x n pixels."""

    def __init__(self, n, scale):
        self.n, self.scale = n, scale
        self.kx = 2 * np.pi * np.fft.rfftfreq(n, scale)[None, :]
        self.ky = 2 * np.pi * np.fft.fftfreq(n, scale)[:, None]
        self.xx, self.yy, self.xy = self.kx**2, self.ky**2, 2 * self.kx * self.ky


@lru_cache(maxsize=64)
def grid(n, scale):
    """Return the `Grid` of n x n pixels of ``scale`` arcsec."""
    return Grid(n, scale)


class Point:
    """A point source.

    What every light has: ``extent`` (arcsec), the half-size of what must be in its stamp;
    `transform` on a `Grid`, of unit flux, None if it is 1; `radius` (arcsec), where its surface
    brightness has fallen to ``ratio`` of its flux per arcsec2, before the PSF; and `reach` (arcsec), which holds
    a share of its light.
    """

    extent = 0.0

    def transform(self, grid):
        """Return None: 1 everywhere."""

    def radius(self, ratio):
        """Return 0: the wing is the PSF's."""
        return 0.0

    def reach(self, share=ENCLOSED):
        """Return ``extent``: nothing is outside."""
        return self.extent


class Sersics:
    """Sum of sheared Sersic profiles; each is (weight, n, hlr, distinct elements of A A^T of its shape)."""

    extent = 0.0

    def __init__(self, parts):
        self.parts = parts

    def transform(self, grid):
        """Return the sum of the transforms, F(|A^T k| hlr)."""
        total = None
        for weight, n, hlr, (a, b, c) in self.parts:
            s = hlr * hlr
            q = (a * s) * grid.xx + (c * s) * grid.yy
            if b:
                q += (b * s) * grid.xy
            if n == 1.0:
                q *= _EXPONENTIAL**2
                q += 1.0
                value = weight / (q * np.sqrt(q))
            else:
                value = np.interp(q, *sersic_tables.transform(n))
                value *= weight
            total = value if total is None else total + value
        return total

    def radius(self, ratio):
        """Return where the largest component ends, by its brightness and by `sersic_tables.ENCLOSED`."""
        largest = 0.0
        for weight, n, hlr, shape in self.parts:
            major = _major(hlr, shape)
            x, brightness, enclosed = sersic_tables.profile(n)
            outer = np.interp(-np.log(ratio * hlr * hlr / weight), -brightness, x)
            largest = max(largest, major * max(outer, enclosed))
        return largest

    def reach(self, share=ENCLOSED):
        """Return the radius that holds a share of all light, as if round with the major axis."""
        parts = [(weight, n, _major(hlr, shape)) for weight, n, hlr, shape in self.parts]
        radius = np.geomspace(0.01, 1.0, 200) * max(major * sersic_tables.profile(n)[2] for _, n, major in parts)
        inside = sum(weight * sersic_tables.enclosed(n, radius / major) for weight, n, major in parts)
        return float(np.interp(share, inside, radius))


class Knots:
    """`KNOTS` point-like clumps of equal light, scattered as a Sersic profile is, about their common centre.

    Parameters
    ----------
    weight : float
        Light of all of them together.
    n, hlr : float
        Of the profile (hlr in arcsec); no clump is drawn outside of `KNOTS_WITHIN` of its light.
    matrix : (2, 2) array
        Maps the circular profile to its shape, shear of the scene included.
    seed : int
        Of their places, which are the same in every band.
    """

    def __init__(self, weight, n, hlr, matrix, seed):
        radius, angle = stream(seed, "knots").uniform(size=(2, KNOTS))
        radius = hlr * sersic_tables.enclosing(n, KNOTS_WITHIN * radius)
        places = radius * np.array([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)])
        self.weight, self.places = weight, matrix @ (places - places.mean(axis=1, keepdims=True))

    def transform(self, grid):
        """Return the mean of the phases of the clumps, times their light."""
        x, y = self.places
        along_y, along_x = np.exp(-1j * grid.ky * y), np.exp(-1j * grid.kx.T * x)
        return along_y @ along_x.T * (self.weight / KNOTS)


class Clumpy:
    """Smooth light with knots in it: as large as the same light without them."""

    extent = 0.0

    def __init__(self, parts, whole):
        self.parts, self.radius, self.reach = parts, whole.radius, whole.reach

    def transform(self, grid):
        """Return the sum of the transforms."""
        return sum(part.transform(grid) for part in self.parts)


class Trail(Point):
    """A line of ``length`` arcsec at ``angle`` deg from the x axis, counter-clockwise."""

    def __init__(self, length, angle):
        self.extent = 0.5 * length
        self.direction = np.cos(np.radians(angle)), np.sin(np.radians(angle))

    def transform(self, grid):
        """Return the sinc function of the wave number along the line."""
        along = self.direction[0] * grid.kx + self.direction[1] * grid.ky
        return np.sinc(along * (self.extent / np.pi))


class Picture(Point):
    """An image from a FITS file, of unit flux.

    Parameters
    ----------
    path : str
    shear : float
    matrix : tuple of float, optional
        xx, xy, yx, yy: maps its pixels to arcsec along the axes of the image (`populations.extras.STAMP`); without it
        they are as large as its WCS says, and not turned.
    """

    def __init__(self, path, shear, matrix=None):
        self.object, self.extent = _picture(path, matrix)
        self.shear = shear

    def transform(self, grid):
        """Return GalSim's transform of the interpolated image."""
        picture = self.object.shear(g1=self.shear) if self.shear else self.object
        return _rfft_layout(picture, grid.n, grid.scale)


_EXPONENTIAL = 1 / galsim.Exponential._hlr_factor  # scale radius of unit half-light radius


def _major(hlr, shape):
    """Return the half-light radius along the major axis."""
    stretch = 0.5 * (shape[0] + shape[2])  # (r^2 + 1 / r^2) / 2 of the axis ratio 1 / r^2
    return hlr * np.sqrt(stretch + np.sqrt(max(stretch * stretch - 1, 0.0)))


def _shape(g1, g2, shear):
    """Return the distinct elements of A A^T, where A = shear x shape maps a circle to the ellipse."""
    square = g1 * g1 + g2 * g2
    a, b, c = ((1 + g1) ** 2 + g2 * g2, 2 * g2, (1 - g1) ** 2 + g2 * g2)
    if shear:
        square = 1 - (1 - square) * (1 - shear * shear)
        a, b, c = (1 + shear) ** 2 * a, (1 - shear * shear) * b, (1 - shear) ** 2 * c
    return a / (1 - square), b / (1 - square), c / (1 - square)


def light_of(row, band, shear):
    """Return the light that a row describes, sheared by the reduced shear g1 = ``shear``.

    Raises
    ------
    StudyError
        If the kind is unknown or a number is out of range.
    """
    kind = row["kind"]
    if kind == "star":
        return Point()
    if kind in ("galaxy", "sersic"):
        bulge = float(row[f"bulge_fraction_{band}"]) if kind == "galaxy" else 0.0
        bulge = 0.0 if bulge < 1e-4 else 1.0 if bulge > 1 - 1e-4 else bulge
        parts = []
        for weight, part in ((bulge, "bulge"), (1.0 - bulge, "disk")):
            if weight != 0.0:  # also lets NaN through, to be refused
                parts.append(_component(row, part, weight, shear))
        share = _number(row, "knots", 0.0) if kind == "galaxy" else 0.0
        return _clumpy(row, parts, share, shear) if share > 0 and bulge < 1.0 else Sersics(parts)
    if kind == "trail":
        length = float(row["trail_length"])
        if not 0 < length < np.inf:
            raise StudyError(
                f"a trail cannot be {length} arcsec long", source_name(row), "give a positive trail_length"
            )
        return Trail(length, float(row["trail_angle"]))
    if kind == "comet":
        return comet_of(row, source_name(row))
    if kind == "stamp":
        matrix = tuple(_number(row, f"stamp_{axes}") for axes in ("xx", "xy", "yx", "yy"))
        return Picture(str(row["stamp"]), shear, matrix if np.isfinite(matrix).all() else None)
    raise StudyError(f"a source of kind {kind!r} cannot be drawn", source_name(row), f"kinds are {', '.join(KINDS)}")


def _component(row, part, weight, shear):
    n, hlr, g1, g2 = (float(row[f"{key}_{part}"]) for key in ("n", "hlr", "g1", "g2"))
    low, high = galsim.Sersic._minimum_n, galsim.Sersic._maximum_n
    if not low <= n <= high:
        raise StudyError(f"Sersic index {n} of the {part}", source_name(row), f"GalSim draws {low} to {high}")
    if not 0 < hlr < np.inf or not g1 * g1 + g2 * g2 < 1 or not 0 <= weight <= 1:
        raise StudyError(
            f"no {part} of half-light radius {hlr} arcsec, shape ({g1}, {g2}) and part {weight} of the light exists",
            source_name(row),
        )
    return weight, n, hlr, _shape(g1, g2, shear)


def _number(row, name, otherwise=np.nan):
    """Return a number of a row; rows without such a column have another."""
    try:
        return float(row[name])
    except KeyError:
        return otherwise


def _clumpy(row, parts, share, shear):
    """Return the light of a galaxy whose last part, the disk, has knots."""
    if share > 1:
        raise StudyError(f"{share} of the disk's light in knots", source_name(row), "give a part from 0 to 1")
    *bulge, (weight, n, hlr, shape) = parts
    smooth = Sersics([*bulge, *([(weight * (1 - share), n, hlr, shape)] if share < 1 else [])])
    knots = Knots(weight * share, n, hlr, _matrix(row["g1_disk"], row["g2_disk"], shear), int(row["knots_seed"]))
    return Clumpy([smooth, knots] if smooth.parts else [knots], Sersics(parts))


def _matrix(g1, g2, shear):
    """Return the matrix of determinant 1 that maps a circle to the sheared ellipse: shear x shape."""

    def one(g1, g2):
        return np.array([[1 + g1, g2], [g2, 1 - g1]]) / np.sqrt(1 - g1 * g1 - g2 * g2)

    return one(shear, 0.0) @ one(float(g1), float(g2))


def source_name(row):
    """Return what to call a source in a message."""
    return f"source {row['source_id']}" if "source_id" in row else "source"


@lru_cache(maxsize=64)
def read_stamp(path):
    """Return pixels and celestial WCS (None: it has none) of a stamp.

    Raises
    ------
    StudyError
        If it is no image.
    """
    with reading(path, "an image to inject", "give a FITS file with an image"), fits.open(path) as hdus:
        number = next(i for i, hdu in enumerate(hdus) if hdu.is_image and hdu.size)
        data, wcs = np.array(hdus[number].data, dtype=float), WCS(hdus[number].header)
    if data.ndim != 2 or not np.isfinite(data).all() or not data.sum() > 0:
        raise StudyError("the image must have two axes, finite pixels and a positive sum", path)
    return data, wcs.celestial if wcs.has_celestial else None


def known_wcs(wcs, path):
    """Return the WCS of a stamp.

    Raises
    ------
    StudyError
        If it has none.
    """
    if wcs is None:
        raise StudyError(
            "the image has no celestial WCS, so its pixel scale is not known",
            path,
            "give it one, or set inject.fits_alignment: pixel",
        )
    return wcs


@lru_cache(maxsize=64)
def _picture(path, matrix):
    data, wcs = read_stamp(path)
    if matrix is None:
        scale = 3600 * float(np.sqrt(abs(np.linalg.det(known_wcs(wcs, path).pixel_scale_matrix))))
        image, extent = galsim.Image(data, scale=scale), 0.5 * scale * max(data.shape)
    else:
        image = galsim.Image(data, wcs=galsim.JacobianWCS(*matrix))
        extent = 0.5 * float((np.abs(matrix).reshape(2, 2) @ data.shape[::-1]).max())
    return galsim.InterpolatedImage(image, flux=1.0, calculate_stepk=False), extent


class Psf:
    """A PSF on a pixel grid: its transform on any FFT grid, its wing, its size.

    Of a PSF that is given as pixels the transform is that of its samples, zero-padded: that is sinc
    interpolation, which keeps the flux, the centroid and the second moments of the samples (Lanczos
    interpolation changes the moments by 1 %).
    """

    def __init__(self, model, pixels, scale):
        self.scale, self._transforms = scale, {}
        if draw_method(model) == "no_pixel":
            self.pixels = np.asarray(pixels, dtype=float) / np.sum(pixels)
            self.good_size, self.over, self._wing = len(self.pixels), 1, None
            self.fwhm = galsim.Image(self.pixels, scale=scale).calculateFWHM()
            return
        bare = psf_object(model)
        self.pixels, self.object = None, galsim.Convolve(bare, galsim.Pixel(scale))
        self.good_size, self.fwhm = int(bare.getGoodImageSize(scale)), bare.fwhm
        # GalSim's maxk is where the transform is 1e-3; 0.85 of it is where it is about 5e-3, which
        # convolution with a pixel and a source makes negligible.
        self.over = int(np.ceil(0.85 * self.object.maxk * scale / np.pi - 1e-9))
        radius = np.geomspace(0.05, 100.0, 300)
        self._wing = radius, np.log(np.maximum([bare.xValue(value, 0.0) for value in radius], 1e-300))

    @classmethod
    def of(cls, image, scale):
        """Return the PSF of an image from a small cache."""
        pixels = image.psf if image.psf_model["kind"] == "pixels" else None
        key = (tuple(sorted(image.psf_model.items())), scale, pixels.tobytes() if pixels is not None else None)
        if key not in _PSFS:
            if len(_PSFS) >= 32:
                _PSFS.pop(next(iter(_PSFS)))
            _PSFS[key] = cls(image.psf_model, pixels, scale)
        return _PSFS[key]

    def radius(self, ratio):
        """Return the radius (arcsec) at which the PSF falls to ``ratio`` per arcsec2."""
        if self._wing is None:
            return 0.0
        radius, log = self._wing
        return float(np.interp(-np.log(ratio), -log, radius))

    def transform(self, n):
        """Return the transform, pixel response in, on the grid of n x n pixels, ``over`` times finer."""
        if n not in self._transforms:
            if self.pixels is None:
                values = _rfft_layout(self.object, n * self.over, self.scale / self.over)
            else:
                size = len(self.pixels)
                padded = np.zeros((n, n))
                padded[:size, :size] = self.pixels
                values = np.fft.rfft2(np.roll(padded, (-(size // 2), -(size // 2)), (0, 1)))
            values = values / values[0, 0].real
            self._transforms[n] = values.real.copy() if not values.imag.any() else values
        return self._transforms[n]


_PSFS = {}


def _rfft_layout(profile, n, scale):
    """Return the transform of a GalSim object on the grid of a real FFT of n x n pixels."""
    half = n // 2
    image = profile.drawKImage(bounds=galsim.BoundsI(-half, half, -half, half), scale=2 * np.pi / (n * scale))
    array = image.array[:, half:]
    return np.concatenate([array[half : 2 * half], array[:half]])
