"""Images of patches, and the FITS files that hold a chunk of them."""

import contextlib
import io
import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from ..errors import StudyError
from .brief import Brief
from .flags import Bits
from .hdus import pixel_scale_of
from .reading import AGAIN, reading
from .whole import whole

AB_NANOJANSKY = 31.4
"""AB magnitude of one nJy."""
MASK_BITS = Bits(
    {
        0: ("BAD", "no usable data: outside the image, dead or saturated pixels"),
        1: ("BRIGHT", "wing or spike of a very bright star"),
        2: ("CROSSTALK", "other artefact flagged by the survey"),
    }
)
PLANES = {"SCI": np.float32, "VAR": np.float32, "MASK": np.uint8}
TEMPLATE = "TPL"
"""Planes of a template are named as those of the image it belongs to, with this before them."""
_WHAT = "a FITS file of patches that can be read"
_FITS_BLOCK = 2880  # bytes: an empty primary header
_NAME = re.compile(r"P(?P<index>\d+)_(?P<twin>[A-Z]+)_(?P<band>[A-Za-z0-9]+)_(?P<plane>[A-Z]+)$")


@dataclass(repr=False)
class BandImage(Brief):
    """One band of a patch.

    Attributes
    ----------
    band : str
        Name of the band.
    science : (ny, nx) float32 array
        Sky-subtracted pixel values in ``unit``.
    variance : (ny, nx) float32 array
        Variance of ``science`` in ``unit`` squared.
    mask : (ny, nx) uint8 array
        Bits of `MASK_BITS`; 0 is good.
    psf : (k, k) float64 array
        PSF on the pixel grid of the image, k odd, centred on the central pixel, unit sum.
    wcs : astropy.wcs.WCS
        Celestial WCS.
    zero_point : float
        AB magnitude of one ``unit``.
    gain : float
        Electrons per ``unit``: the photon noise of a source of flux f has variance f / gain.
    psf_model : dict
        How GalSim makes the PSF again: ``kind`` ("kolmogorov", "moffat" or "pixels") and, for
        the analytic ones, ``fwhm`` (arcsec) and ``beta``.
    planes : dict of str to (ny, nx) float32 or int32 array
        Further planes by name. ``MODEL``: noiseless light of every source that is known;
        ``NOISE``: the noise without source photons; ``BASE``: a real image before injection;
        ``SEG``: footprints of the real sources of ``BASE``, by ``source_id``, 0 is sky.
    unit : str
        FITS unit of the pixels.
    saturation : float or None
        Value of ``science`` from which a pixel may be saturated; None: nothing is.
    """

    band: str
    science: np.ndarray
    variance: np.ndarray
    mask: np.ndarray
    psf: np.ndarray
    wcs: WCS
    zero_point: float
    gain: float
    psf_model: dict = field(default_factory=lambda: {"kind": "pixels"})
    planes: dict = field(default_factory=dict)
    unit: str = "nJy"
    saturation: float | None = None

    def __post_init__(self):
        for name, array in {"VAR": self.variance, "MASK": self.mask, **self.planes}.items():
            if array.shape != self.science.shape:
                raise ValueError(
                    f"{name} of band {self.band} has shape {array.shape}, science has {self.science.shape}"
                )
        if self.psf.ndim != 2 or self.psf.shape[0] != self.psf.shape[1] or self.psf.shape[0] % 2 == 0:
            raise ValueError(f"the PSF must be a square of odd size, not {self.psf.shape}")

    @cached_property  # asked for with every source that is drawn
    def pixel_scale(self):
        """Pixel scale in arcsec (square root of the pixel's area); computed once."""
        return pixel_scale_of(self.wcs)


@dataclass(repr=False)
class Patch(Brief):
    """A block of sky in all its bands: the unit of resampling.

    Attributes
    ----------
    index : int
        Number of the patch in its case.
    twin : str
        "plus", "minus" (the scene sheared by +g, -g along the x axis) or "zero"; "turned" is "zero" with every
        shape turned by 90 degrees about its own centre; "plusflip", "zeroflip" ... are the same with all noise of
        opposite sign.
    shear : float
        Reduced shear g1 applied to the scene about its centre, with sign.
    bands : dict of str to BandImage
        In the order of the configuration.
    border : int
        Pixels at each edge in which no source is a target.
    noise_sign : int
        1, or -1 where sky and photon noise have the opposite sign: noise of either sign is equally
        likely, and what it does to a shape cancels to first order in the mean of both.
    templates : dict of str to BandImage
        Deep images of the same static sky, without transients, by band; empty where there is one epoch.
    """

    index: int
    twin: str
    shear: float
    bands: dict
    border: int
    noise_sign: int = 1
    templates: dict = field(default_factory=dict)

    @property
    def shape(self):
        """Shape (ny, nx) of the images."""
        return self.reference.science.shape

    @property
    def pixel_scale(self):
        """Pixel scale in arcsec, the same in all bands."""
        return self.reference.pixel_scale

    @property
    def reference(self):
        """The `BandImage` of the first band: what all bands share (WCS, pixel scale, unit) is asked of it."""
        return next(iter(self.bands.values()))

    @property
    def first_twin(self):
        """Whether it is the first of the twins of its scene: what does not depend on the shear is asked of it alone."""
        return self.twin in ("plus", "zero")

    def inside(self, x, y):
        """Return which positions (pixels, 0-based) lie inside the border."""
        ny, nx = self.shape
        b = self.border - 0.5
        x, y = np.asarray(x), np.asarray(y)
        return (x >= b) & (x < nx - 1 - b) & (y >= b) & (y < ny - 1 - b)

    def inside_unsheared(self, x, y):
        """Return which positions lie inside the border once the scene's shear is undone.

        The twins then select the same part of the sky, whatever the shear moves across the border.
        """
        return self.inside(*self.carried(x, y, 0.0))

    def carried(self, x, y, shear):
        """Return where the same points of the sky lie in the twin of another shear, (x, y) in pixels.

        Parameters
        ----------
        x, y : (N,) array
            Pixels of this patch.
        shear : float
            Reduced shear g1 of the other twin, about the centre of the image as this one's.
        """
        ny, nx = self.shape
        xc, yc = (nx - 1) / 2, (ny - 1) / 2
        norm = np.sqrt((1 - self.shear**2) / (1 - shear**2))
        along, across = norm * (1 + shear) / (1 + self.shear), norm * (1 - shear) / (1 - self.shear)
        return (np.asarray(x, float) - xc) * along + xc, (np.asarray(y, float) - yc) * across + yc


def opposite_twin(twin):
    """Return the name of the twin of opposite shear and the same noise; None where nothing is sheared."""
    for one, other in (("plus", "minus"), ("minus", "plus")):
        if twin.startswith(one):
            return twin.replace(one, other)
    return None


def _extension_name(patch, band, plane):
    return f"P{patch.index:05d}_{patch.twin.upper()}_{band}_{plane}"


def _header(patch, image):
    header = image.wcs.to_header()
    header["BUNIT"] = image.unit
    header["BAND"] = image.band
    header["MAGZERO"] = (image.zero_point, "AB magnitude of one BUNIT")
    header["GAIN"] = (image.gain, "electrons per BUNIT")
    if image.saturation is not None:
        header["SATURATE"] = (image.saturation, "above the sky that was subtracted")
    header["PATCH"] = patch.index
    header["TWIN"] = patch.twin
    header["SHEAR"] = (patch.shear, "reduced shear g1 applied to the scene")
    header["NOISSIGN"] = (patch.noise_sign, "sign of all noise")
    header["BORDER"] = (patch.border, "pixels at each edge without targets")
    for key, value in image.psf_model.items():
        header[f"PSF{key[:5].upper()}"] = value
    return header


def _hdus(patch, image, band, prefix):
    header = _header(patch, image)
    planes = {"SCI": image.science, "VAR": image.variance, "MASK": image.mask, **image.planes, "PSF": image.psf}
    for plane, data in planes.items():
        hdu = fits.ImageHDU(
            np.ascontiguousarray(data, PLANES.get(plane)),
            header=header,
            name=_extension_name(patch, band, prefix + plane),
        )
        if plane in ("MASK", "SEG"):
            hdu.header.remove("BUNIT")
        yield hdu


class PatchWriter:
    """Write patches to one FITS file, one at a time, so that memory does not grow with them.

    Use as a context manager. The file appears under its name only when it is complete.
    """

    def __init__(self, path, cards=None):
        self.path = str(path)
        self._cards = dict(cards or {})
        self._empty = True

    def __enter__(self):
        primary = fits.PrimaryHDU()
        for key, value in self._cards.items():
            primary.header[key] = value
        with contextlib.ExitStack() as stack:
            self._part = stack.enter_context(whole(self.path))
            stack.push(self._say_if_empty)
            self._file = stack.enter_context(open(self._part, "wb"))
            primary.writeto(self._file)
            self._stack = stack.pop_all()
        return self

    def write(self, patch):
        """Append all bands and planes of a patch."""
        self._empty = False
        hdus = fits.HDUList([fits.PrimaryHDU()])
        for band, image in patch.bands.items():
            hdus.extend(_hdus(patch, image, band, ""))
            if band in patch.templates:
                hdus.extend(_hdus(patch, patch.templates[band], band, TEMPLATE))
        # extensions only: the time to append to an open HDUList grows with what is in it
        block = io.BytesIO()
        hdus.writeto(block, output_verify="ignore")  # headers of our own: a tenth of the time of a chunk of patches
        self._file.write(block.getbuffer()[_FITS_BLOCK:])

    def _say_if_empty(self, kind, *_):
        if kind is None and self._empty:  # told from a file that lost its patches
            fits.setval(self._part, "NOPATCH", value=True, comment="a chunk without patches")

    def __exit__(self, *error):
        return self._stack.__exit__(*error)


class PatchFile:
    """Read patches from a file that `PatchWriter` wrote, one at a time.

    Parameters
    ----------
    path : path-like
        FITS file.

    Raises
    ------
    StudyError
        If the file cannot be read to its end or holds no patch.
    """

    def __init__(self, path):
        self.path = str(path)
        self._index = {}
        with reading(self.path, _WHAT):
            self._hdus = fits.open(self.path, memmap=True, lazy_load_hdus=False)
            for number, hdu in enumerate(self._hdus):
                found = _NAME.match(hdu.name) or _NAME.match(str(hdu.header.get("EXTNAME", "")))
                if found:
                    key = int(found["index"]), found["twin"].lower()
                    band = str(hdu.header["BAND"])
                    self._index.setdefault(key, {}).setdefault(band, {})[found["plane"].upper()] = number
        if not self._index and "NOPATCH" not in self._hdus[0].header:
            self.close()
            raise StudyError("the file holds no patch", self.path, AGAIN)

    def keys(self):
        """Return the list of (patch index, twin) in the order of the file."""
        return list(self._index)

    def places(self):
        """Yield (WCS, (ny, nx)) of each patch; no pixels are read."""
        for bands in self._index.values():
            header = self._hdus[next(iter(bands.values()))["SCI"]].header
            yield WCS(header), (header["NAXIS2"], header["NAXIS1"])

    def cards(self):
        """Return the primary header."""
        return self._hdus[0].header

    def read(self, index, twin):
        """Return a `Patch` with its own copies of the arrays."""
        with reading(self.path, _WHAT):
            return self._patch(index, twin)

    def _patch(self, index, twin):
        bands, templates = {}, {}
        for band, planes in self._index[index, twin].items():
            own = {p: n for p, n in planes.items() if not p.startswith(TEMPLATE)}
            bands[band] = self._image(band, own)
            if len(own) < len(planes):
                templates[band] = self._image(
                    band, {p.removeprefix(TEMPLATE): n for p, n in planes.items() if p not in own}
                )
            header = self._hdus[own["SCI"]].header
        return Patch(index, twin, header["SHEAR"], bands, header["BORDER"], header.get("NOISSIGN", 1), templates)

    def _image(self, band, planes):
        header = self._hdus[planes["SCI"]].header
        arrays = {
            p: np.array(self._hdus[n].data, dtype=self._hdus[n].data.dtype.newbyteorder("=")) for p, n in planes.items()
        }
        model = {k: header[f"PSF{k[:5].upper()}"] for k in ("kind", "fwhm", "beta") if f"PSF{k[:5].upper()}" in header}
        return BandImage(
            band=band,
            science=arrays.pop("SCI"),
            variance=arrays.pop("VAR"),
            mask=arrays.pop("MASK"),
            psf=arrays.pop("PSF"),
            wcs=WCS(header),
            zero_point=header["MAGZERO"],
            gain=header["GAIN"],
            psf_model=model,
            planes=arrays,
            unit=header["BUNIT"],
            saturation=header.get("SATURATE"),
        )

    def __iter__(self):
        return (self.read(*key) for key in self.keys())

    def close(self):
        """Close the file."""
        self._hdus.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
