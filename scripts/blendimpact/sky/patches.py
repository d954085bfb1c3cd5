"""Simulate a patch: the scene, its +g and -g twins, noise, and the truth with everything kept."""

from dataclasses import replace

import galsim
import numpy as np

from ..config.settings import block_of, visits_of
from ..data.catalogues import describe
from ..data.frames import pixel_to_sky
from ..data.images import BandImage, Patch
from ..data.psf import psf_pixels
from ..errors import StudyError
from ..populations.base import BANDS
from ..stats.streams import stream
from .profiles import Stamp, add_stamp, draw_source, overlap, photon_noise, stamp_size, wcs_for_patch
from .scene import draw_scene

MARGIN = 12.0
"""Arcsec around the image in which sources are drawn too."""
PURITY_THRESHOLD = 0.05
"""Sky sigma per pixel below which purity leaves out the light of every source, as descwl does."""

_TRUTH = {
    "case": (None, "case"),
    "scenario": (None, "scenario of the case"),
    "patch": (None, "number of the patch"),
    "block": (None, "block of sky: the unit of resampling; of simulations the patch, or what its visits share"),
    "twin": (
        None,
        "plus, minus: the scene sheared by +g, -g; zero: not sheared; turned: zero with every shape turned by 90 "
        "degrees; ...flip: noise of opposite sign",
    ),
    "source_id": (None, "number of the source in its patch"),
    "role": (None, "target: to be measured; scene: light that is known, but no target"),
    "kind": (None, "galaxy or star"),
    "x": ("pix", "position in this twin, 0-based, along axis 1"),
    "y": ("pix", "position in this twin, 0-based, along axis 2"),
    "ra": ("deg", "right ascension in this twin"),
    "dec": ("deg", "declination in this twin"),
    "redshift": (None, "true redshift"),
    "cluster": (None, "number of the cluster that the source belongs to, -1 if none"),
    "evolution": (None, "stage of evolution of a star, empty where it is not known"),
    "snr": (None, "isolated matched-filter S/N against the sky noise, bands in quadrature, mean of the twins"),
    "hlr": ("arcsec", "circularised half-light radius of the whole source in the reference band, before shear and PSF"),
    "hlr_bulge": ("arcsec", "circularised half-light radius of the bulge, before shear"),
    "n_bulge": (None, "Sersic index of the bulge"),
    "g1_bulge": (None, "shape of the bulge before shear, |g| = (1-q)/(1+q), along the image's axes"),
    "g2_bulge": (None, "shape of the bulge before shear, along the image's diagonals"),
    "hlr_disk": ("arcsec", "circularised half-light radius of the disk, before shear"),
    "n_disk": (None, "Sersic index of the disk"),
    "g1_disk": (None, "shape of the disk before shear, along the image's axes"),
    "g2_disk": (None, "shape of the disk before shear, along the image's diagonals"),
    "knots": (None, "part of the disk's light in knots; column only where there are any"),
    "knots_seed": (None, "seed of the places of the knots; column only where there are any"),
    "trail_length": ("arcsec", "length of a trail"),
    "trail_angle": ("deg", "direction of a trail, counter-clockwise from the x axis"),
    "stamp": (None, "FITS file of a stamp"),
}
_PER_BAND = {
    "flux": ("nJy", "total flux"),
    "mag": ("mag", "AB magnitude"),
    "snr": (None, "isolated matched-filter S/N against the sky noise"),
    "purity": (
        None,
        "purity: sum s^2 / sum s (light of all), of each the pixels above 0.05 sky sigma; 1 - blendedness",
    ),
    "bulge_fraction": (None, "part of the light that is in the bulge"),
}


def pointing(settings, seed, case, index):
    """Return by how many pixels (x, y) the sky of a patch is shifted on its image.

    Visits of a block differ by up to half a pixel, uniform and of their own, so that they do not share how a source
    lies on its pixels. A patch that is its block has no shift.
    """
    if visits_of(settings) == 1:
        return 0.0, 0.0
    return tuple(map(float, stream(seed, case, int(index), "pointing").uniform(-0.5, 0.5, 2)))


def simulate_patch(settings, index, seed, case, scenario, survey, tables):
    """Simulate one patch and its twins.

    All sources of the populations are drawn in a square that exceeds the image by
    ``patch.margin`` arcsec; what reaches the image is in the truth. The sky is taken as known and
    subtracted, and with it the mean light of fainter galaxies.

    Visits of a block (``patch.visits``, `config.settings.block_of`) share the scene: its streams are named by the
    block. The noise and the `pointing` of each are its own: theirs are named by the patch.

    Parameters
    ----------
    settings : dict
        Of the case and scenario: ``bands``, ``shape_band`` (reference for ``hlr``), ``shear``, ``ring``,
        ``patch`` (size, border, margin, visits), ``population``: ``galaxies``, ``stars`` and ``others``, each with
        ``kind``, ``density``, ``mag_min``, ``mag_max``, ``targets`` and the options of that population; ``positions``.
    index : int
        Number of the patch.
    seed : int
        Seed of the study.
    case, scenario : str
        The streams depend on the case only, so scenarios share sources and noise.
    survey : Survey
        ``pixel_scale`` and ``bands[band]`` with psf_model, sky_sigma, gain and zero_point.
    tables : dict of str to astropy.table.Table
        What the populations are drawn from, by their names (`populations.drawn_tables`).

    Returns
    -------
    list of (Patch, astropy.table.Table)
        Twins "plus" and "minus" if there is a shear, else "zero", and with ``ring`` also "turned"; same sources, same
        noise deviates. With ``noise_pairs`` each is followed by its "flip", which has the opposite noise.

    Raises
    ------
    StudyError
        If the settings ask for what cannot be drawn.
    """
    geometry = settings["patch"]
    size, border = int(geometry["size"]) + 2 * int(geometry["border"]), int(geometry["border"])
    scale, bands = survey.pixel_scale, list(settings["bands"])
    shear = float(settings.get("shear") or 0.0)
    if not abs(shear) < 0.5:
        raise StudyError(f"shear {shear}", f"cases.{case}.shear", "give a reduced shear below 0.5")
    for band in bands:
        if band not in survey.bands or survey.bands[band].light is None:
            raise StudyError(
                f"band {band!r}: the survey has {', '.join(survey.bands)}, the sources have {', '.join(BANDS)}",
                f"cases.{case}.bands",
            )
    half = 0.5 * size * scale + float(geometry.get("margin", MARGIN))
    block, shift = block_of(settings, index)[0], pointing(settings, seed, case, index)
    reference = settings.get("shape_band", bands[0])
    light = {band: survey.bands[band].light for band in bands}
    sources = list(dict.fromkeys(light.values()))
    scene = draw_scene(settings["population"], half, seed, case, block, tables, sources, light[reference])
    _in_bands(scene, light)

    twins = [("plus", shear), ("minus", -shear)] if shear else [("zero", 0.0)]
    if settings.get("ring"):
        twins = [("zero", 0.0), ("turned", 0.0)]
    images = _blank_images(survey, bands, size, scale, block, shift)
    placed = {}
    for twin, g in twins:
        x, y = _sheared(scene["dx"], scene["dy"], g)
        placed[twin] = (size - 1) / 2 + x / scale + shift[0], (size - 1) / 2 + y / scale + shift[1]
    sides = np.array([max(stamp_size(row, images[band]) for band in bands) for row in _rows(scene)])
    reaches = np.zeros(len(scene), dtype=bool)
    for x, y in placed.values():  # in any twin, so that all have the same sources
        reaches |= np.maximum(np.abs(x - (size - 1) / 2), np.abs(y - (size - 1) / 2)) < (size + sides) / 2 + 1
    scene = scene[reaches]

    out = []
    for twin, g in twins:
        x, y = (values[reaches] for values in placed[twin])
        shapes = turned(scene) if twin == "turned" else scene
        patch, truth = _twin(shapes, x, y, twin, g, images, survey, border, seed, case, scenario, index, scale)
        truth["block"][:] = block
        out.append((patch, truth))
    _share_snr([truth for _, truth in out], bands)
    if settings.get("noise_pairs"):
        out = [entry for patch, truth in out for entry in ((patch, truth), _flipped(patch, truth))]
    return out


def _in_bands(scene, light):
    """Give a scene the columns of the survey's bands, from those of the sources' bands {band: band of sources}."""
    names = ("mag", "flux", "bulge_fraction")
    columns = {f"{name}_{band}": scene[f"{name}_{source}"].copy() for name in names for band, source in light.items()}
    scene.remove_columns([f"{name}_{source}" for name in names for source in set(light.values())])
    for name, column in columns.items():
        column.info.name = name
        scene[name] = column


def turned(scene):
    """Return a scene in which every shape is turned by 90 degrees about its own centre, so negated."""
    scene = scene.copy()
    for name in ("g1_bulge", "g2_bulge", "g1_disk", "g2_disk"):
        scene[name] = -np.asarray(scene[name])
    return scene


def _share_snr(truths, bands):
    """Give all twins the same S/N, even in the shear: cuts on it must not select on the shape."""
    for name in ("snr", *(f"snr_{band}" for band in bands)):
        mean = np.sqrt(np.mean([np.asarray(truth[name]) ** 2 for truth in truths], axis=0))
        for truth in truths:
            truth[name][:] = mean


def measure_depth(patch):
    """Measure the 5-sigma depth for point sources of a patch, per band.

    The noise plane is matched-filtered with the PSF at every pixel, f = sum p n / sum p^2; the
    standard deviation of f is the error of a PSF flux, whatever the noise's correlation.

    Returns
    -------
    dict of str to (float, float)
        By band: AB magnitude of a point source at S/N = 5, and its standard error from the number
        of independent positions.
    """
    depths = {}
    for band, image in patch.bands.items():
        noise = image.planes["NOISE"].astype(float)
        (ny, nx), size = noise.shape, len(image.psf)
        psf = np.fft.rfft2(image.psf, (ny, nx))
        norm = (image.psf**2).sum()
        flux = np.fft.irfft2(np.fft.rfft2(noise) * psf.conj(), (ny, nx)) / norm
        sigma = flux[: ny - size + 1, : nx - size + 1].std()  # where the filter does not wrap around
        correlation = np.fft.irfft2(np.abs(psf) ** 2, (ny, nx)) / norm  # between pixels, for white noise
        independent = (ny - size + 1) * (nx - size + 1) / (correlation**2).sum()
        error = 2.5 / np.log(10) / np.sqrt(2 * independent)
        depths[band] = float(image.zero_point - 2.5 * np.log10(5 * sigma)), float(error)
    return depths


def _sheared(x, y, g):
    """Return positions (arcsec from the centre) after a reduced shear g1 = g of the scene."""
    (a, b), (c, d) = galsim.Shear(g1=g).getMatrix()
    return a * x + b * y, c * x + d * y


def _blank_images(survey, bands, size, scale, block, shift):
    """Return an empty image per band with the survey's PSF, zero point and gain."""
    wcs, images = wcs_for_patch(block, (size, size), scale, shift), {}
    for band in bands:
        properties = survey.bands[band]
        images[band] = BandImage(
            band=band,
            science=np.zeros((size, size), np.float32),
            variance=np.zeros((size, size), np.float32),
            mask=np.zeros((size, size), np.uint8),
            psf=psf_pixels(properties.psf_model, scale),
            wcs=wcs.deepcopy(),
            zero_point=properties.zero_point,
            gain=properties.gain,
            psf_model=dict(properties.psf_model),
        )
    return images


def _twin(scene, x, y, twin, g, images, survey, border, seed, case, scenario, index, scale):
    """Draw one twin: return its Patch and its truth."""
    truth = scene.copy()
    truth["x"], truth["y"], truth["twin"] = x, y, twin
    shape = next(iter(images.values())).science.shape
    rows, done, snr = list(_rows(truth)), {}, np.zeros(len(truth))
    for band, blank in images.items():
        noise_level = survey.bands[band].sky_sigma
        model, visible, photons = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        threshold, stamps = PURITY_THRESHOLD * noise_level, []
        for row in rows:
            stamp = draw_source(row, blank, g)
            add_stamp(model, stamp)
            add_stamp(visible, Stamp(np.where(stamp.array > threshold, stamp.array, 0.0), stamp.x0, stamp.y0))
            rng = stream(seed, case, index, int(row["source_id"]), band, "photons")
            add_stamp(photons, Stamp(photon_noise(stamp, blank.gain, rng), stamp.x0, stamp.y0))
            stamps.append(stamp)
        noise = noise_level * stream(seed, case, index, band, "sky").standard_normal(shape)
        truth[f"snr_{band}"] = np.array([np.sqrt((s.array**2).sum()) for s in stamps]) / noise_level
        truth[f"purity_{band}"] = np.array([_purity(s, visible, threshold) for s in stamps])
        snr += np.asarray(truth[f"snr_{band}"]) ** 2
        done[band] = BandImage(
            band=band,
            science=(model + photons + noise).astype(np.float32),
            variance=(noise_level**2 + np.maximum(model, 0.0) / blank.gain).astype(np.float32),
            mask=blank.mask.copy(),
            psf=blank.psf,
            wcs=blank.wcs,
            zero_point=blank.zero_point,
            gain=blank.gain,
            psf_model=blank.psf_model,
            planes={"MODEL": model.astype(np.float32), "NOISE": noise.astype(np.float32)},
        )
    patch = Patch(index, twin, g, done, border)
    truth["snr"] = np.sqrt(snr)
    truth["ra"], truth["dec"] = pixel_to_sky(done[next(iter(done))].wcs, x, y)
    # Inside before shear and shift, so that both twins, and all visits, have the same targets.
    centre = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    inside = patch.inside(centre[0] + scene["dx"] / scale, centre[1] + scene["dy"] / scale)
    truth["role"] = np.where(inside & truth["target"], "target", "scene")
    truth["case"], truth["scenario"], truth["patch"], truth["block"] = case, scenario, index, index
    return patch, _ordered(truth, list(images))


def _flipped(patch, truth):
    """Return the same scene with all noise of the opposite sign, which is as likely."""
    bands = {}
    for band, image in patch.bands.items():
        model = image.planes["MODEL"]
        bands[band] = replace(
            image, science=2 * model - image.science, planes={**image.planes, "NOISE": -image.planes["NOISE"]}
        )
    truth = truth.copy()
    twin = f"{patch.twin}flip"
    truth["twin"] = np.full(len(truth), twin)
    return replace(patch, twin=twin, bands=bands, noise_sign=-1), describe(truth, {"twin": _TRUTH["twin"]})


def _purity(stamp, visible, threshold):
    """Return sum s^2 / sum s M over the image's pixels where s exceeds the threshold.

    M is the sum of all sources, of each the light that exceeds the threshold. That is descwl's purity:
    it truncates every source there. (With the far wings of all sources in M, a pedestal of about 1 %
    of the sky's rms that a sky estimate takes out, a quarter more of the galaxies would be below
    0.99.) A source that nowhere exceeds the threshold has all of its pixels counted, and one without
    a pixel in the image has none (NaN).
    """
    image, part = overlap(visible.shape, stamp)
    s, total = stamp.array[part], visible[image]
    above = s > threshold
    if not above.any():
        above, total = s > 0, total + s
    foreign = (s * total)[above].sum()
    return float((s[above] ** 2).sum() / foreign) if foreign > 0 else np.nan


def _ordered(truth, bands):
    """Return the truth with its columns in the order of the data model, described."""
    columns = dict(_TRUTH)
    for name, (unit, text) in _PER_BAND.items():
        columns.update({f"{name}_{band}": (unit, f"{text}, {band}") for band in bands})
    columns = {k: v for k, v in columns.items() if k in truth.colnames or k not in ("knots", "knots_seed")}
    own = [truth[name] for name in truth.colnames if name not in columns and truth[name].info.description]
    columns |= {column.name: (column.unit, column.info.description) for column in own}
    return describe(truth[list(columns)], columns)


def _rows(table):
    """Yield the rows as plain dictionaries, which is what `draw_source` wants."""
    columns = [table[name].tolist() for name in table.colnames]
    return (dict(zip(table.colnames, values)) for values in zip(*columns))
