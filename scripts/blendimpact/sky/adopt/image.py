"""Adopt a real image: read it, and measure all that injecting into it needs."""

from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS

from ...config.real_image import Psf
from ...data.hdus import pixel_scale_of
from ...data.images import AB_NANOJANSKY
from ...data.light import real_light
from ...data.significance import KERNEL_3X3
from ...errors import StudyError
from .bands import check_bands, chosen_bands, joined, keys_of_band
from .detector import find_defects, level_lines
from .given_psf import check_stars, given_psf
from .noise import NoiseModel, measure_depth, measure_sky
from .noise_checks import check_given, check_photons, from_photons, with_source_photons
from .planes import BAD, count_flags, path_of, read_mask, read_science, read_variance
from .psf import ImagePsf, measure_psf
from .stars import find_objects, select_stars
from .template import check_pair, compare, keys_of_template, template_spec

STAR_STAMP = 41
"""Side in pixels of the stamps of stars with which a given PSF is compared."""
MIN_SKY = 0.02
"""Least part of the pixels that is free of sources; with less there is no sky to measure."""


@dataclass
class AdoptedImage:
    """A real image in one band, sky-subtracted, with what was measured on it.

    Attributes
    ----------
    name, band : str
    science : (ny, nx) float32 array
        Minus the reference sky, so that the true sky is about 0; 0 where there is no data.
    sky_variance : (ny, nx) float32 array
        Variance without the photon noise of sources.
    mask : (ny, nx) uint8 array
        Bits of `MASK_BITS`.
    wcs : WCS
    zero_point, gain : float
    saturation : float or None
        In the unit of the image, before the sky was subtracted.
    pedestal : (ny, nx) float32 array or None
        What was subtracted from the pixels, sky and bias, where something may saturate.
    unit : str
    psf : ImagePsf
    noise : NoiseModel
    objects, segmentation
        As `find_objects` returns them.
    spec : dict
        Entry of the image.
    report : dict
        For report.json; the same bytes from the same input.
    template : AdoptedImage or None
        An earlier image of the same sky on the same pixels.
    """

    name: str
    band: str
    science: np.ndarray
    sky_variance: np.ndarray
    mask: np.ndarray
    wcs: WCS
    zero_point: float
    gain: float
    saturation: float
    pedestal: np.ndarray
    unit: str
    psf: ImagePsf
    noise: NoiseModel
    objects: Table
    segmentation: np.ndarray
    spec: dict
    report: dict
    template: "AdoptedImage | None" = None

    @property
    def pixel_scale(self):
        """Pixel scale in arcsec."""
        return pixel_scale_of(self.wcs)

    @property
    def shape(self):
        """(ny, nx)."""
        return self.science.shape

    @property
    def bands(self):
        """Its one band, as `AdoptedBands` has several."""
        return {self.band: self}


def adopt(spec, base_dir, bands=None):
    """Adopt a real image: its template too if its entry has one, or its several bands.

    Parameters
    ----------
    spec : dict
        Entry of the image, as `config.real_image.load_image` returns it.
    base_dir : path-like
        Folder of the fetched inputs; planes given as ``file`` do not need it.
    bands : sequence of str, optional
        Which of several bands; all by default.

    Returns
    -------
    AdoptedImage or AdoptedBands

    Raises
    ------
    StudyError
        With file, key and remedy, for whatever cannot be used.
    """
    if "bands" in spec:
        check_bands(spec, base_dir, bands)
        images = {}
        for band, entry in chosen_bands(spec, bands).items():
            with keys_of_band(spec, band):
                images[band] = _adopt(entry, base_dir, AB_NANOJANSKY)
        return joined(spec, images)
    earlier = template_spec(spec)
    if earlier is None:
        return _adopt(spec, base_dir)
    check_pair(spec, earlier, base_dir)
    image = _adopt(spec, base_dir)
    with keys_of_template(spec):
        image.template = _adopt(earlier, base_dir)
    image.report["template"] = {**image.template.report, "pair": compare(image, image.template)}
    return image


def _adopt(spec, base_dir, zero_point=None):
    """Adopt one image, in the unit of this AB magnitude or its own."""
    read = read_science(spec, base_dir, zero_point)
    mask = read_mask(spec, read, base_dir)
    given = read_variance(spec, read, mask, base_dir)
    detector = spec.get("detector") or {}
    science, raw = _levelled(read["science"], mask, detector)
    bad = (mask & BAD) != 0
    if bad.mean() > 0.5:
        raise StudyError(
            f"{100 * bad.mean():.0f} % of the pixels have no data",
            str(read["path"]),
            "check the meaning of the mask's bits",
        )
    scale = pixel_scale_of(read["wcs"])
    sky, bad = _sky(science, mask, scale, spec, detector, read)
    science = np.where(bad, 0, science - sky.level).astype(np.float32)
    noise, warnings = _noise(spec, read, science, sky, given)
    rms = sky.rms if given is None else np.sqrt(given)
    objects, segmentation = find_objects(science, rms, bad)
    if given is None:
        variance, slope = np.square(sky.rms), None
    else:
        light = real_light(science, segmentation)
        variance, slope = with_source_photons(given, light, ~sky.sources, sky.rms, read["gain"])
    psf = _psf(spec, read, science, bad, objects, segmentation, scale, base_dir)
    centre = psf.pixels(science.shape[1] / 2, science.shape[0] / 2)
    report = {
        "image": spec.get("name"),
        "band": spec["band"],
        "file": read["path"].name,
        "shape": list(science.shape),
        "pixel_scale_arcsec": scale,
        "unit": read["unit"],
        "scaled": read["scaled"],
        "zero_point": read["zero_point"],
        "gain": read["gain"],
        "saturation": read["saturation"],
        "area_arcmin2": float(science.size * scale**2 / 3600),
        "not_finite_fraction": read["nan_fraction"],
        "blank_fraction": read["blank_fraction"],
        "masked_pixels": count_flags(mask),
        "masked_fraction": float((mask > 0).mean()),
        "sky": sky.report,
        "detector": raw,
        "noise": {
            "correlation": np.round(sky.noise.correlation, 6).tolist(),
            "variance": spec.get("variance", {}).get("kind", "measured"),
            **noise,
            "variance_slope_times_gain": slope,
            "detection_noise_factor": float(np.sqrt(sky.noise.variance_factor(KERNEL_3X3))),
            "note": "thresholds and errors of SEP, HSM and apertures take noise for white; the true noise "
            "is larger by detection_noise_factor behind the 3x3 kernel, and by depth.*_noise_factor",
        },
        "psf": psf.report,
        "depth": measure_depth(science, sky, centre, scale, read["zero_point"]),
        "warnings": warnings + psf.report.pop("warnings", []),
        "objects": len(objects),
        "acknowledgement": spec.get("acknowledgement"),
        "reference": spec.get("reference"),
    }
    return AdoptedImage(
        name=spec.get("name", "image"),
        band=spec["band"],
        science=science,
        sky_variance=variance.astype(np.float32),
        mask=mask,
        wcs=read["wcs"],
        zero_point=read["zero_point"],
        gain=read["gain"],
        saturation=read["saturation"],
        pedestal=None if read["saturation"] is None else np.where(bad, 0, read["science"] - science),
        unit=read["unit"],
        psf=psf,
        noise=sky.noise,
        objects=objects,
        segmentation=segmentation,
        spec=spec,
        report=report,
    )


def _levelled(science, mask, detector):
    """Take a bias of each line off, as the entry asks for; mask lines without data. Return image and report."""
    axis = detector.get("lines")
    if axis is None:
        return science, None
    levelled, lost, bias = level_lines(science, (mask & BAD) != 0, axis)
    mask[lost] |= BAD
    return levelled, {
        "lines": axis,
        "lost_lines": int(lost.all(axis=1 if axis == "rows" else 0).sum()),
        "bias_min": float(bias.min()),
        "bias_max": float(bias.max()),
    }


def _sky(science, mask, scale, spec, detector, read):
    """Measure the sky; mask defects of the detector and measure it again. Return it and the bad pixels."""
    options = {key: value for key, value in (spec.get("sky") or {}).items() if value is not None}
    level, entry = options.pop("level", None), spec.get("variance") or {}
    bad = (mask & BAD) != 0
    sky = measure_sky(science, bad, scale, **options)
    if detector.get("defects"):
        mask[find_defects(np.where(bad, 0, science - sky.level), bad, sky.rms, detector["defects"])] |= BAD
        bad = (mask & BAD) != 0
        sky = measure_sky(science, bad, scale, **options)
    if level is not None:
        sky = replace(sky, level=np.full(science.shape, level * _factor(read), np.float32))
    by_photons = entry.get("kind") == "photons"
    if sky.report["source_free_fraction"] < MIN_SKY and not (by_photons and level is not None):
        raise StudyError(
            f"{100 * sky.report['source_free_fraction']:.1f} % of the pixels are free of sources: the sky "
            "cannot be measured",
            str(read["path"]),
            "crowded: give a smaller sky.grow and sky.mesh in the entry, or sky.level with variance.kind: photons",
        )
    if by_photons:
        sky = from_photons(sky, science, bad, read["gain"], entry.get("read_noise", 0.0))
    return sky, bad


def _factor(read):
    """Return what the pixels of the file were multiplied with."""
    return read["scaled"]["factor"] if read["scaled"] else 1.0


def _noise(spec, read, science, sky, given):
    """Compare what is known of the noise. Return facts and warnings for the report."""
    where, kind = f"{read['path']} ({spec.get('name', 'image')})", (spec.get("variance") or {}).get("kind", "measured")
    facts, warnings = {"given_over_measured_variance": None}, []
    if given is not None:
        ratio, warnings = check_given(given, sky, kind, read["gain"], _factor(read), where)
        facts["given_over_measured_variance"] = ratio
    elif kind == "measured":
        found, warnings = check_photons(sky, science[~sky.sources], read["gain"], where)
        facts |= found
    return facts, warnings


def _psf(spec, read, science, bad, objects, segmentation, scale, base_dir):
    entry = spec.get("psf") or {"kind": "measured"}
    where = f"{spec.get('name', 'image')}: psf"
    if entry["kind"] == "measured":
        size = int(entry.get("size", Psf(kind="measured").size))
        return measure_psf(science, bad, objects, segmentation, scale, size, read["saturation"], where)
    path = path_of(entry, spec, base_dir) if entry["kind"] == "file" else None
    psf = given_psf(entry, scale, path, where, read["wcs"], science.shape[::-1])
    stars = select_stars(science, bad, objects, segmentation, min(psf.size, STAR_STAMP), read["saturation"])
    psf.report["against_stars"], psf.report["warnings"] = check_stars(psf, stars, where)
    return psf
