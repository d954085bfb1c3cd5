"""The PSF of a real image as its entry gives it: a profile, an image of the PSF, or a model of PSFEx or Piff.

Whatever is given is brought to the pixels of the image and centred, once. A model that changes over the field is
evaluated at places all over it and kept as polynomials, as the PSF that is measured on stars.
"""

import galsim
import numpy as np
from astropy.io import fits

from ...config.real_image import Psf
from ...data.frames import jacobian
from ...data.hdus import pixel_scale_of, read_hdu, read_wcs
from ...data.psf_shift import equivalent_fwhm
from ...errors import StudyError
from .planes import read_facts
from .psf import MIN_STARS, ImagePsf, fit_field, residuals
from .stars import field_terms, moments

SMALLEST, LARGEST = 5, 201
"""Sides of a PSF image on the pixels of the image: with less there is no wing, with more every stage slows down."""
OFF_CENTRE = 0.2
"""Pixels by which the centroid of a stamp may be off its central pixel before it is moved there."""
NEGATIVE = 0.1
"""Largest part of the light that may be negative: more than ringing, and than noise that a PSF should have."""
SAME = 0.01
"""Relative difference up to which two pixel scales are the same."""
OFF_WARNED, OFF_REFUSED = 0.1, 0.3
"""Relative differences from the image's own stars, in FWHM or light near the centre."""
SHARP = 0.03
"""Relative scatter in half-light radius up to which objects are stars: 0.04 is that of whatever galaxies are taken."""
FIELD_ORDER, FIELD_TOLERANCE = 4, 1e-3
"""Largest order of the polynomials that describe a model over the field, and the error of a pixel, relative to the
peak, at which a smaller one is enough."""


def given_psf(spec, pixel_scale, path=None, where="psf", wcs=None, shape=(1, 1)):
    """Return a PSF that the image's entry gives: an analytic profile, or a file.

    Parameters
    ----------
    spec : dict
        As `config.real_image.Psf` has it, its kind not "measured".
    pixel_scale : float
        Of the image, arcsec.
    path : path-like, optional
        The file: an image of the PSF (at any sampling, of any size), a PSFEx or a Piff model.
    where : str
        For messages.
    wcs : WCS, optional
        Of the image: a PSF image that has a WCS too is turned from one to the other.
    shape : tuple of int
        (nx, ny) of the image, over which models are evaluated.

    Raises
    ------
    StudyError
        If a parameter is missing, or the file has no PSF of this image.
    """
    size = int(spec.get("size", Psf(kind="measured").size))
    if spec["kind"] == "file":
        try:
            with fits.open(path, memmap=False) as hdus:
                table = _model_of(hdus, spec.get("hdu", 0))
                if table is not None and table.name.upper() == "PSF":
                    return _piff(path, size, pixel_scale, shape)
                if table is not None:
                    return _psfex(table, path, pixel_scale, shape)
        except OSError as error:
            raise StudyError(f"the PSF cannot be read ({error})", str(path), f"check {where}.file") from error
        return _image(spec, path, pixel_scale, where, wcs, shape)
    model = {"kind": spec["kind"]}
    for key in ("fwhm", "beta")[: 2 if spec["kind"] == "moffat" else 1]:
        if spec.get(key) is None:
            raise StudyError(
                f"a PSF of kind {spec['kind']} needs {key}", f"{where}.{key}", "give it, or use kind: measured"
            )
        model[key] = float(spec[key])
    report = {"kind": spec["kind"], "chosen": spec["kind"], "fwhm_arcsec": model["fwhm"]}
    return ImagePsf(model, size, pixel_scale, report=report)


def check_file(spec):
    """Raise if the PSF file of an image's entry holds no PSF for it; of the image only the header is read."""
    hdu, facts = read_facts(spec, None)
    where = f"{spec.get('name', 'image')}: psf"
    given_psf(spec["psf"], pixel_scale_of(facts["wcs"]), spec["psf"]["file"], where, facts["wcs"], hdu.shape[::-1])


def _model_of(hdus, hdu):
    """Return the table of a PSFEx or Piff model in an open file, or None: the HDU that is named, or the one there."""
    models = [
        part
        for part in hdus
        if isinstance(part, fits.BinTableHDU)
        and ("PSF_MASK" in part.columns.names or (part.name.upper() == "PSF" and "type" in part.columns.names))
    ]
    if hdu == 0 and hdus[0].data is None:
        return models[0] if models else None
    named = [part for number, part in enumerate(hdus) if hdu == number or str(hdu).upper() == part.name.upper()]
    return next((part for part in models if part in named), None)


# --- models that change over the field ---------------------------------------------------------------


def _psfex(table, path, pixel_scale, shape):
    """Return the model of a PSFEx file: its samples hold the pixel's response."""
    from galsim.des import DES_PSFEx

    try:
        model = DES_PSFEx(table)
    except (OSError, KeyError) as error:
        raise StudyError(
            f"the PSFEx model cannot be used ({error})", str(path), "give PSFEX a polynomial in X_IMAGE and Y_IMAGE"
        ) from error
    for axis, name in enumerate("xy"):
        zero, reach = getattr(model, f"{name}_zero"), getattr(model, f"{name}_scale")
        if shape != (1, 1) and abs((shape[axis] + 1) / 2 - zero) > reach:
            raise StudyError(
                f"the PSFEx model was made about {name} = {zero:.0f}, over {reach:.0f} pixels; the image has its "
                f"middle at {(shape[axis] + 1) / 2:.0f}",
                str(path),
                "give the model of this image, in its pixels: no model holds outside of its stars",
            )
    size = _odd(min(model.basis.shape[1:]) * model.sample_scale, path)

    def draw(x, y):
        profile = model.getPSF(galsim.PositionD(x + 1, y + 1))  # FITS counts from 1
        return profile.drawImage(nx=size, ny=size, scale=1.0, method="no_pixel", dtype=float).array

    return _over_field(draw, range(model.fit_order, model.fit_order + 1), path, "PSFEx", size, pixel_scale, shape)


def _piff(path, size, pixel_scale, shape):
    """Return the model of a Piff file; its package reads it."""
    try:
        import piff
    except ImportError as error:
        raise StudyError(
            "this is a model of Piff, whose package cannot be imported here",
            str(path),
            "pip install piff; or draw the PSF to an image and give that",
        ) from error
    try:
        model = piff.read(str(path))
        model.draw(x=1, y=1, stamp_size=size, center=True)
    except Exception as error:  # of whatever kind Piff raises: a damaged file, several chips, properties of stars
        raise StudyError(
            f"the Piff model cannot be drawn ({error})", str(path), "draw the PSF to an image and give that"
        ) from error

    def draw(x, y):
        return model.draw(x=x + 1, y=y + 1, stamp_size=size, center=True).array.astype(float)

    return _over_field(draw, range(FIELD_ORDER + 1), path, "Piff", size, pixel_scale, shape)


def _over_field(draw, orders, path, what, size, pixel_scale, shape):
    """Return the `ImagePsf` of a model: polynomials through what it draws at whole pixels all over the image."""
    side = 2 * max(orders) + 3
    x, y = (g.ravel() for g in np.meshgrid(*(np.round(np.linspace(0, n - 1, side)) for n in shape)))
    drawn = np.array([draw(*place) for place in zip(x, y)])
    for array in drawn:
        _check(array, path)
    drawn /= drawn.sum(axis=(1, 2), keepdims=True)
    for order in orders:
        design = field_terms(x, y, shape, order)
        terms = np.linalg.lstsq(design, drawn.reshape(len(x), -1), rcond=None)[0]
        error = np.abs(design @ terms - drawn.reshape(len(x), -1)).max() / drawn.max()
        if error < FIELD_TOLERANCE:
            break
    psf = ImagePsf({"kind": "pixels"}, size, pixel_scale, terms.reshape(-1, size, size), order, shape)
    return _reported(psf, format=what, order=order, largest_error_of_peak=float(error), evaluated_at=len(x))


# --- an image of the PSF -----------------------------------------------------------------------------


def _image(spec, path, pixel_scale, where, wcs, shape):
    """Return the PSF of an image file: taken as it is, or resampled and centred."""
    hdu = read_hdu(path, spec.get("hdu", 0), "PSF")
    array = np.array(hdu.data, dtype=float)
    _check(array, path)
    matrix, source = _to_pixels(spec, hdu, pixel_scale, where, wcs, shape)
    offset = np.array(moments(array)[3:])
    by = "centroid"
    if not np.isfinite(offset).all():
        y, x = np.unravel_index(array.argmax(), array.shape)
        offset, by = np.array([x - (array.shape[1] - 1) / 2, y - (array.shape[0] - 1) / 2]), "brightest pixel"
    facts = {"format": "image", "pixels": list(array.shape[::-1]), "sampling": source}
    square = array.shape[0] == array.shape[1] <= LARGEST and array.shape[0] % 2 == 1
    if square and np.allclose(matrix, np.eye(2), atol=SAME) and np.hypot(*offset) < OFF_CENTRE:
        pixels = array / array.sum()
    else:
        pixels = _resampled(array, matrix, offset, not spec.get("includes_pixel", True), path)
        facts["moved_by"] = (-offset).tolist()
        facts["centred"] = f"by its {by}, and drawn on {len(pixels)} x {len(pixels)} pixels of the image"
    psf = ImagePsf({"kind": "pixels"}, len(pixels), pixel_scale, pixels[None], 0, (1, 1))
    return _reported(psf, **facts)


def _to_pixels(spec, hdu, pixel_scale, where, wcs, shape):
    """Return the matrix d(pixel of the image) / d(pixel of the PSF), and where it is from.

    From the PSF's own WCS; or its scale from ``PIXELSCL`` (the headers of STPSF), `pixel_scale` or `oversampling`;
    or it is that of the image.
    """
    scale, source, matrix = None, "none is known: taken for the image's", np.eye(2)
    if "-" in str(hdu.header.get("CTYPE1", "")):  # RA---TAN, GLON-CAR
        own, source = jacobian(read_wcs(hdu), (hdu.shape[1] - 1) / 2, (hdu.shape[0] - 1) / 2), "its own WCS"
        scale = float(np.sqrt(abs(np.linalg.det(own))))
        if wcs is not None:
            matrix = np.linalg.inv(jacobian(wcs, (shape[0] - 1) / 2, (shape[1] - 1) / 2)) @ own
    elif isinstance(hdu.header.get("PIXELSCL"), float):
        scale, source = hdu.header["PIXELSCL"], "PIXELSCL of its header"
    stated = spec.get("pixel_scale") or (pixel_scale / spec["oversampling"] if spec.get("oversampling") else None)
    if stated is not None and scale is not None and abs(stated / scale - 1) > SAME:
        raise StudyError(
            f"the PSF has {scale:.4f} arcsec per pixel by {source}, and {stated:.4f} by the entry",
            f"{hdu.path}, {where}",
            "remove `pixel_scale` and `oversampling` from the entry, or mend the header of the PSF",
        )
    if stated is not None and scale is None:
        scale, source = stated, "the entry"
    if scale is not None and (wcs is None or source != "its own WCS"):
        matrix = np.eye(2) * scale / pixel_scale
    return matrix, source


def _resampled(array, matrix, offset, add_pixel, path):
    """Return a PSF on the pixels of the image, (k, k) with k odd, unit sum: what was at ``offset`` is in the middle."""
    reach = np.array(array.shape[::-1]) / 2 - np.abs(offset) - 0.5
    size = _odd(2 * (np.sqrt(abs(np.linalg.det(matrix))) * reach.min()), path)
    surface = galsim.InterpolatedImage(
        galsim.Image(np.ascontiguousarray(array), scale=1.0), x_interpolant="lanczos5", flux=1.0
    )
    moved = surface.shift(*-offset).transform(*matrix.ravel())
    drawn = moved.drawImage(nx=size, ny=size, scale=1.0, method="auto" if add_pixel else "no_pixel", dtype=float).array
    return drawn / drawn.sum()


# --- does it agree with the stars of the image? ------------------------------------------------------


def check_stars(psf, stars, where):
    """Compare a given PSF with the image's own stars. Return (facts for the report, warnings).

    Parameters
    ----------
    psf : ImagePsf
    stars : Stars
        As `select_stars` returns them; fewer than 8 decide nothing.
    where : str
        For messages.

    Raises
    ------
    StudyError
        If the FWHM, or the light near the centre, is off by more than 30 %. A PSF that is narrower is warned of where
        the stars have no common size: they may be galaxies.
    """
    if len(stars) < MIN_STARS:
        return {"stars": len(stars)}, []
    wider = 1 / np.sqrt(1 + np.nanmedian(residuals(stars, psf)[:, 0]))
    fwhm = 2.3548 * np.sqrt(np.median(stars.size) / 2) * psf.scale
    pixels = np.mean([psf.pixels(x, y) for x, y in zip(stars.x[:MIN_STARS], stars.y[:MIN_STARS])], axis=0)
    core = min(stars.core, len(pixels) // 2)
    light = [_share(a, core) for a in (pixels, fit_field(stars, psf.shape, 0)[0])]
    facts = {
        "stars": len(stars),
        "fwhm_over_stars": float(wider),
        "light_over_stars": light[0] / light[1],
        "aperture_pixels": core / 2.5,
    }
    off = max(max(r, 1 / r) - 1 for r in (wider, facts["light_over_stars"]))
    if off < OFF_WARNED:
        return facts, []
    what = (
        f"the PSF has a FWHM of {wider * fwhm:.3g} arcsec and {100 * light[0]:.0f} % of its light within "
        f"{core / 2.5 * psf.scale:.2g} arcsec; {len(stars)} stars of the image have {fwhm:.3g} arcsec and "
        f"{100 * light[1]:.0f} %"
    )
    sharp = stars.counts.get("locus_scatter_pixels", 0) < SHARP * stars.counts.get("locus_hlr_pixels", 1)
    if not off < OFF_REFUSED and (sharp or wider > 1 or not np.isfinite(off)):
        raise StudyError(
            what, where, "give the PSF of this image, or its sampling (oversampling or pixel_scale); or kind: measured"
        )
    return facts, [what]


def _share(pixels, core):
    """Return the light within the half-light radius of stars over that within 2.5 times as much."""
    radius = np.hypot(*(np.indices(pixels.shape) - len(pixels) // 2))
    return float(pixels[radius <= core / 2.5].sum() / pixels[radius <= core].sum())


# --- what all are checked for ------------------------------------------------------------------------


def _odd(side, path):
    """Return the largest odd whole number up to a side in pixels of the image, within the limits."""
    size = min(2 * int((side - 1) // 2) + 1, LARGEST)
    if size < SMALLEST:
        raise StudyError(
            f"the PSF covers {side:.1f} pixels of the image",
            str(path),
            f"give a PSF of at least {SMALLEST} pixels of the image on each side of a square, or its right scale",
        )
    return size


def _check(array, path):
    """Raise if pixels are no PSF: not finite, without light, negative, or flat."""
    if not np.isfinite(array).all() or not array.sum() > 0:
        raise StudyError(
            "the PSF has pixels that are not finite, or no light", str(path), "give a sky-subtracted, finite PSF"
        )
    negative = -array[array < 0].sum() / np.abs(array).sum()
    if negative > NEGATIVE:
        raise StudyError(
            f"{100 * negative:.0f} % of the light of the PSF is negative",
            str(path),
            "give a sky-subtracted PSF, with less noise; the right `hdu`",
        )
    width = equivalent_fwhm(array)
    if not width < 0.5 * min(array.shape):
        raise StudyError(
            f"the PSF is flat: its FWHM would be {width:.1f} of {min(array.shape)} pixels",
            str(path),
            "give a PSF without its sky, on pixels over twice as many as its FWHM",
        )


def _reported(psf, **facts):
    """Return the PSF with its report: how it was read, and what it is in the middle of the image."""
    pixels = psf.pixels(psf.shape[0] / 2, psf.shape[1] / 2)
    size, g1, g2, dx, dy = moments(pixels)
    psf.report = {
        "kind": "file",
        "chosen": "file",
        "fwhm_arcsec": float(galsim.Image(np.ascontiguousarray(pixels), scale=psf.scale).calculateFWHM()),
        "size_t_pixels2": size,
        "g1": g1,
        "g2": g2,
        "centroid_offset_pixels": [dx, dy],
        **facts,
    }
    return psf
