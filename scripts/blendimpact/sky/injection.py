"""Add sources of known light to a patch, simulated or real."""

import json
from dataclasses import replace

import numpy as np
from astropy.table import Table, vstack

from ..config.settings import REALISATIONS, block_of
from ..data.catalogues import describe
from ..data.images import MASK_BITS
from ..data.light import real_light, sky_variance
from ..errors import StudyError
from ..populations.catalogue import MAGNITUDES
from ..populations.extras import EXTRAS, add_blank
from ..stats.streams import stream
from .adopt.noise import NOISE_META, draw_noise
from .adopt.patches import truth_columns
from .blends import purity
from .injected_rows import injected_rows
from .injection_flags import FLAG, NO_TARGET, NOT_INJECTED
from .profiles import Stamp, add_stamp, draw_source, overlap, photon_noise

PURITY_THRESHOLD = 0.05
"""Purity is taken over the pixels in which a source exceeds this many sky sigma, as for simulated patches."""
BAD = MASK_BITS.BAD


def patch_number(block, realisation):
    """Return the number of a patch of a real image: realisation ``realisation`` of ``block``."""
    return block * REALISATIONS + realisation


def inject(patch, truth, catalogue, seed, case, settings, extras=EXTRAS):
    """Add the sources of a catalogue to a patch.

    On a real image (a patch with the planes BASE and SEG) the difference of SCI after and before is the
    light of the injected sources and its photon noise; NOISE is drawn here, with the rms of the patch's
    sky and the image's correlation between pixels. On a simulated patch MODEL grows and NOISE stays.
    Trouble with one source is a flag of it (`flags.INJECTION_BITS`), never an exception.

    Parameters
    ----------
    patch : Patch
        Not changed. Its ``index`` names the streams: for realisation r of a block of a real image, give it
        the number `patch_number` (``dataclasses.replace(patch, index=...)``).
    truth : Table
        Truth of the patch. For a real image the context rows of its block, as `adopt_patches` made them.
    catalogue : Table
        From `read_catalogue` (its rows `on_patch`) or drawn by a population. Gets, in place, the columns
        ``source_id`` and ``injection_flag``.
    seed : int
        Seed of the study.
    case : str
        Names the streams, with the patch.
    settings : dict
        ``scenario``, ``bands``, ``shape_band``, ``match_radius`` (arcsec), ``truth_snr``, ``inject.photon_noise``
        (default true).
    extras : dict of str to (str or None, str), optional
        Unit and description of columns that only some populations have, to be copied into the truth.

    Returns
    -------
    Patch
    Table
        ``truth`` and a row per row of the catalogue; those that could not be injected have no flux and no
        S/N, role "scene", and the flag that says why. ``purity`` of a target on a real image counts as
        neighbours the other injected sources and `data.light.real_light`. On simulated patches the purity
        of sources that injected light falls on is updated; of those with a ``snr`` below ``truth_snr``, of
        which there may be thousands, it is NaN.
    """
    real = any("BASE" in image.planes for image in patch.bands.values())
    bands = {name: _Band(image, real) for name, image in patch.bands.items()}
    first = next(iter(bands.values())).image
    rows = injected_rows(catalogue, patch, first, bands, settings.get("shape_band") or next(iter(bands)), extras)
    for row in rows:
        _draw(row, patch, bands, seed, case, settings.get("inject") or {})
    noise = _noise_models(truth, bands) if real else {}
    images = {
        name: band.finished(noise.get(name), patch.shape, (seed, case, patch.index, name, "sky"))
        for name, band in bands.items()
    }
    out = replace(patch, bands=images)
    for row in rows:
        _measure(row, patch, bands)
    catalogue["source_id"] = np.array([row["source_id"] for row in rows], np.int64)
    truth = _known(truth, patch, bands, real, settings["truth_snr"])
    add_blank(truth, catalogue, extras)
    _neighbours(rows, truth, bands, settings)
    catalogue["injection_flag"] = np.array([row["injection_flag"] for row in rows], np.int32)
    describe(
        catalogue,
        {
            "source_id": (None, "source in the truth table"),
            "injection_flag": (None, "bits of blendimpact.sky.injection_flags.INJECTION_BITS"),
        },
    )
    return out, _joined(truth, rows, patch, real, case, settings, first, extras)


class _Band:
    """One band while sources are added to it."""

    def __init__(self, image, real):
        self.image, self.real = image, real
        shape = image.science.shape
        self.light, self.photons = np.zeros(shape), np.zeros(shape)
        self.before = np.asarray(image.planes.get("MODEL", np.zeros(shape)), float)
        self.foreign = real_light(image.planes["BASE"], image.planes["SEG"]) if real else np.zeros(shape)
        known = np.maximum(self.before, 0) + self.foreign
        self.sky_variance = sky_variance(image, known)
        good = (image.mask & BAD) == 0
        self.typical = float(np.median(self.sky_variance[good] if good.any() else self.sky_variance))
        self._total = self._saturated = None

    def add(self, stamp, noise):
        self._total = self._saturated = None
        add_stamp(self.light, stamp)
        add_stamp(self.photons, noise)

    def total(self):
        """Return all light that is known, injected or not."""
        if self._total is None:
            self._total = self.before + self.foreign + self.light
        return self._total

    def saturated(self):
        """Return the pixels that injected light saturates: they have no data, as those of the image's own stars."""
        if self._saturated is None:
            level = np.inf if self.image.saturation is None else self.image.saturation
            self._saturated = (self.light > 0.1 * level) & (self.image.science + self.light >= level)
        return self._saturated

    def snr(self, stamp):
        """Return the matched-filter S/N of a stamp on the sky's (white) noise."""
        variance = np.full(stamp.array.shape, self.typical)
        image, part = overlap(self.light.shape, stamp)
        variance[part] = self.sky_variance[image]
        return float(np.sqrt((stamp.array**2 / variance).sum()))

    def purity(self, stamp):
        image, part = overlap(self.light.shape, stamp)
        own, total = stamp.array[part], self.total()[image]
        if not own.size:
            return np.nan
        threshold = PURITY_THRESHOLD * np.sqrt(self.typical)
        return purity(own, total, threshold if (own > threshold).any() else 0.0)

    def finished(self, correlation, shape, key):
        """Return the image with what was added."""
        image = self.image
        planes = dict(image.planes)
        planes["MODEL"] = (self.before + self.light).astype(np.float32)
        if self.real:
            rms = np.sqrt(self.sky_variance)
            planes["NOISE"] = draw_noise(shape, rms, correlation, stream(*key))
        return replace(
            image,
            science=(image.science + self.light + self.photons).astype(np.float32),
            variance=(image.variance + np.maximum(self.light, 0) / image.gain).astype(np.float32),
            mask=np.where(self.saturated(), image.mask | BAD, image.mask),
            planes=planes,
        )


def _noise_models(truth, bands):
    """Return the noise correlation by band that the adoption measured."""
    text = truth.meta.get(NOISE_META)
    known = json.loads(text) if text else {}
    lacking = [name for name in bands if name not in known]
    if lacking:
        raise StudyError(
            f"the truth of the real image lacks the noise model of {', '.join(lacking)}",
            "adopt/image.truth.parquet",
            "delete it and run again: the rule that makes it will",
        )
    return {name: np.array(known[name]["correlation"]) for name in bands}


def _draw(row, patch, bands, seed, case, options):
    """Draw one source into all bands, or flag it and draw it into none."""
    stamps = {}
    try:
        for name, band in bands.items():
            if not MAGNITUDES[0] < row[f"mag_{name}"] < MAGNITUDES[1]:
                raise StudyError(f"no magnitude in {name}", f"source {row['source_id']}")
            stamps[name] = draw_source(row, band.image, patch.shear)
            if not np.isfinite(stamps[name].array).all():
                raise FloatingPointError("pixels that are not finite")
    except StudyError:
        row["injection_flag"] |= FLAG.BAD_PARAMETERS
    except Exception:  # GalSim, FFT and memory errors of one profile are that profile's
        row["injection_flag"] |= FLAG.DRAW_FAILED
    else:
        _place(row, patch, bands, stamps)
    row["stamps"] = {}
    if row["injection_flag"] & NO_TARGET:
        row["role"] = "scene"
    if row["injection_flag"] & NOT_INJECTED:
        for name in bands:
            row[f"flux_{name}"] = np.nan
        return
    row["stamps"] = stamps
    for name, stamp in stamps.items():
        noise = np.zeros_like(stamp.array)
        if options.get("photon_noise", True):
            rng = stream(seed, case, patch.index, row["source_id"], name, "photons")
            noise = photon_noise(stamp, bands[name].image.gain, rng) * patch.noise_sign
        bands[name].add(stamp, Stamp(noise, stamp.x0, stamp.y0))


def _place(row, patch, bands, stamps):
    """Flag a source whose light leaves the image or whose centre has no data."""
    ny, nx = patch.shape
    reach = [overlap((ny, nx), stamp)[1] for stamp in stamps.values()]
    if not any(stamp.array[part].size for stamp, part in zip(stamps.values(), reach)):
        row["injection_flag"] |= FLAG.OFF_IMAGE
        return
    if any(stamp.array[part].shape != stamp.array.shape for stamp, part in zip(stamps.values(), reach)):
        row["injection_flag"] |= FLAG.PARTLY_OFF
    if any(_centre_in(band.image.mask & BAD, row) for band in bands.values()):
        row["injection_flag"] |= FLAG.MASKED_CENTRE


def _centre_in(plane, row):
    """Return whether the pixel of a source's centre is set."""
    xi, yi = int(np.floor(row["x"] + 0.5)), int(np.floor(row["y"] + 0.5))
    return 0 <= xi < plane.shape[1] and 0 <= yi < plane.shape[0] and bool(plane[yi, xi])


def _measure(row, patch, bands):
    """Put S/N and purity into a row, once all sources are in; flag what saturates."""
    square = 0.0
    for name, stamp in row.pop("stamps").items():
        band = bands[name]
        row[f"snr_{name}"] = band.snr(stamp)
        row[f"purity_{name}"] = band.purity(stamp)
        square += row[f"snr_{name}"] ** 2
        if not (saturated := band.saturated()).any():
            continue
        image, part = overlap(patch.shape, stamp)
        if saturated[image][stamp.array[part] > 0.1 * band.image.saturation].any():
            row["injection_flag"] |= FLAG.TOO_BRIGHT
            row["role"] = "scene"
        elif _centre_in(saturated, row):
            row["injection_flag"] |= FLAG.MASKED_CENTRE
            row["role"] = "scene"
    row["snr"] = np.sqrt(square) if square else np.nan


def _known(truth, patch, bands, real, cut):
    """Return the truth before the injection, with this patch's number and purities that count what came."""
    truth = truth.copy()
    n = len(truth)
    truth["patch"] = np.full(n, patch.index, np.int64)
    blank = {"ambiguous": False, "injection_id": np.int64(-1), "injection_flag": np.int32(0)}
    for name, value in blank.items():
        if name not in truth.colnames:
            truth[name] = np.full(n, value)
    if real:
        return truth
    faint = np.asarray(truth["snr"], float) < cut
    for name in bands:
        truth[f"purity_{name}"][faint] = np.nan
    columns = {name: truth[name].tolist() for name in truth.colnames}
    for k in np.flatnonzero(~faint):
        row = {name: values[k] for name, values in columns.items()}
        for name, band in bands.items():
            if np.isfinite(row[f"flux_{name}"]) and np.isfinite(row[f"purity_{name}"]):
                stamp = draw_source(row, band.image, patch.shear)
                image, _ = overlap(patch.shape, stamp)
                if band.light[image].any():
                    truth[f"purity_{name}"][k] = band.purity(stamp)
    return truth


def _neighbours(rows, truth, bands, settings):
    """Say which injected sources lie beside or on a brighter real one."""
    name = settings.get("shape_band") or next(iter(bands))
    image = bands[name].image
    context = truth[np.asarray(truth["role"]) == "context"]
    x, y, flux = (np.asarray(context[key], float) for key in ("x", "y", f"flux_{name}"))
    owners = dict(zip(context["source_id"].tolist(), flux))
    radius = settings["match_radius"] / image.pixel_scale
    seg = image.planes.get("SEG")
    for row in rows:
        if row["injection_flag"] & NOT_INJECTED:
            continue
        own = row[f"flux_{name}"]
        row["ambiguous"] = bool(((flux > own) & (np.hypot(x - row["x"], y - row["y"]) <= radius)).any())
        xi, yi = int(np.floor(row["x"] + 0.5)), int(np.floor(row["y"] + 0.5))
        on_image = seg is not None and 0 <= yi < seg.shape[0] and 0 <= xi < seg.shape[1]
        if on_image and owners.get(int(seg[yi, xi]), 0.0) > own:
            row["injection_flag"] |= FLAG.ON_BRIGHT_NEIGHBOUR


def _joined(truth, rows, patch, real, case, settings, image, extras):
    """Return the truth with the injected sources' rows below it."""
    block = patch.index // REALISATIONS if real else block_of(settings, patch.index)[0]
    columns = truth_columns(patch.bands, image.unit) | EXTRAS | extras
    if not rows:
        return describe(
            truth, {k: v for k, v in columns.items() if k in truth.colnames and not truth[k].info.description}
        )
    common = {
        "case": case,
        "scenario": settings.get("scenario", ""),
        "patch": patch.index,
        "block": block,
        "twin": patch.twin,
    }
    added = Table()
    for name in truth.colnames:
        old = truth[name]
        blank = "" if old.dtype.kind in "US" else np.nan if old.dtype.kind == "f" else -1
        values = [{**common, **row}.get(name, blank) for row in rows]
        added[name] = np.array(values) if old.dtype.kind in "US" else np.array(values, old.dtype)
    out = vstack([truth, added], metadata_conflicts="silent", join_type="exact")
    out.meta = dict(truth.meta)
    for name in out.colnames:
        out[name].info.description = truth[name].info.description or columns[name][1]
        out[name].unit = truth[name].unit
    return out
