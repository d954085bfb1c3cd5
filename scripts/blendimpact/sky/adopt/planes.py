"""Read the planes of a real image from FITS, and refuse what cannot be used, with a remedy."""

import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS

from ...data.images import MASK_BITS
from ...errors import StudyError

BAD = MASK_BITS.BAD
MAX_NAN = 0.5
# AB zero points of flux density units; anything else is taken as counts with a zero point
ZERO_POINTS = {"nJy": 31.4, "uJy": 23.9, "mJy": 16.4, "Jy": 8.9, "nanomaggy": 22.5, "nmgy": 22.5}
REFUSED = ("mag", "/sr", "sr-1", "sr^-1", "arcsec", "dex", "log")


def path_of(part, spec, base_dir):
    """Return the path of a plane: its ``file``, its ``member`` of the fetched input, or the image's own.

    Parameters
    ----------
    part : dict
        The entry of the plane (or the image's whole entry).
    spec : dict
        Entry of the image, as `config.real_image.load_image` returns it.
    base_dir : path-like
        Folder of the fetched inputs.
    """
    if part.get("file"):
        return Path(part["file"])
    if part.get("member"):
        if not spec.get("input"):
            raise StudyError("`member` needs an `input`", spec.get("name", "image"), "give a `file` instead")
        return Path(base_dir) / spec["input"] / part["member"]
    if part is spec:
        raise StudyError(
            "the image's entry names no pixels", spec.get("name", "image"), "give `file`, or `input` and `member`"
        )
    return path_of(spec, spec, base_dir)


def read_hdu(path, number, what):
    """Return (array in native byte order, header) of an image HDU.

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
                if number >= len(hdus):
                    raise StudyError(
                        f"there is no HDU {number} for the {what}: the file has {len(hdus)}",
                        str(path),
                        "give the right `hdu`",
                    )
                data, header = hdus[number].data, hdus[number].header
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
    if data is None or data.size == 0:
        raise StudyError(
            f"HDU {number} holds no pixels for the {what}",
            str(path),
            "give the `hdu` of an image (the first is often empty: try 1)",
        )
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.dtype.names:
        raise StudyError(
            f"HDU {number} holds no two-dimensional image for the {what}",
            str(path),
            "give the `hdu` of an image with two axes",
        )
    return np.ascontiguousarray(data, data.dtype.newbyteorder("=")), header


def number_of(spec, key, header, path, remedy, default=None):
    """Return a number that the entry gives, or that it names a header keyword for."""
    if spec.get(key) is not None:
        value = spec[key]
    elif spec.get(f"{key}_key"):
        card = spec[f"{key}_key"]
        if card not in header:
            raise StudyError(f"the header has no {card} ({key}_key)", str(path), remedy)
        value = header[card]
    else:
        return default
    try:
        value = float(value)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise StudyError(f"{key} is not a finite number", str(path), remedy)
    return value


def read_unit(header, zero_point, path):
    """Return (unit, zero point); flux density units know their zero point."""
    unit = str(header.get("BUNIT", "")).strip()
    lowered = unit.lower()
    if any(word in lowered for word in REFUSED):
        raise StudyError(
            f"pixels in {unit!r} cannot be summed to a flux",
            f"{path}: BUNIT",
            "convert to a flux per pixel (counts, nJy) with a zero point",
        )
    known = {k.lower(): v for k, v in ZERO_POINTS.items()}.get(lowered.replace(" ", ""))
    if zero_point is None:
        if known is None:
            raise StudyError(
                "no zero point", str(path), "give zero_point (AB magnitude of one unit of the image) or zero_point_key"
            )
        return unit, known
    if known is not None and abs(known - zero_point) > 0.02:
        raise StudyError(
            f"pixels in {unit} have the AB zero point {known}, but zero_point is {zero_point}",
            f"{path}: BUNIT",
            "correct the one that is wrong",
        )
    return unit or "count", zero_point


def read_wcs(header, shape, path, pixel_scale=None):
    """Return the celestial WCS of an image, checked against the stated pixel scale (arcsec)."""
    remedy = "solve the astrometry and write it to the header (CTYPE, CRVAL, CRPIX, CD)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            wcs = WCS(header)
    except Exception as error:  # wcslib raises many kinds
        raise StudyError(f"the WCS cannot be read ({error})", str(path), remedy) from error
    if not wcs.has_celestial or wcs.naxis != 2:
        raise StudyError("the image has no celestial WCS", str(path), remedy)
    corners = wcs.pixel_to_world_values([0, shape[1] - 1], [0, shape[0] - 1])
    determinant = abs(np.linalg.det(wcs.pixel_scale_matrix))
    if not np.isfinite(corners).all() or not determinant > 0:
        raise StudyError("the WCS is singular", str(path), remedy)
    scale = float(np.sqrt(determinant)) * 3600
    if pixel_scale and abs(scale / pixel_scale - 1) > 0.01:
        raise StudyError(
            f"the WCS has {scale:.4f} arcsec per pixel, the entry {pixel_scale}",
            str(path),
            "correct pixel_scale, or the header",
        )
    return wcs


def read_science(spec, base_dir):
    """Read the pixels of an image.

    Parameters
    ----------
    spec : dict
        Entry of the image.
    base_dir : path-like
        Folder of the fetched inputs.

    Returns
    -------
    dict
        ``science`` (float32, 0 where there is no data), ``bad`` (bool: not finite), ``wcs``, ``unit``,
        ``zero_point``, ``gain``, ``saturation``, ``path``, ``nan_fraction``.

    Raises
    ------
    StudyError
        With file, key and remedy, for whatever cannot be used.
    """
    name = spec.get("name", "image")
    if not spec.get("band"):
        raise StudyError("the image's entry has no band", f"{name}: band", "name the band, as in the case's `bands`")
    path = path_of(spec, spec, base_dir)
    data, header = read_hdu(path, spec.get("hdu", 0), "image")
    if spec.get("size") and list(spec["size"]) != [data.shape[1], data.shape[0]]:
        raise StudyError(
            f"the image has {data.shape[1]} x {data.shape[0]} pixels, the entry says {spec['size']}",
            str(path),
            "correct `size` (NAXIS1, NAXIS2) or `hdu`",
        )
    bad = ~np.isfinite(data)
    lost = float(bad.mean())
    if lost > MAX_NAN:
        raise StudyError(
            f"{100 * lost:.0f} % of the pixels are not finite", str(path), "cut the image to the part that has data"
        )
    zero_point = number_of(spec, "zero_point", header, path, "give zero_point as a number")
    unit, zero_point = read_unit(header, zero_point, path)
    gain = number_of(spec, "gain", header, path, "give gain as a number: electrons per image unit")
    if gain is None or not gain > 0:
        raise StudyError(
            "no positive gain",
            str(path),
            "give gain or gain_key: electrons per image unit, over all exposures; it sets the "
            "photon noise of what is injected",
        )
    saturation = number_of(spec, "saturation", header, path, "give saturation as a number, or null")
    science = np.where(bad, 0, data).astype(np.float32)
    return {
        "science": science,
        "bad": bad,
        "unit": unit,
        "zero_point": zero_point,
        "gain": gain,
        "wcs": read_wcs(header, data.shape, path, spec.get("pixel_scale")),
        "saturation": saturation,
        "path": path,
        "nan_fraction": lost,
    }


def read_mask(spec, science, base_dir):
    """Return the (ny, nx) uint8 mask in the study's bits, and pixel counts by bit."""
    flags = np.zeros(science["science"].shape, np.uint8)
    flags[science["bad"]] |= BAD
    if science["saturation"] is not None:
        flags[science["science"] >= science["saturation"]] |= BAD
    entry = spec.get("mask")
    if entry:
        path = path_of(entry, spec, base_dir)
        plane, _ = read_hdu(path, entry.get("hdu", 0), "mask")
        if plane.shape != flags.shape:
            raise StudyError(
                f"the mask has {plane.shape[1]} x {plane.shape[0]} pixels, the image "
                f"{flags.shape[1]} x {flags.shape[0]}",
                str(path),
                "give the mask of the same image",
            )
        if plane.dtype.kind == "f":
            if not np.isfinite(plane).all() or (plane != np.round(plane)).any():
                raise StudyError("the mask holds values that are not whole numbers", str(path), "give a mask of bits")
            plane = plane.astype(np.int64)
        for meaning in entry["meaning"]:
            flags[(plane & meaning["value"]) != 0] |= getattr(MASK_BITS, meaning["flag"])
    counts = {name: int(((flags >> number) & 1).sum()) for number, (name, _) in MASK_BITS.items()}
    return flags, counts


def read_variance(spec, science, flags, base_dir):
    """Return the variance plane that the entry names, or None if it is to be measured.

    A weight of zero, as coadds have it, is a pixel without data: the mask gets BAD there, in place.
    """
    entry = spec.get("variance") or {}
    kind = entry.get("kind", "measured")
    if kind == "measured":
        return None
    path = path_of(entry, spec, base_dir)
    plane, _ = read_hdu(path, entry.get("hdu", 0), kind)
    if plane.shape != flags.shape:
        raise StudyError(
            f"the {kind} plane has {plane.shape[1]} x {plane.shape[0]} pixels, the image "
            f"{flags.shape[1]} x {flags.shape[0]}",
            str(path),
            "give the plane of the same image",
        )
    plane = plane.astype(np.float64)
    if kind == "weight":
        flags[plane == 0] |= BAD
    good = (flags & BAD) == 0
    wrong = good & ~(np.isfinite(plane) & (plane > 0))
    if wrong.any():
        wrongly = "not finite" if not np.isfinite(plane[wrong]).all() else "zero or negative"
        raise StudyError(
            f"{int(wrong.sum())} pixels of the {kind} plane are {wrongly} where the image has data",
            str(path),
            "mask them as BAD, or use variance.kind: weight with 0 where there is no data",
        )
    if not good.any():
        raise StudyError("no pixel has data", str(path), "check the mask and the variance")
    if kind == "weight":
        plane = np.divide(1.0, plane, out=np.zeros_like(plane), where=good)
    return np.where(good, plane, np.median(plane[good])).astype(np.float32)
