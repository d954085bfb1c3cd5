"""Read the planes of a real image from FITS, and refuse what cannot be used, with a remedy."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from ...data.hdus import read_hdu, read_wcs
from ...data.images import MASK_BITS
from ...errors import StudyError
from .units import number_of, read_gain, read_zero_point

BAD = MASK_BITS.BAD
MAX_NAN = 0.5
NO_PLANE = "measured", "photons"
"""Kinds of variance that no plane holds."""
KINDS = {"variance": lambda plane: plane, "weight": lambda plane: 1 / plane, "rms": np.square}
"""Variance from what a plane holds."""
MAX_NEGATIVE = 0.01
"""Largest part of a variance plane that may be negative; with more it is another plane."""
COMFORTABLE = 1e-4, 1e4
"""Noise of a pixel in image units that float32 can square and invert; other images are read in 10^k of their unit."""
NO_SKY, NO_LIGHT = 100.0, 1e12
"""Pixels so many standard deviations below the median, or off it, have no data: sentinels and overflows."""
FLAT = 5
"""Side of a square, and square root of the length of a line, whose pixels noise never makes all equal."""


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


def read_facts(spec, base_dir, pixels=False, what="image"):
    """Read what an image is, and its pixels if wanted.

    Parameters
    ----------
    spec : dict
        Entry of the image.
    base_dir : path-like
        Folder of the fetched inputs.
    pixels : bool, optional
        Whether to read the pixels: without them it takes no time.
    what : str, optional
        For messages.

    Returns
    -------
    ImageHdu
    dict
        ``path``, ``wcs``, ``unit``, ``zero_point``, ``gain``, ``saturation`` (None: nothing saturates).

    Raises
    ------
    StudyError
        With file, key and remedy, for whatever cannot be used.
    """
    name = spec.get("name", "image")
    if not spec.get("band"):
        raise StudyError("the image's entry has no band", f"{name}: band", "name the band, as in the case's `bands`")
    hdu = read_hdu(path_of(spec, spec, base_dir), spec.get("hdu", 0), what, pixels)
    if spec.get("size") and list(spec["size"]) != [hdu.shape[1], hdu.shape[0]]:
        raise StudyError(
            f"the {what} has {hdu.shape[1]} x {hdu.shape[0]} pixels, the entry says {spec['size']}",
            hdu.path,
            "correct `size` (NAXIS1, NAXIS2) or `hdu`",
        )
    wcs = read_wcs(hdu, spec.get("pixel_scale"))
    unit, zero_point = read_zero_point(spec, hdu, wcs)
    saturation = number_of(spec, "saturation", hdu, "give saturation as a number, or null")
    return hdu, {
        "path": Path(hdu.path),
        "wcs": wcs,
        "unit": unit,
        "zero_point": zero_point,
        "gain": read_gain(spec, hdu, unit),
        "saturation": saturation if saturation and saturation > 0 else None,  # headers have 0 for "not known"
    }


def check_planes(spec, base_dir):
    """Raise if the headers of an image, its variance and its mask say that they cannot be used; reads no pixels."""
    hdu, _ = read_facts(spec, base_dir)
    for key in ("variance", "mask"):
        entry = spec.get(key)
        if entry and entry.get("kind") not in NO_PLANE:
            read_plane(entry, spec, hdu.shape, _what(key, entry), base_dir, pixels=False)


def _what(key, entry):
    """Return what a plane is called in messages."""
    return f"{entry['kind']} plane" if "kind" in entry else key


def read_science(spec, base_dir, zero_point=None):
    """Read the pixels of an image.

    Parameters
    ----------
    spec : dict
        Entry of the image.
    base_dir : path-like
        Folder of the fetched inputs.
    zero_point : float, optional
        AB magnitude of the unit to bring the pixels to; default: the unit of the file.

    Returns
    -------
    dict
        As `read_facts` returns it, and ``science`` (float32, 0 where there is no data), ``bad`` (bool: not finite, or
        no data: constant, or far from any sky), ``saturated`` (bool), ``nan_fraction``, ``blank_fraction``, and
        ``scaled``: None, or where the unit is out of the range of float32 or another is asked for, the ``factor`` that
        pixels were multiplied with, and unit and zero point before. Variances are to be multiplied with its square.

    Raises
    ------
    StudyError
        With file, key and remedy, for whatever cannot be used.
    """
    hdu, read = read_facts(spec, base_dir, pixels=True)
    data = hdu.data
    lost = ~np.isfinite(data)
    if lost.mean() > MAX_NAN:
        raise StudyError(
            f"{100 * lost.mean():.0f} % of the pixels are not finite",
            hdu.path,
            "cut the image to the part that has data",
        )
    blank = no_data(data, ~lost)
    read |= {"nan_fraction": float(lost.mean()), "blank_fraction": float((blank & ~lost).mean())}
    read["saturated"] = np.zeros(data.shape, bool) if read["saturation"] is None else data >= read["saturation"]
    if zero_point is None:
        factor, unit = _factor(data, ~(lost | blank)), None
    else:
        factor, unit = 10 ** (0.4 * (zero_point - read["zero_point"])), "nJy"
    read["scaled"] = {"factor": factor, **{k: read[k] for k in ("unit", "zero_point")}} if factor != 1 else None
    if factor != 1:
        data = data * np.float64(factor)
        read["unit"] = unit or f"{1 / factor:.0e} {read['unit']}"
        read["zero_point"] = zero_point or read["zero_point"] + 2.5 * round(np.log10(factor))
        read["gain"] /= factor
        if read["saturation"] is not None:
            read["saturation"] *= factor
    with np.errstate(over="ignore", invalid="ignore"):
        science = np.where(lost | blank, 0, data).astype(np.float32)
    bad = lost | blank | ~np.isfinite(science)
    return read | {"science": np.where(bad, np.float32(0), science), "bad": bad}


def _scatter(data, good):
    """Return median and robust standard deviation of the good pixels, of at most about a million."""
    values = data[good]
    values = values[:: max(1, values.size // 1_000_000)].astype(np.float64)
    if not values.size:
        return 0.0, 0.0
    centre = float(np.median(values))
    return centre, 1.4826 * float(np.median(np.abs(values - centre)))


def _factor(data, good):
    """Return the power of ten that brings the scatter of pixels near 1, where it is out of range; else 1."""
    _, scatter = _scatter(data, good)
    if not scatter > 0 or COMFORTABLE[0] <= scatter <= COMFORTABLE[1]:
        return 1.0
    return 10.0 ** -round(np.log10(scatter))


def no_data(data, finite):
    """Return which pixels of an image hold no sky: areas and lines of one value, and values far from all others.

    Areas outside of a coadd's footprint, gaps and dead lines are often set to 0 or to a negative number, without a
    mask that says so. Noise does not make `FLAT` x `FLAT` pixels equal, nor as many in a line.

    Parameters
    ----------
    data : (ny, nx) array
    finite : (ny, nx) bool array
        Pixels to consider.
    """
    flat = np.zeros(data.shape, bool)
    for shape in ((FLAT, FLAT), (1, FLAT**2), (FLAT**2, 1)):
        if all(n >= k for n, k in zip(data.shape, shape)):
            flat |= _constant(data, finite, shape)
    if flat.any():  # what touches such an area and has its value belongs to it
        values = np.unique(data[flat])
        for value in values[: FLAT**2]:
            same = finite & (data == value)
            flat |= ndimage.binary_propagation(flat & same, np.ones((3, 3)), mask=same)
    centre, scatter = _scatter(data, finite & ~flat)
    with np.errstate(over="ignore"):
        off = np.where(finite, data, centre).astype(np.float64) - centre
    return flat | ((off < -NO_SKY * scatter) | (np.abs(off) > NO_LIGHT * scatter)) & (scatter > 0)


def _constant(data, finite, shape):
    """Return the pixels that lie in a window of this shape whose pixels are finite and equal."""
    values = np.where(finite, data, 0)
    low, high = (f(values, shape) for f in (ndimage.minimum_filter, ndimage.maximum_filter))
    whole = ndimage.minimum_filter(finite, shape)
    middle = (low == high) & whole
    for axis, length in enumerate(shape):  # windows that reach beyond the edge do not count
        edge = np.arange(data.shape[axis])
        inside = (edge >= length // 2) & (edge < data.shape[axis] - length // 2)
        middle &= inside[:, None] if axis == 0 else inside[None, :]
    return ndimage.maximum_filter(middle, shape) if middle.any() else middle


def read_plane(entry, spec, shape, what, base_dir, pixels=True):
    """Return the `ImageHdu` of a plane beside the image, which must have its shape."""
    plane = read_hdu(path_of(entry, spec, base_dir), entry.get("hdu", 0), what, pixels)
    if plane.shape != shape:
        raise StudyError(
            f"the {what} has {plane.shape[1]} x {plane.shape[0]} pixels, the image {shape[1]} x {shape[0]}",
            plane.path,
            f"give the {what} of the same image",
        )
    return plane


def read_mask(spec, science, base_dir):
    """Return the (ny, nx) uint8 mask in the study's bits."""
    flags = np.where(science["bad"] | science["saturated"], np.uint8(BAD), np.uint8(0))
    entry = spec.get("mask")
    if not entry:
        return flags
    plane = read_plane(entry, spec, flags.shape, "mask", base_dir)
    data = plane.data
    if data.dtype.kind == "f":
        if not np.isfinite(data).all() or (data != np.round(data)).any():
            raise StudyError("the mask holds values that are not whole numbers", plane.path, "give a mask of bits")
        data = data.astype(np.int64)
    data = data.view(f"u{data.dtype.itemsize}")  # the highest bit of a signed number is a bit as any other
    for meaning in entry["meaning"]:
        value = meaning["value"]
        if value > np.iinfo(data.dtype).max:
            raise StudyError(
                f"the mask has {8 * data.dtype.itemsize} bits, none of them is {value}",
                f"{plane.path}, mask.meaning of {spec.get('name', 'image')}",
                "correct the value, or the `hdu`",
            )
        flags[(data & data.dtype.type(value)) != 0] |= getattr(MASK_BITS, meaning["flag"])
    return flags


def count_flags(flags):
    """Return the number of pixels of a mask by the name of the bit."""
    return {name: int(((flags >> number) & 1).sum()) for number, (name, _) in MASK_BITS.items()}


def read_variance(spec, science, flags, base_dir):
    """Return the variance plane that the entry names, or None if it is to be measured.

    A pixel without a positive, finite value has no data (coadds have a weight of zero there): the mask gets BAD, in
    place.
    """
    entry = spec.get("variance") or {}
    kind = entry.get("kind", "measured")
    if kind in NO_PLANE:
        return None
    what = _what("variance", entry)
    hdu = read_plane(entry, spec, flags.shape, what, base_dir)
    plane = hdu.data.astype(np.float64)
    good = (flags & BAD) == 0
    lost = good & ~(np.isfinite(plane) & (plane > 0))
    negative = (plane[good] < 0).mean() if good.any() else 0.0
    if negative > MAX_NEGATIVE:
        raise StudyError(
            f"{100 * negative:.0f} % of the {what} are negative where the image has data",
            hdu.path,
            f"give the `hdu` of the {what}, or use variance.kind: measured",
        )
    flags[lost] |= BAD
    good &= ~lost
    if not good.any():
        raise StudyError("no pixel has data", hdu.path, "check the mask and the variance")
    plane = np.where(good, plane, 1.0)
    plane = KINDS[kind](plane)
    if science["scaled"]:
        plane *= science["scaled"]["factor"] ** 2
    return np.where(good, plane, np.median(plane[good])).astype(np.float32)
