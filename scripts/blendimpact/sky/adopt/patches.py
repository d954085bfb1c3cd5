"""Cut an adopted image into patches, with the real sources of each as context."""

import json
import warnings

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs.utils import fit_wcs_from_points

from ...config.case import Keys
from ...config.tiling import Tiling, blocks
from ...data.catalogues import describe
from ...data.frames import pixel_to_sky
from ...data.images import BandImage, Patch
from ...data.light import real_light
from ...errors import StudyError
from .noise import NOISE_META

MAX_MASKED = Keys.model_fields["max_masked"].default
CONTEXT_IDS = 1_000_000

PROFILE_COLUMNS = (
    "hlr_bulge",
    "n_bulge",
    "g1_bulge",
    "g2_bulge",
    "hlr_disk",
    "n_disk",
    "g1_disk",
    "g2_disk",
    "trail_length",
    "trail_angle",
)


def truth_columns(bands, unit):
    """Return {name: (unit, description)} of the truth table of a patch with ``bands``."""
    columns = {
        "case": (None, "science case"),
        "scenario": (None, "scenario of the case"),
        "patch": (None, "index of the patch"),
        "block": (None, "block of sky: the unit of resampling"),
        "twin": (None, "plus, minus: scene sheared by +g, -g; zero: not sheared"),
        "source_id": (None, "source, unique in its patch"),
        "role": (None, "target: to be measured; scene: known light, no target; context: real source, light not known"),
        "kind": (None, "galaxy, star, sersic, stamp, trail; real: as found on the real image"),
        "x": ("pix", "centre along axis 1, first pixel is 0"),
        "y": ("pix", "centre along axis 2, first pixel is 0"),
        "ra": ("deg", "right ascension"),
        "dec": ("deg", "declination"),
        "redshift": (None, "redshift"),
        "evolution": (None, "stage of evolution of a star, empty where it is not known"),
        "snr": (
            None,
            "isolated matched-filter signal-to-noise ratio on the sky's noise, all bands; real "
            "sources: of the Kron flux",
        ),
        "hlr": ("arcsec", "half-light radius of the whole source, circularised, before the PSF; real sources: with it"),
        "hlr_bulge": ("arcsec", "half-light radius of the bulge, circularised, before shear"),
        "n_bulge": (None, "Sersic index of the bulge"),
        "g1_bulge": (None, "reduced shear of the bulge along the x axis"),
        "g2_bulge": (None, "reduced shear of the bulge along the diagonal"),
        "hlr_disk": ("arcsec", "half-light radius of the disk or single profile, circularised, before shear"),
        "n_disk": (None, "Sersic index of the disk or single profile"),
        "g1_disk": (None, "reduced shear of the disk or single profile along the x axis"),
        "g2_disk": (None, "reduced shear of the disk or single profile along the diagonal"),
        "trail_length": ("arcsec", "length of a trail"),
        "trail_angle": ("deg", "angle of a trail, counterclockwise from the x axis"),
        "stamp": (None, "FITS file of a stamp"),
        "ambiguous": (None, "a brighter real source lay within the match radius before injection"),
        "injection_id": (None, "id in the injection catalogue, -1: not injected"),
        "injection_flag": (None, "bits of blendimpact.sky.injection_flags.INJECTION_BITS"),
    }
    for band in bands:
        columns |= {
            f"flux_{band}": (unit, f"total flux in {band}, in the unit of the image"),
            f"mag_{band}": ("mag", f"AB magnitude in {band}"),
            f"snr_{band}": (None, f"isolated matched-filter signal-to-noise ratio in {band}"),
            f"purity_{band}": (None, f"sum s^2 / sum s (all known light) in {band}; blendedness is 1 - it"),
            f"bulge_fraction_{band}": (None, f"part of the light that the bulge has in {band}"),
        }
    return columns


def cut_wcs(wcs, x0, y0, shape):
    """Return the WCS of a cut-out whose first pixel is (x0, y0) of the parent.

    A WCS with distortions is replaced by the tangent-plane fit to the cut-out, as FITS headers
    without extensions cannot hold them; over a block of arc minutes the two agree to 1e-3 pixel or
    better, and the fit is refused where they do not.
    """
    cut = wcs.deepcopy()
    cut.wcs.crpix = np.asarray(wcs.wcs.crpix) - (x0, y0)
    cut.pixel_shape = shape[1], shape[0]
    plain = wcs.sip is None and wcs.cpdis1 is None and wcs.cpdis2 is None and wcs.det2im1 is None
    if plain and wcs.wcs.ctype[0].endswith("TAN"):
        cut.wcs.set()
        return cut
    y, x = (v.ravel().astype(float) for v in np.mgrid[0 : shape[0] - 1 : 9j, 0 : shape[1] - 1 : 9j])
    sky = wcs.pixel_to_world(x + x0, y + y0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        fitted = fit_wcs_from_points((x, y), sky, projection="TAN")
    fitted.pixel_shape = shape[1], shape[0]
    off = np.hypot(*(np.array(fitted.world_to_pixel(sky)) - (x, y)))
    if off.max() > 0.05:
        raise StudyError(
            f"the distortion over a block is {off.max():.2f} pixels beyond a tangent plane",
            None,
            "use smaller blocks (tiling.block)",
        )
    return fitted


def adopt_patches(image, settings, seed, case, scenario):
    """Cut an adopted image into blocks, one patch each.

    Parameters
    ----------
    image : AdoptedImage or AdoptedBands
        Its ``report`` gets the entry ``blocks``.
    settings : dict
        ``patch`` with ``size`` and ``border`` in pixels (else the tiling of the image's entry), ``bands``,
        ``max_masked`` (share of a block's pixels that may be masked).
    seed : int
        Not used: nothing here is random.
    case, scenario : str
        For the truth table.

    Yields
    ------
    patch : Patch
        Its index is the number of the block, twin "zero". Planes BASE and SEG; MODEL and NOISE
        come with the injection. VAR is the variance of the sky plus the photon noise of `real_light`. An image
        with a template gives each patch its ``templates``.
    truth : Table
        One row, role "context", for each real source that has a pixel in the patch. ``meta`` holds the
        noise model that the injection draws from.

    Raises
    ------
    StudyError
        If the image's bands are not those that are asked for, or no block can be used.
    """
    if list(settings.get("bands", image.bands)) != list(image.bands):
        known = ", ".join(image.bands)
        raise StudyError(
            f"the image {image.name} is in band {known}, the case asks for {settings['bands']}",
            f"cases.{case}.bands",
            f"bands: [{known}]",
        )
    tiling = {**Tiling().plain(), **(image.spec.get("tiling") or {})}
    size = settings.get("patch", {}).get("size") or tiling["block"]
    border = settings.get("patch", {}).get("border", tiling["border"])
    entry = {"tiling": {"region": tiling["region"]}, "size": image.shape[::-1]}
    origins = blocks(entry, {"size": size, "border": border})
    if not origins:
        raise StudyError(
            f"no block of {size} pixels with a border of {border} fits into the image",
            image.name,
            "make patch.size and patch.border smaller",
        )
    limit = settings.get("max_masked", MAX_MASKED)
    flags = image.mask if image.template is None else image.mask | image.template.mask
    masked = [float((flags[y : y + size, x : x + size] > 0).mean()) for x, y in origins]
    excluded = [b for b, share in enumerate(masked) if share > limit]
    image.report["blocks"] = {
        "size": size,
        "border": border,
        "tiled": len(origins),
        "used": len(origins) - len(excluded),
        "excluded": excluded,
        "max_masked": limit,
        "masked_share_used": [float(f([m for m in masked if m <= limit] or [0])) for f in (np.mean, np.max)],
        "area_arcmin2": (len(origins) - len(excluded)) * (size * image.pixel_scale / 60) ** 2,
    }
    if len(excluded) == len(origins):
        raise StudyError(
            f"all {len(origins)} blocks have more than {100 * limit:.0f} % masked pixels", image.name, "check the mask"
        )
    for block, (x, y) in enumerate(origins):
        if block not in excluded:
            yield _cut(image, block, x - border, y - border, size + 2 * border, border, case, scenario)


def _cut(image, block, x0, y0, side, border, case, scenario):
    here = np.s_[y0 : y0 + side, x0 : x0 + side]
    owner = image.segmentation[here]
    seg = np.where(owner > 0, owner + CONTEXT_IDS, 0).astype(np.int32)
    wcs = cut_wcs(image.wcs, x0, y0, owner.shape)  # those of bands and templates agree to `template.WCS_TOLERANCE`
    bands, templates = {}, {}
    for name, one in image.bands.items():
        bands[name] = _band(one, x0, y0, side, wcs)
        bands[name].planes = {"BASE": bands[name].science.copy(), "SEG": seg}
    if image.template is not None:
        templates[image.band] = _band(image.template, x0, y0, side, wcs)
    patch = Patch(block, "zero", 0.0, bands, border, templates=templates)
    numbers = np.unique(owner)
    return patch, _context(numbers[numbers > 0] - 1, patch, x0, y0, block, case, scenario, image)


def _band(image, x0, y0, side, wcs):
    """Cut a square out of one band of an adopted image, without planes."""
    here = np.s_[y0 : y0 + side, x0 : x0 + side]
    science = image.science[here].copy()
    variance = image.sky_variance[here] + real_light(science, image.segmentation[here]) / image.gain
    return BandImage(
        band=image.band,
        science=science,
        variance=variance.astype(np.float32),
        mask=image.mask[here].copy(),
        psf=image.psf.pixels(x0 + (side - 1) / 2, y0 + (side - 1) / 2),
        wcs=wcs.deepcopy(),
        zero_point=image.zero_point,
        gain=image.gain,
        psf_model=dict(image.psf.model),
        unit=image.unit,
        saturation=None if image.saturation is None else image.saturation - float(image.pedestal[here].max()),
    )


def _context(here, patch, x0, y0, block, case, scenario, image):
    """Return the truth of a patch: the objects of the image with these indices."""
    objects, n = image.objects[here], len(here)
    x, y = np.asarray(objects["x"], float) - x0, np.asarray(objects["y"], float) - y0
    ra, dec = pixel_to_sky(patch.reference.wcs, x, y) if n else (np.empty(0), np.empty(0))
    nan = np.full(n, np.nan)
    values = {
        "case": np.full(n, case, dtype="U32"),
        "scenario": np.full(n, scenario, dtype="U32"),
        "patch": np.full(n, block, np.int64),
        "block": np.full(n, block, np.int64),
        "twin": np.full(n, "zero", dtype="U5"),
        "source_id": np.asarray(objects["number"], np.int64) + CONTEXT_IDS,
        "role": np.full(n, "context", dtype="U7"),
        "kind": np.full(n, "real", dtype="U6"),
        "x": x,
        "y": y,
        "ra": ra,
        "dec": dec,
        "redshift": nan,
        "evolution": np.full(n, "", dtype="U1"),
        "snr": _flux_and_snr(objects)[1],
        "hlr": np.asarray(objects["hlr"], float) * image.pixel_scale,
        **{key: nan for key in PROFILE_COLUMNS},
        "stamp": np.full(n, "", dtype="U1"),
        "ambiguous": np.zeros(n, bool),
        "injection_id": np.full(n, -1, np.int64),
        "injection_flag": np.zeros(n, np.int32),
    }
    for name, one in image.bands.items():
        flux, snr = _flux_and_snr(one.objects[here])
        with np.errstate(divide="ignore", invalid="ignore"):
            mag = np.where(flux > 0, one.zero_point - 2.5 * np.log10(flux), np.nan)
        values |= {f"flux_{name}": flux, f"mag_{name}": mag, f"snr_{name}": snr}
        values |= {f"purity_{name}": nan, f"bulge_fraction_{name}": nan}
    columns = truth_columns(image.bands, None)
    truth = describe(Table({key: values[key] for key in columns}), columns)
    noise = {name: one.noise.correlation for name, one in image.bands.items()}
    truth.meta[NOISE_META] = json.dumps({b: {"correlation": np.round(c, 6).tolist()} for b, c in noise.items()})
    return truth


def _flux_and_snr(objects):
    flux = np.asarray(objects["flux"], float)
    return flux, flux / np.asarray(objects["flux_err"], float)
