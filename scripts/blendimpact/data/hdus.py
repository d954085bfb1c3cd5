"""Read image HDUs from FITS files, by number or by name, and refuse what is no image, with a remedy."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS

from ..errors import StudyError


@dataclass(frozen=True)
class ImageHdu:
    """One image HDU of a file.

    Attributes
    ----------
    path : str
    shape : tuple of int
        (ny, nx).
    header, primary : fits.Header
        Its own header, and that of the file.
    data : (ny, nx) array or None
        In native byte order; None if only headers were read.
    """

    path: str
    shape: tuple
    header: fits.Header
    primary: fits.Header
    data: np.ndarray = None

    def card(self, key, default=None):
        """Return the value of a header keyword: of the image, or else of the primary header."""
        return self.header.get(key, self.primary.get(key, default))


def read_hdu(path, hdu, what, pixels=True):
    """Return an `ImageHdu` of a FITS file.

    Parameters
    ----------
    path : path-like
    hdu : int or str
        Number of the HDU (0 is the first), or its EXTNAME, or "EXTNAME,EXTVER".
    what : str
        What it holds, for messages.
    pixels : bool, optional
        Whether to read the pixels too. Axes of length 1 before the last two are left out.

    Raises
    ------
    StudyError
        If the file is missing, truncated, or the HDU is missing, empty or not two-dimensional.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=AstropyWarning)
            warnings.filterwarnings("error", message=".*truncated.*")
            with fits.open(path, memmap=False) as hdus:
                found = _find(hdus, hdu, what, path)
                shape = _shape(found, hdu, what, path)
                data = np.asarray(found.data).reshape(shape) if pixels else None
                header, primary = found.header.copy(), hdus[0].header.copy()
    except FileNotFoundError as error:
        raise StudyError(
            f"the file of the {what} is not there", str(path), "check the path in the image's entry, or fetch the input"
        ) from error
    except (OSError, ValueError, TypeError, AstropyWarning) as error:
        raise StudyError(
            f"the {what} cannot be read to its end ({error})",
            str(path),
            "the file is truncated or not FITS: get it again",
        ) from error
    if data is not None:
        data = np.ascontiguousarray(data, data.dtype.newbyteorder("="))
    return ImageHdu(str(Path(path)), shape, header, primary, data)


def _find(hdus, hdu, what, path):
    """Return the HDU of that number or name."""
    try:
        if isinstance(hdu, str):
            name, _, version = hdu.partition(",")
            return hdus[(name.strip(), int(version))] if version.strip().isdigit() else hdus[hdu]
        return hdus[hdu]
    except (KeyError, IndexError) as error:
        names = ", ".join(f"{number} {part.name}".strip() for number, part in enumerate(hdus))
        raise StudyError(
            f"there is no HDU {hdu} for the {what}: the file has {len(hdus)} ({names})",
            str(path),
            "give the right `hdu`, by number or EXTNAME",
        ) from error


def _shape(found, hdu, what, path):
    """Return (ny, nx) of an HDU that holds an image of one plane."""
    shape = tuple(found.shape) if found.is_image else None
    if shape is not None and (not shape or 0 in shape):
        raise StudyError(
            f"HDU {hdu} holds no pixels for the {what}",
            str(path),
            "give the `hdu` of an image (the first is often empty: try 1)",
        )
    if shape is None or len(shape) < 2 or np.prod(shape[:-2], dtype=int) != 1:
        held = "a table" if shape is None else f"{' x '.join(map(str, shape[::-1]))} pixels"
        raise StudyError(
            f"HDU {hdu} holds no two-dimensional image for the {what} ({held})",
            str(path),
            "give the `hdu` of an image with two axes, or write one plane of a cube to a file of its own",
        )
    return shape[-2:]


def read_wcs(hdu, pixel_scale=None):
    """Return the celestial WCS of an image, checked against the stated pixel scale (arcsec)."""
    remedy = "solve the astrometry and write it to the header (CTYPE, CRVAL, CRPIX, CD)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            wcs = WCS(hdu.header, naxis=2)
    except Exception as error:  # wcslib raises many kinds
        raise StudyError(f"the WCS cannot be read ({error})", hdu.path, remedy) from error
    if not wcs.has_celestial:
        raise StudyError("the image has no celestial WCS", hdu.path, remedy)
    corners = wcs.pixel_to_world_values([0, hdu.shape[1] - 1], [0, hdu.shape[0] - 1])
    determinant = abs(np.linalg.det(wcs.pixel_scale_matrix))
    if not np.isfinite(corners).all() or not determinant > 0:
        raise StudyError("the WCS is singular", hdu.path, remedy)
    scale = pixel_scale_of(wcs)
    if pixel_scale and abs(scale / pixel_scale - 1) > 0.01:
        raise StudyError(
            f"the WCS has {scale:.4f} arcsec per pixel, the entry {pixel_scale}",
            hdu.path,
            "correct pixel_scale, or the header",
        )
    return wcs


def pixel_scale_of(wcs):
    """Return the pixel scale of a WCS in arcsec: the square root of the area of a pixel."""
    return float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))) * 3600)


def geometry(path, hdu):
    """Return ``size`` ([NAXIS1, NAXIS2]) and ``pixel_scale`` (arcsec) of an image, from its header alone."""
    found = read_hdu(path, hdu, "image", pixels=False)
    return {"size": list(found.shape[::-1]), "pixel_scale": round(pixel_scale_of(read_wcs(found)), 9)}
