"""What the check says of images and catalogues: what was read of them, in a few lines each."""

import numpy as np

from ..config.real_image import load_image
from ..config.tiling import blocks
from ..data.frames import sky_to_pixel
from ..data.packages import read_receipt
from ..populations.catalogue import read_catalogue
from ..sky.adopt.image import adopt

GIVEN = {"zero_point": "AB mag of one unit", "gain": "e- per unit", "saturation": "pixel value of the file"}


def fetched_image(name, inputs):
    """Return whether the pixels of an image are to be had: they are of a user's own, or fetched."""
    source = load_image(name).get("input")
    return source is None or (read_receipt(f"{inputs}/{source}") or {}).get("status") == "ok"


def image_lines(name, settings, image):
    """Return what was understood of a real image, and measured on it.

    Parameters
    ----------
    name : str
    settings : list of dict
        Of the cases and scenarios that use it.
    image : sky.adopt.image.AdoptedImage or sky.adopt.bands.AdoptedBands
    """
    lines = [f"image {name}"]
    for one in image.bands.values():
        lines += [*_facts(one.spec, one.report), *_measured(one.report)]
    if len(image.bands) > 1:
        lines.append(_registered(image.report))
    lines.append(_used(image.spec, settings, image.report))
    if image.template is not None:
        below = [*_facts(image.template.spec, image.template.report), *_measured(image.template.report)]
        lines += ["  template", *("  " + line for line in below)]
    return lines


def _facts(spec, report):
    ny, nx = report["shape"]
    scale = report["pixel_scale_arcsec"]
    yield f"  {report['file']}, HDU {spec.get('hdu', 0)}: {nx} x {ny} pixels of {scale:.4f} arcsec, band {spec['band']}"
    shown = [f"unit {report['unit'] or 'not stated'}"]
    if report["scaled"]:
        before = report["scaled"]
        shown[0] += f" (the file: {before['unit']} of zero point {before['zero_point']:.6g}; all here is in the former)"
    for key, meaning in GIVEN.items():
        value, keyword = report.get(key), spec.get(f"{key}_key")
        source = f"header {keyword}" if keyword else "entry" if spec.get(key) is not None else "header"
        shown.append(f"{key} none" if value is None else f"{key} {value:.6g} ({meaning}; {source})")
    yield "  " + ", ".join(shown)
    kind, ratio = report["noise"]["variance"], report["noise"]["given_over_measured_variance"]
    variance = f"variance {kind}" + ("" if ratio is None else f", given / measured on the sky {ratio:.2f}")
    counts = ", ".join(f"{flag} {number}" for flag, number in report["masked_pixels"].items() if number) or "none"
    yield f"  {variance}; masked pixels: {counts} ({100 * report['masked_fraction']:.1f} %)"


def _measured(report):
    psf, cuts, sky = report["psf"], report["psf"].get("cuts", {}), report["sky"]
    width = psf.get("fwhm_arcsec")
    size = "" if width is None else f" FWHM {width:.2f} arcsec = {width / report['pixel_scale_arcsec']:.1f} pixels"
    stars = f" from {cuts['used']} stars" if "used" in cuts else ""
    yield (
        f"  PSF {psf.get('chosen', 'given')}{size}{stars}; sky {sky['sky_mean']:.4g} with rms {sky['rms_median']:.3g}, "
        f"{100 * sky['source_free_fraction']:.0f} % free of sources"
    )
    depth = report["depth"]["point_source_depth"]
    said = "not known" if depth is None else f"{depth:.2f}"
    yield f"  depth (5 sigma, point source) {said}; {report['objects']} objects in {report['area_arcmin2']:.1f} arcmin2"


def _registered(report):
    registration = report["registration"]
    said = [
        f"{band} by ({found['shift'][0]:+.2f}, {found['shift'][1]:+.2f}) of {found['matched']} sources"
        if found["shift"]
        else f"{band} not known ({found['matched']} bright sources in both)"
        for band, found in registration["shifts"].items()
    ]
    return (
        f"  bands shifted against {registration['reference']}, pixels: {', '.join(said)}; "
        f"{report['objects']} objects found on all bands together"
    )


def _used(spec, settings, report):
    patch, pixels = settings[0]["patch"], report["shape"][0] * report["shape"][1]
    share = patch["count"] * patch["size"] ** 2 / pixels
    return (
        f"  {patch['count']} of {len(blocks(spec, patch))} blocks of {patch['size']} pixels are used: "
        f"{100 * share:.0f} % of the area, less those with more than {100 * settings[0]['max_masked']:g} % masked"
    )


def adopted(name, inputs, settings):
    """Return a real image as the study adopts it, in all bands that its cases and scenarios use."""
    used = dict.fromkeys(band for chosen in settings for band in chosen["bands"])
    return adopt(load_image(name), inputs, list(used))


def catalogue_lines(settings, image=None):
    """Return what was read of an injection catalogue, and where its sources are on the image.

    Parameters
    ----------
    settings : dict
        Of a case and scenario whose targets are of a catalogue.
    image : sky.adopt.image.AdoptedImage or sky.adopt.bands.AdoptedBands, optional
    """
    inject, band = settings["inject"], settings["shape_band"]
    scale = settings["pixel_scale"] or image.pixel_scale
    table = read_catalogue(inject["catalogue"], settings["bands"], scale, inject["beta"], inject["trail_mag"])
    kinds = {str(kind): int((table["source_type"] == kind).sum()) for kind in np.unique(table["source_type"])}
    mag = np.asarray(table[f"mag_{band}"], float)
    yield f"catalogue {inject['catalogue']}"
    yield f"  {len(table)} sources: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    yield f"  mag_{band} {np.nanmin(mag):.2f} to {np.nanmax(mag):.2f}" + _significance(mag, image and image.bands[band])
    if image is not None:
        yield f"  {_places(table, settings, image)}"


def _significance(mag, image):
    depth = image and image.report["depth"]["point_source_depth"]
    if not depth:
        return ""
    snr = 5 * 10 ** (0.4 * (depth - mag))
    return f"; S/N as points {snr.min():.3g} to {snr.max():.3g}, {int((snr < 5).sum())} below 5"


def _places(table, settings, image):
    x, y = sky_to_pixel(image.wcs, table["ra"], table["dec"])
    ny, nx = image.shape
    on = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    size, used = settings["patch"]["size"], np.zeros(len(table), bool)
    for x0, y0 in blocks(image.spec, settings["patch"])[: settings["patch"]["count"]]:
        used |= (x >= x0 - 0.5) & (x < x0 + size - 0.5) & (y >= y0 - 0.5) & (y < y0 + size - 0.5)
    return f"{int(on.sum())} of {len(table)} on the image, {int(used.sum())} inside the blocks that are used"
