"""The template of a real image: an earlier image of the same sky on the same pixels.

It is adopted as the image itself: its sky, noise, mask and PSF are its own. What is asked of the pair is that a pixel
of one is the same piece of sky as that pixel of the other; nothing is resampled here.
"""

from contextlib import contextmanager

import numpy as np

from ...data.frames import pixel_to_sky, sky_to_pixel
from ...data.matching import match
from ...errors import StudyError
from .planes import read_facts

WCS_TOLERANCE = 0.1
"""Pixels by which the two WCS may differ anywhere in the image: a shift of half of that leaves dipoles of a few per
cent of a star's peak, which an engine that fits a kernel takes out."""
MAX_SHIFT = 1.0
"""Pixels by which the sources may be shifted in the median, whatever the WCS say: beyond, the pixels do not agree. Less
is reported: engines that fit a kernel take it out, others leave dipoles."""
MATCH_RADIUS = 3.0
"""Pixels within which sources of both images are taken for the same."""
MIN_SNR, MIN_MATCHED = 20.0, 5


def template_spec(spec):
    """Return the entry of the template as that of an image of its own, or None.

    Parameters
    ----------
    spec : dict
        Entry of the image, as `config.real_image.load_image` returns it.
    """
    entry = spec.get("template")
    if not entry:
        return None
    out = {"name": f"{spec.get('name', 'image')}: template", "band": spec["band"], "mask": None, **entry}
    if "input" in spec:
        out["input"] = spec["input"]
    return out


@contextmanager
def keys_of_template(spec):
    """Say of an error in the template of an image which keys to set: they have the names of those of the image."""
    try:
        yield
    except StudyError as error:
        where = f"in the entry {spec.get('name', 'image')} under `template`"
        raise StudyError(
            error.what,
            error.where,
            f"{error.remedy or 'correct it'} ({where}: what it does not say of psf, mask and sky is as for the image)",
        ) from error


def check_pair(spec, template, base_dir):
    """Raise if the template cannot be one of the image: another shape, other pixels, no zero point.

    Reads headers and pixels and measures nothing, so that a pair that cannot be used is refused at once.

    Parameters
    ----------
    spec, template : dict
        Entries of the image and, from `template_spec`, of its template.
    base_dir : path-like
        Folder of the fetched inputs.

    Raises
    ------
    StudyError
    """
    hdu, facts = read_facts(spec, base_dir)
    with keys_of_template(spec):
        other, others = read_facts(template, base_dir, pixels=True, what="template")
    where = f"{other.path} ({template['name']})"
    if not np.isfinite(other.data).any():
        raise StudyError("no pixel of the template is finite", where, "give the `hdu` that holds its pixels")
    check_pixels((hdu, facts), (other, others), where, "template", "image")


def check_pixels(first, second, where, name, reference):
    """Raise if two images, each as `read_facts` returns it, do not have the same pixels of the sky.

    Parameters
    ----------
    first, second : (ImageHdu, dict)
    where : str
        The second, for messages.
    name, reference : str
        What the second and the first are called.
    """
    (hdu, facts), (other, others) = first, second
    remedy = f"resample the {name} to the pixels of the {reference}"
    if hdu.shape != other.shape:
        (ny, nx), (height, width) = hdu.shape, other.shape
        raise StudyError(f"the {name} has {width} x {height} pixels, the {reference} {nx} x {ny}", where, remedy)
    off = wcs_offset(facts["wcs"], others["wcs"], hdu.shape)
    if not off <= WCS_TOLERANCE:
        raise StudyError(
            f"the WCS of the {name} is up to {off:.2f} pixels off that of the {reference}",
            where,
            f"{remedy} (to {WCS_TOLERANCE} pixels)",
        )


def wcs_offset(first, second, shape):
    """Return the largest distance in pixels, over an image, between where two WCS put the same place of the sky."""
    y, x = (v.ravel() for v in np.mgrid[0 : shape[0] - 1 : 5j, 0 : shape[1] - 1 : 5j])
    try:
        other = np.array(sky_to_pixel(second, *pixel_to_sky(first, x, y)))
    except Exception:  # a place that the other projection cannot show: another part of the sky
        return np.inf
    off = np.hypot(*(other - (x, y)))
    return float(off.max()) if np.isfinite(off).all() else np.inf


def compare(image, template, name="template", reference="image"):
    """Measure how well a pair agrees: shift and ratio of the fluxes of sources that both have.

    Parameters
    ----------
    image, template : AdoptedImage
    name, reference : str, optional
        What the second and the first are called.

    Returns
    -------
    dict
        ``matched``: number of sources with S/N above `MIN_SNR` in both; ``shift``: their median shift ([x, y], pixels,
        template minus image), ``shift_error`` and ``scatter`` (of each axis, from the median absolute deviation; the
        sources' own errors are in the scatter); ``flux_ratio``: median of the Kron flux in the image over that in the
        template, relative to the zero points. None where fewer than `MIN_MATCHED` sources match.

    Raises
    ------
    StudyError
        If the sources are shifted by more than `MAX_SHIFT`.
    """
    tables = []
    for one in (image, template):
        rows = one.objects
        snr = np.asarray(rows["flux"], float) / np.asarray(rows["flux_err"], float)
        tables.append(rows[np.nan_to_num(snr) > MIN_SNR])
    places = [np.c_[np.asarray(t["x"], float), np.asarray(t["y"], float)] for t in tables]
    pairs = match(*places, MATCH_RADIUS)
    out = {"matched": len(pairs), "shift": None, "shift_error": None, "scatter": None, "flux_ratio": None}
    if len(pairs) < MIN_MATCHED:
        return out
    ours, theirs = np.asarray(pairs["truth"]), np.asarray(pairs["detection"])
    delta = places[1][theirs] - places[0][ours]
    shift = np.median(delta, axis=0)
    scatter = 1.4826 * np.median(np.abs(delta - shift), axis=0)
    if np.hypot(*shift) > MAX_SHIFT:
        raise StudyError(
            f"the sources of the {name} are shifted by {np.hypot(*shift):.2f} pixels in the median of {len(pairs)}",
            template.name,
            f"register the {name} to the {reference}",
        )
    scale = 10 ** (0.4 * (image.zero_point - template.zero_point))
    ratio = np.asarray(tables[0]["flux"], float)[ours] / np.asarray(tables[1]["flux"], float)[theirs] / scale
    return {
        **out,
        "shift": shift.tolist(),
        "scatter": scatter.tolist(),
        "flux_ratio": float(np.median(ratio)),
        "shift_error": (1.2533 * scatter / np.sqrt(len(pairs))).tolist(),
    }
