"""DECam repeats with an apparent transient on its host: every engine finds it (real data, skipped where absent)."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from blendimpact.data.images import BandImage
from blendimpact.data.psf import psf_pixels
from blendimpact.search.filters import forced, search
from blendimpact.search.own_noise import own_noise
from blendimpact.sky.adopt.psf import fit_moffat
from blendimpact.subtract import SUBTRACTORS
from patch_maker import tan_wcs

FOLDER = (
    Path(os.environ.get("BLENDIMPACT_REALDATA", Path(__file__).resolve().parents[3] / "shared" / "realdata"))
    / "diffim_decam"
)
SCALE = 0.263  # arcsec per pixel
STARS = ((104, 233), (123, 211), (178, 203), (100, 73))
X, Y = 129, 128
GAIN = 20.0  # electrons per count of a median of five exposures of gain 4


def coadd(observation):
    """Return the median of the five exposures, its PSF the Moffat of the median star, its noise measured."""
    image = np.median([fits.getdata(FOLDER / f"DEC-OBS{observation}{c}.mini.fits") for c in "abcde"], axis=0)
    rms = 1.4826 * np.median(np.abs(image - np.median(image)))
    fits_ = [fit_moffat(s / s.sum(), SCALE) for s in (image[y - 15 : y + 16, x - 15 : x + 16] for x, y in STARS)]
    model = {"kind": "moffat", **{k: float(np.median([f[k] for f in fits_])) for k in ("fwhm", "beta")}}
    variance = rms**2 + np.maximum(image, 0) / GAIN
    return BandImage(
        "i",
        image.astype(np.float32),
        variance.astype(np.float32),
        np.zeros(image.shape, np.uint8),
        psf_pixels(model, SCALE),
        tan_wcs(SCALE),
        30.0,
        GAIN,
        model,
    )


@pytest.fixture(scope="module")
def epochs():
    if not FOLDER.is_dir():
        pytest.skip(f"no {FOLDER}: set BLENDIMPACT_REALDATA to the folder that holds diffim_decam")
    return coadd("04"), coadd("18")


def engine(name, options):
    if name == "sfft":
        pytest.importorskip("sfft", reason="sfft is not installed: pip install sfft==1.7.3")
    return SUBTRACTORS.create(name, options)


@pytest.mark.real
@pytest.mark.parametrize(
    "name, options, snr", [("zogy", {}, 15), ("alard_lupton", {}, 20), ("sfft", {"kernel_half": 8}, 20)]
)
def test_the_transient_is_recovered(epochs, name, options, snr):
    science, template = epochs
    host = np.hypot(*(np.indices(science.science.shape) - np.array([Y, X])[:, None, None])) < 10
    raw = engine("none", {}).subtract(science, template)
    difference = own_noise(engine(name, options).subtract(science, template))
    found = search(difference, 5)
    near = np.hypot(found["x"] - X, found["y"] - Y) < 2
    assert near.sum() == 1 and found["snr"][near][0] > 0.9 * snr
    table = forced(difference, [X], [Y])
    assert snr < table["snr"][0] < 40
    # The host is 30 times as bright; what is left is the transient itself and little else.
    assert difference.chi2(host)[0] < 0.05 * raw.chi2(host)[0]
    away = found[~near]
    stars = np.array([*STARS, (57, 180), (5, 126)])
    spurious = [min(np.hypot(*(stars - [r["x"], r["y"]]).T)) > 9 for r in away]
    assert sum(spurious) <= 2  # all else is the dipoles of bright stars
    assert len(found) < len(search(own_noise(raw), 5))


@pytest.mark.real
def test_the_flux_is_that_of_the_difference_that_sfft_made(epochs):
    final = fits.getdata(FOLDER / "FinalDifference.fits")
    image = engine("alard_lupton", {"decorrelate": False}).subtract(*epochs).image
    for radius in (6, 8):
        use = np.hypot(*(np.indices(final.shape) - np.array([Y, X])[:, None, None])) < radius
        assert image[use].sum() == pytest.approx(final[use].sum(), rel=0.1)


@pytest.mark.real
def test_the_registration_term_silences_the_dipoles_of_bright_stars(epochs):
    plain, careful = (search(own_noise(engine("zogy", {"registration": r}).subtract(*epochs)), 5) for r in (0, 0.2))
    assert len(careful) < 0.5 * len(plain)
    best = careful[0]
    assert np.hypot(best["x"] - X, best["y"] - Y) < 2 and best["snr"] > 10
