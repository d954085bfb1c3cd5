"""A small real-looking image with known stars, PSF, noise correlation and WCS, written as FITS, for tests."""

import json

import galsim
import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from blendimpact.data.catalogues import describe
from blendimpact.data.images import BandImage, Patch
from blendimpact.data.psf import psf_pixels
from blendimpact.populations.catalogue import standardise
from blendimpact.sky.adopt.noise import NOISE_META
from blendimpact.sky.adopt.patches import CONTEXT_IDS, truth_columns
from scipy.ndimage import convolve1d

SCALE = 0.263
ZERO_POINT = 30.0
GAIN = 50.0
RMS = 1.5
KERNEL = np.array([0.2, 0.6, 0.2])
FWHM, BETA = 1.1, 3.0
PATCH = (150, 170)
BORDER = 20
PSF_MODEL = {"kind": "moffat", "fwhm": FWHM, "beta": BETA}
SATURATION = 3000.0
PAIR = (520, 600)


def correlation():
    """Noise correlation of `correlated_noise`: the autocorrelation of the kernel, in closed form."""
    line = np.convolve(KERNEL, KERNEL)
    line = line / line[2]
    return np.outer(line, line)


def correlated_noise(shape, rng, rms=RMS):
    """White noise smoothed along both axes with `KERNEL`, scaled to a standard deviation of ``rms``."""
    noise = rng.standard_normal((shape[0] + 8, shape[1] + 8))
    for axis in (0, 1):
        noise = convolve1d(noise, KERNEL, axis=axis)
    return rms * noise[4:-4, 4:-4] / (KERNEL**2).sum()


def tan_header(shape, scale=SCALE, parity=1, turn=0.0):
    """Header of a tangent plane; ``parity`` -1: east to the left; ``turn``: rotation in deg."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.cunit = "deg", "deg"
    wcs.wcs.crval = 58.4, -48.5
    wcs.wcs.crpix = shape[1] / 2, shape[0] / 2
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = scale / 3600 * np.array([[parity, 0], [0, 1]]) @ np.array([[c, -s], [s, c]])
    return wcs.to_header()


def star_places(shape, rng, pitch=56, margin=45):
    """Return star positions on a jittered lattice and fluxes, bright enough for the PSF."""
    y, x = np.mgrid[margin : shape[0] - margin : pitch, margin : shape[1] - margin : pitch]
    places = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-4, 4, (x.size, 2))
    return places, 10 ** rng.uniform(3.7, 4.7, len(places))


def psf_at(x, y, shape, vary=0.0, g1=0.0):
    """The true PSF (with the pixel) at a place: FWHM changes linearly by ``vary`` from left to right."""
    fwhm = FWHM * (1 + vary * (x / shape[1] - 0.5))
    return galsim.Moffat(beta=BETA, fwhm=fwhm).shear(g1=g1)


def draw(image, profile, x, y):
    """Add a GalSim profile to an array, in place, at 0-based (x, y); light beyond 55 pixels is cut."""
    xi, yi, half = round(x), round(y), 55
    stamp = profile.drawImage(nx=2 * half + 1, ny=2 * half + 1, scale=SCALE, dtype=float, offset=(x - xi, y - yi)).array
    y0, x0 = max(0, yi - half), max(0, xi - half)
    y1, x1 = min(image.shape[0], yi + half + 1), min(image.shape[1], xi + half + 1)
    image[y0:y1, x0:x1] += stamp[y0 - yi + half : y1 - yi + half, x0 - xi + half : x1 - xi + half]


def make_sky(shape=(520, 600), seed=5, vary=0.0, g1=0.0, galaxies=0, level=3.0, slope=1.0):
    """Return (image, star places, fluxes): stars, galaxies, a tilted sky and correlated noise."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape)
    places, fluxes = star_places(shape, rng)
    for (x, y), flux in zip(places, fluxes):
        draw(image, psf_at(x, y, shape, vary, g1).withFlux(flux), x, y)
    for _ in range(galaxies):
        x, y = rng.uniform(5, shape[1] - 5), rng.uniform(5, shape[0] - 5)
        galaxy = galsim.Exponential(half_light_radius=rng.uniform(0.4, 0.9), flux=10 ** rng.uniform(1.5, 3))
        draw(image, galsim.Convolve(galaxy, psf_at(x, y, shape, vary, g1)), x, y)
    sky = level + slope * (np.arange(shape[1]) / shape[1] - 0.5)
    return image + sky + correlated_noise(shape, rng), places, fluxes


def epoch(fwhm, rms, scale, key):
    """One epoch of the same stars and galaxies, with white noise: ``scale`` is counts of it per count of the first."""
    rng = np.random.default_rng(11)
    image = np.zeros(PAIR)
    psf = galsim.Moffat(beta=BETA, fwhm=fwhm)
    for (x, y), flux in zip(*star_places(PAIR, rng)):
        draw(image, psf.withFlux(flux * scale), x, y)
    for _ in range(60):
        x, y = rng.uniform(5, PAIR[1] - 5), rng.uniform(5, PAIR[0] - 5)
        galaxy = galsim.Exponential(half_light_radius=rng.uniform(0.8, 1.5), flux=10 ** rng.uniform(2.5, 3.5) * scale)
        draw(image, galsim.Convolve(galaxy, psf), x, y)
    return image + 4 + rms * np.random.default_rng(key).standard_normal(PAIR)


def write(path, image, parity=1, turn=0.0, dtype=">f4", **cards):
    """Write an image with WCS, zero point and gain; cards of value None are removed."""
    header = tan_header(image.shape, parity=parity, turn=turn)
    header["MAGZERO"], header["GAIN"], header["BUNIT"] = ZERO_POINT, GAIN, "COUNTS/S"
    for key, value in cards.items():
        if value is None:
            header.remove(key)
        else:
            header[key] = value
    fits.PrimaryHDU(np.asarray(image).astype(dtype), header).writeto(path, overwrite=True)
    return path


def spec_of(path, **changes):
    """Return the entry of an image as the configuration holds it."""
    spec = {
        "name": "sky",
        "band": "g",
        "file": str(path),
        "hdu": 0,
        "pixel_scale": SCALE,
        "zero_point_key": "MAGZERO",
        "gain_key": "GAIN",
        "saturation": None,
        "psf": {"kind": "measured", "size": 31},
        "variance": {"kind": "measured", "hdu": 0},
        "mask": None,
        "tiling": {"block": 150, "border": 30, "region": None},
    }
    spec.update(changes)
    return {k: v for k, v in spec.items() if v is not ...}


def plane(folder, array):
    """Write an array beside an image and return the entry that names it."""
    fits.writeto(folder / "plane.fits", array, overwrite=True)
    return {"file": str(folder / "plane.fits"), "hdu": 0}


def real_patch(kind="pixels", index=7003, parity=1):
    """A 'real' patch: a bright and a faint source on noise; SEG and context rows that know both."""
    image = correlated_noise(PATCH, np.random.default_rng(2)).astype(np.float32)
    seg = np.zeros(PATCH, np.int32)
    yy, xx = np.indices(PATCH)
    rows = []
    for k, (x, y, flux, radius) in enumerate([(60, 50, 2e4, 12), (110, 90, 300, 4)]):
        star = np.zeros(PATCH)
        draw(star, psf_at(0, 0, (1, 1)).withFlux(flux), x, y)
        image += star.astype(np.float32)
        seg[np.hypot(xx - x, yy - y) <= radius] = CONTEXT_IDS + k + 1
        rows.append(
            {
                "source_id": CONTEXT_IDS + k + 1,
                "x": float(x),
                "y": float(y),
                "flux_g": flux,
                "mag_g": 30 - 2.5 * np.log10(flux),
                "snr": 50.0,
                "snr_g": 50.0,
                "role": "context",
                "kind": "real",
            }
        )
    mask = np.zeros(PATCH, np.uint8)
    mask[100:110, 40:50] = 1
    light = np.where(seg > 0, np.maximum(image, 0), 0)
    variance = (RMS**2 + light / GAIN).astype(np.float32)
    wcs = WCS(tan_header(PATCH, parity=parity))
    band = BandImage(
        "g",
        image,
        variance,
        mask,
        psf_pixels(PSF_MODEL, SCALE, 31),
        wcs,
        30.0,
        GAIN,
        {"kind": "pixels"} if kind == "pixels" else dict(PSF_MODEL),
        {"BASE": image.copy(), "SEG": seg},
        "COUNTS/S",
        SATURATION,
    )
    columns = truth_columns(["g"], None)
    blank = {
        "case": "galaxies",
        "scenario": "fiducial",
        "twin": "zero",
        "patch": index // 1000,
        "block": index // 1000,
        "stamp": "",
        "evolution": "",
        "ambiguous": False,
        "injection_id": -1,
        "injection_flag": 0,
    }
    truth = Table(rows=[{c: {**blank, **row}.get(c, np.nan) for c in columns} for row in rows])[list(columns)]
    truth = describe(truth, columns)
    truth.meta[NOISE_META] = json.dumps({"g": {"correlation": correlation().tolist()}})
    return Patch(index, "zero", 0.0, {"g": band}, BORDER), truth


def sources(patch, rows):
    """Return a catalogue of rows given in pixels."""
    wcs = patch.reference.wcs
    full = []
    for k, row in enumerate(rows):
        row = {
            "injection_id": k,
            "source_type": "Sersic",
            "mag": 21.0,
            "n": 1.0,
            "half_light_radius": 0.5,
            "q": 0.6,
            "beta": 30.0,
            "stamp": "",
            "trail_length": np.nan,
            **row,
        }
        row["ra"], row["dec"] = (float(v) for v in wcs.all_pix2world(row.pop("x"), row.pop("y"), 0))
        full.append(row)
    return standardise(Table(rows=full), list(patch.bands), SCALE)
