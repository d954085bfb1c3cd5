"""Raw frames: a bias from line to line, lines and pixels without data, a crowded sky; the real inner-bulge frame."""

import json
import os
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.io import fits
from blendimpact.config.real_image import load_image
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.detector import find_defects, level_lines
from blendimpact.sky.adopt.image import adopt
from sky_maker import tan_header

ROOT = Path(__file__).resolve().parents[2]
SCALE, SHAPE, RMS = 0.148, (300, 320), 9.0


def stars(number, seed, mag=(2.5, 4.5)):
    """Light of stars in crowded places, and where they are."""
    rng = np.random.default_rng(seed)
    psf = galsim.Moffat(beta=2.7, fwhm=0.5).drawImage(nx=41, ny=41, scale=SCALE).array
    light = np.zeros((SHAPE[0] + 40, SHAPE[1] + 40))
    places = np.stack([rng.integers(0, n, number) for n in SHAPE], axis=1)
    for (y, x), flux in zip(places, 10 ** rng.uniform(*mag, number)):
        light[y : y + 41, x : x + 41] += flux * psf
    return light[20:-20, 20:-20], places


def ramp(n):
    """A bias that falls from the first row of each half on, as ISAAC's does."""
    return 360 + 700 * np.exp(-(np.arange(n) % (n // 2)) / 20)


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_a_bias_along_lines_is_taken_off_and_the_level_and_the_stars_stay(axis):
    rng, (light, _) = np.random.default_rng(3), stars(250, 1)
    bias = ramp(SHAPE[0])[:, None] if axis == "rows" else ramp(SHAPE[1])[None, :]
    frame = (bias + light + RMS * rng.standard_normal(SHAPE)).astype(np.float32)
    levelled, lost, found = level_lines(frame, np.zeros(SHAPE, bool), axis)
    off = levelled - light
    along = np.median(off, axis=1 if axis == "rows" else 0)
    # the error of a median of 300 pixels, and what faint wings add
    assert along.std() < 3 * 1.25 * RMS / np.sqrt(300) and not lost.any()
    expected = bias.ravel() - np.median(bias)
    assert np.abs(found - expected).max() < 8 * RMS / np.sqrt(300) + 3
    assert np.median(off) == pytest.approx(np.median(bias), abs=5)


def test_a_line_of_noise_is_without_data():
    rng = np.random.default_rng(5)
    frame = 100 + RMS * rng.standard_normal(SHAPE)
    frame[[0, 150]] = rng.uniform(0, 1000, (2, SHAPE[1]))
    bad = np.zeros(SHAPE, bool)
    bad[7] = True
    levelled, lost, _ = level_lines(frame.astype(np.float32), bad, "rows")
    assert np.flatnonzero(lost.any(axis=1)).tolist() == [0, 150] and lost[[0, 150]].all()
    assert np.isfinite(levelled).all()


def test_hot_and_dead_pixels_are_found_and_stars_are_not():
    rng, (light, _) = np.random.default_rng(7), stars(150, 2)
    frame = light + RMS * rng.standard_normal(SHAPE)
    places = rng.integers(5, 290, (60, 2))
    quiet = light[places[:, 0], places[:, 1]] < RMS
    y, x = places[quiet].T
    frame[y, x] += 25 * RMS
    dead = np.argwhere(light > 60 * RMS)[::9]
    frame[dead[:, 0], dead[:, 1]] = 0.0
    found = find_defects(frame, np.zeros(SHAPE, bool), np.full(SHAPE, RMS), 8)
    assert found[y, x].mean() > 0.95
    assert found[dead[:, 0], dead[:, 1]].mean() > 0.5  # of those that are alone
    planted = np.zeros(SHAPE, bool)
    planted[y, x] = planted[dead[:, 0], dead[:, 1]] = True
    assert (found & ~planted).sum() <= 3
    clean = light + RMS * rng.standard_normal(SHAPE)
    assert find_defects(clean, np.zeros(SHAPE, bool), np.full(SHAPE, RMS), 8).sum() == 0


def entry(tmp_path, frame, **changes):
    fits.PrimaryHDU(frame.astype(np.float32), tan_header(SHAPE, SCALE)).writeto(tmp_path / "raw.fits")
    spec = {
        "name": "raw",
        "title": "t",
        "band": "K",
        "file": str(tmp_path / "raw.fits"),
        "size": [320, 300],
        "pixel_scale": SCALE,
        "zero_point": 25.0,
        "gain": 10.0,
        "reference": "r",
        "psf": {"kind": "moffat", "fwhm": 0.5, "beta": 2.7, "size": 25},
        "tiling": {"block": 100, "border": 28},
        **changes,
    }
    (tmp_path / "raw.yaml").write_text(json.dumps(spec))
    return load_image(tmp_path / "raw.yaml")


def test_a_raw_crowded_frame_is_adopted(tmp_path):
    rng, (light, _) = np.random.default_rng(9), stars(300, 4)
    frame = ramp(SHAPE[0])[:, None] + light + RMS * rng.standard_normal(SHAPE)
    frame[[40, 41, 200], [50, 250, 100]] += 3000
    spec = entry(tmp_path, frame, detector={"lines": "rows", "defects": 8}, sky={"mesh": 64, "grow": 0.3})
    image = adopt(spec, tmp_path)
    assert (image.mask[[40, 41, 200], [50, 250, 100]] == 1).all() and image.mask.sum() < 30
    assert image.report["detector"]["lines"] == "rows" and image.report["detector"]["lost_lines"] == 0
    assert np.abs(np.median(image.science - light, axis=1)).mean() < 0.5 * RMS
    assert np.median(np.sqrt(image.sky_variance)) == pytest.approx(RMS, rel=0.1)
    assert json.loads(json.dumps(image.report)) == image.report


def test_a_frame_without_sky_is_refused_with_a_remedy(tmp_path):
    light, _ = stars(6000, 4, (4, 5))
    spec = entry(tmp_path, light, sky={"grow": 4.0})
    with pytest.raises(StudyError, match="free of sources") as error:
        adopt(spec, tmp_path)
    assert "sky.grow" in str(error.value)


def test_keys_of_a_raw_frame_are_checked(tmp_path):
    with pytest.raises(StudyError, match="rows, columns"):
        entry(tmp_path, np.zeros(SHAPE), detector={"lines": "diagonals"})


@pytest.mark.real
def test_the_inner_bulge_frame():
    inputs = Path(os.environ.get("BLENDIMPACT_INPUTS", ROOT / "results" / "inputs"))
    spec = load_image("isaac_bulge")
    if not (inputs / "isaac_bulge" / spec["member"]).is_file():
        pytest.skip(f"no ISAAC frame in {inputs}: fetch the input isaac_bulge (needs apt-get)")
    image = adopt(spec, inputs)
    report = image.report
    psf = report["psf"]
    assert 0.3 < psf["fwhm_arcsec"] < 0.6 and psf["stars"] >= 20
    size = psf["held_out"][psf["chosen"]]["dT_over_T"]
    assert size["low"] < 0.02 and size["high"] > -0.02 and size["high"] - size["low"] < 0.1
    assert report["detector"]["lost_lines"] == 4 and report["detector"]["bias_max"] > 300
    assert 1500 < report["objects"] < 4000
    level = np.median(image.science, axis=1)
    good = ~(image.mask > 0).all(axis=1)
    assert np.abs(level[good]).max() < image.sky_variance.mean() ** 0.5  # no step between the halves
