"""A small image in three registered bands, with known sources, written as one FITS file or as three, for tests."""

import galsim
import numpy as np
import sky_maker
from astropy.io import fits

BANDS = {
    "g": {"fwhm": 1.2, "rms": 1.5, "zero_point": 30.0, "gain": 50.0, "level": 3.0},
    "r": {"fwhm": 1.0, "rms": 2.5, "zero_point": 31.0, "gain": 30.0, "level": 10.0},
    "i": {"fwhm": 0.9, "rms": 0.02, "zero_point": 25.5, "gain": 900.0, "level": 0.1},
}
"""FWHM in arcsec; noise and sky in the unit of the band, of its zero point; gain."""
RED = {"g": 1.0, "r": 2.0, "i": 3.0}
"""Flux density of a red galaxy; stars are of flat spectrum."""


def psf(band):
    """The PSF of a band, with the pixel."""
    return galsim.Moffat(beta=sky_maker.BETA, fwhm=BANDS[band]["fwhm"])


def make(shape=(300, 320), seed=3, galaxies=25, pitch=56):
    """Return {band: image} of the same stars and galaxies, places of the stars, and their AB magnitudes.

    The sky is flat and the noise white. Stars are at `sky_maker.star_places`, with fluxes of the zero point 30.
    """
    rng = np.random.default_rng(seed)
    places, fluxes = sky_maker.star_places(shape, rng, pitch)
    rows = [
        (rng.uniform(5, shape[1] - 5), rng.uniform(5, shape[0] - 5), rng.uniform(0.4, 0.9), 10 ** rng.uniform(1.7, 2.7))
        for _ in range(galaxies)
    ]
    images = {}
    for k, (band, facts) in enumerate(BANDS.items()):
        image = np.zeros(shape)
        unit = 10 ** (0.4 * (facts["zero_point"] - 30))
        for (x, y), flux in zip(places, fluxes):
            sky_maker.draw(image, psf(band).withFlux(flux * unit), x, y)
        for x, y, radius, flux in rows:
            galaxy = galsim.Exponential(half_light_radius=radius, flux=flux * unit * RED[band])
            sky_maker.draw(image, galsim.Convolve(galaxy, psf(band)), x, y)
        noise = np.random.default_rng(seed + k + 1).standard_normal(shape)
        images[band] = image + facts["level"] + facts["rms"] * noise
    return images, places, 30 - 2.5 * np.log10(fluxes)


def header(shape, band, shift=0.0):
    """Header of a band; ``shift``: pixels by which its WCS is off."""
    out = sky_maker.tan_header(shape, parity=-1)
    out["CRPIX1"] += shift
    out["MAGZERO"], out["GAIN"], out["BUNIT"] = BANDS[band]["zero_point"], BANDS[band]["gain"], "adu"
    return out


def write_one(path, images, shifts=()):
    """Write the bands as extensions of one file, named after them in capitals; return the path."""
    planes = [
        fits.ImageHDU(image.astype(np.float32), header(image.shape, band, dict(shifts).get(band, 0.0)), band.upper())
        for band, image in images.items()
    ]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path, overwrite=True)
    return path


def entry(folder, name="mine", **changes):
    """Return the entry of an image whose bands are extensions of ``mine.fits`` in a folder; ``...`` removes a key."""
    data = {
        "name": name,
        "title": "three bands",
        "file": str(folder / "mine.fits"),
        "zero_point_key": "MAGZERO",
        "gain_key": "GAIN",
        "psf": {"kind": "moffat", "beta": sky_maker.BETA, "size": 31},
        "bands": {band: {"hdu": band.upper(), "psf": {"fwhm": facts["fwhm"]}} for band, facts in BANDS.items()},
        "tiling": {"block": 100, "border": 24},
        "reference": "made by the test",
        **changes,
    }
    return {key: value for key, value in data.items() if value is not ...}


def write_three(folder, images):
    """Write the bands as files of their own, and return the entry that names them."""
    for band, image in images.items():
        fits.PrimaryHDU(image.astype(np.float32), header(image.shape, band)).writeto(
            folder / f"{band}.fits", overwrite=True
        )
    bands = {b: {"file": str(folder / f"{b}.fits"), "psf": {"fwhm": facts["fwhm"]}} for b, facts in BANDS.items()}
    return entry(folder, file=..., bands=bands)
