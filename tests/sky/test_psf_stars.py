"""The PSF of a real image, measured on stars whose PSF is known."""

import galsim
import numpy as np
import pytest
import sky_maker
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.noise import measure_sky
from blendimpact.sky.adopt.psf import curve_of_growth, fit_moffat, interval, measure_psf, wings
from blendimpact.sky.adopt.stars import find_objects, moments, select_stars, stellar_locus


def prepared(image):
    bad = np.zeros(image.shape, bool)
    sky = measure_sky(image, bad, sky_maker.SCALE)
    science = image - sky.level
    objects, segmentation = find_objects(science, sky.rms, bad)
    return science, bad, objects, segmentation


def true_pixels(psf, size=31):
    array = psf.drawImage(nx=size, ny=size, scale=sky_maker.SCALE, dtype=float).array
    return array / array.sum()


@pytest.fixture(scope="module")
def constant():
    image, places, fluxes = sky_maker.make_sky((640, 700), galaxies=60, g1=0.05)
    return prepared(image), places, fluxes


@pytest.fixture(scope="module")
def varying():
    image, _, _ = sky_maker.make_sky((640, 700), vary=0.16, seed=9)
    science, bad, objects, segmentation = prepared(image)
    return measure_psf(science, bad, objects, segmentation, sky_maker.SCALE, 31), image.shape


def test_constant_psf_recovered(constant):
    (science, bad, objects, segmentation), _, _ = constant
    psf = measure_psf(science, bad, objects, segmentation, sky_maker.SCALE, 31)
    pixels = psf.pixels(300, 300)
    assert pixels.shape == (31, 31) and pixels.sum() == pytest.approx(1, abs=1e-12)
    expected = true_pixels(sky_maker.psf_at(0, 0, (1, 1), g1=0.05))
    assert np.abs(pixels - expected).max() < 0.01 * expected.max()
    size, g1, g2, dx, dy = moments(pixels)
    true_size, true_g1, _, _, _ = moments(expected)
    assert size == pytest.approx(true_size, rel=0.01)
    assert g1 == pytest.approx(true_g1, abs=0.003) and abs(g2) < 0.003
    assert np.hypot(dx, dy) < 0.01
    report = psf.report
    assert report["chosen"] == "pixels0"  # elliptical, so no round Moffat; constant, so no polynomial
    assert report["fwhm_arcsec"] == pytest.approx(sky_maker.FWHM, rel=0.02)
    assert report["moffat"]["beta"] == pytest.approx(sky_maker.BETA, rel=0.15)
    held = report["held_out"]["pixels0"]
    for key, limit in (("dT_over_T", 0.01), ("dg1", 0.004), ("dg2", 0.004)):
        assert abs(held[key]["mean"]) < limit
        assert held[key]["low"] < held[key]["mean"] < held[key]["high"]
        assert held[key]["n"] == report["stars"]


def test_round_constant_psf_is_a_moffat():
    """The simplest model that describes held-out stars is taken."""
    image, _, _ = sky_maker.make_sky((560, 600), seed=21)
    science, bad, objects, segmentation = prepared(image)
    psf = measure_psf(science, bad, objects, segmentation, sky_maker.SCALE, 31)
    assert psf.model["kind"] == "moffat" and psf.report["chosen"] == "moffat"
    assert psf.model["fwhm"] == pytest.approx(sky_maker.FWHM, rel=0.015)


def test_varying_psf_followed_over_the_field(varying):
    psf, shape = varying
    assert psf.order >= 1
    for x in (100, 350, 600):
        expected = moments(true_pixels(sky_maker.psf_at(x, 0, shape, vary=0.16)))[0]
        assert moments(psf.pixels(x, 320))[0] == pytest.approx(expected, rel=0.02)
    left, right = (psf.report["quadrants"][k]["dT_over_T"]["mean"] for k in ("lower_left", "lower_right"))
    assert left < -0.03 and right > 0.03
    low, high = psf.report["fwhm_over_field_arcsec"]
    assert low < sky_maker.FWHM < high
    scores = {name: model["score"] for name, model in psf.report["held_out"].items()}
    assert scores["pixels1"] < 0.7 * scores["pixels0"] and scores["pixels1"] < 0.7 * scores["moffat"]


def test_selected_are_the_isolated_stars(constant):
    (science, bad, objects, segmentation), places, _ = constant
    stars = select_stars(science, bad, objects, segmentation, 31)
    distance = np.hypot(stars.x[:, None] - places[:, 0], stars.y[:, None] - places[:, 1]).min(axis=1)
    assert distance.max() < 0.1  # every one is a true star, and its centroid is right
    assert len(stars) > 0.6 * len(places)
    counts = stars.counts
    assert counts["objects"] >= counts["bright"] >= counts["isolated"] >= counts["on_locus"] >= counts["used"]


def test_saturated_masked_and_blended_stars_are_left_out(constant):
    (science, bad, objects, segmentation), places, _ = constant
    all_stars = select_stars(science, bad, objects, segmentation, 31)
    limit = 2 * np.median([science[round(y), round(x)] for x, y in places])
    fewer = select_stars(science, bad, objects, segmentation, 31, saturation=limit)
    assert 0 < len(fewer) < 0.75 * len(all_stars)
    x, y = all_stars.x[0], all_stars.y[0]
    masked = bad.copy()
    masked[round(y) + 3, round(x) + 3] = True
    kept = select_stars(science, masked, objects, segmentation, 31)
    assert np.hypot(kept.x - x, kept.y - y).min() > 5
    crowded = science.copy()
    sky_maker.draw(crowded, sky_maker.psf_at(0, 0, (1, 1)).withFlux(3e4), x + 9, y)
    found, owners = find_objects(crowded, np.full(science.shape, sky_maker.RMS), bad)
    kept = select_stars(crowded, bad, found, owners, 31)
    assert np.hypot(kept.x - x, kept.y - y).min() > 5


def test_fluxes_and_half_light_radii_of_objects(constant):
    (_, _, objects, segmentation), places, fluxes = constant
    bright = np.argsort(-fluxes)[:20]
    for k in bright:
        i = np.argmin(np.hypot(objects["x"] - places[k, 0], objects["y"] - places[k, 1]))
        assert objects["flux"][i] == pytest.approx(fluxes[k], rel=0.12)  # a Kron aperture misses some light
        assert segmentation[round(places[k, 1]), round(places[k, 0])] == objects["number"][i]
    assert np.isfinite(objects["flux"]).all() and np.isfinite(objects["x"]).all()
    assert (np.asarray(objects["number"]) == np.arange(1, len(objects) + 1)).all()


def test_too_few_stars_is_the_users_to_mend():
    image = sky_maker.correlated_noise((200, 220), np.random.default_rng(1)) + 2
    science, bad, objects, segmentation = prepared(image)
    with pytest.raises(StudyError, match="stars") as caught:
        measure_psf(science, bad, objects, segmentation, sky_maker.SCALE, 31, where="config/images/x.yaml")
    assert "psf.kind: moffat" in str(caught.value) and "x.yaml" in str(caught.value)


def test_locus_among_galaxies():
    rng = np.random.default_rng(3)
    sizes = np.concatenate([rng.normal(2.7, 0.04, 60), rng.uniform(3.0, 9.0, 120), rng.uniform(0.5, 1.5, 5)])
    centre, scatter = stellar_locus(sizes)
    assert centre == pytest.approx(2.7, abs=0.05) and scatter < 0.12


def test_moments_axes():
    """Elongated along x is g1 > 0; the centroid is (x, y), not (y, x)."""
    array = (
        galsim.Gaussian(sigma=2.0)
        .shear(g1=0.2)
        .shift(0.4, -0.2)
        .drawImage(nx=41, ny=35, scale=1.0, method="no_pixel")
        .array
    )
    size, g1, g2, x, y = moments(array)
    assert size == pytest.approx(8.0, rel=1e-3)
    assert g1 == pytest.approx(0.2, abs=1e-3) and abs(g2) < 1e-3
    assert (x, y) == pytest.approx((0.4, -0.2), abs=1e-3)
    assert np.isnan(moments(np.zeros((21, 21)))[0])


def test_fit_moffat_on_its_own_profile():
    pixels = true_pixels(galsim.Moffat(beta=2.6, fwhm=0.9).shear(g2=0.04), 41)
    found = fit_moffat(pixels, sky_maker.SCALE, elliptical=True)
    assert found["fwhm"] == pytest.approx(0.9, rel=1e-3) and found["beta"] == pytest.approx(2.6, rel=5e-3)
    assert found["g2"] == pytest.approx(0.04, abs=1e-3) and abs(found["g1"]) < 1e-3


def test_interval_is_students():
    found = interval([1.0, 2.0, 3.0, np.nan])
    assert found["mean"] == 2 and found["n"] == 3
    assert found["high"] - found["mean"] == pytest.approx(4.302653 / np.sqrt(3), rel=1e-5)


def test_growth_and_wings(constant):
    (science, bad, objects, segmentation), _, _ = constant
    growth = curve_of_growth(true_pixels(galsim.Moffat(beta=3, fwhm=1.1), 41))["light"]
    assert (np.diff(growth) > 0).all() and growth[-1] < 1
    stars = select_stars(science, bad, objects, segmentation, 31)
    found = wings(science, bad, segmentation, stars, reach=40)
    wide = galsim.Moffat(beta=3, fwhm=1.1).drawImage(nx=81, ny=81, scale=sky_maker.SCALE, dtype=float).array
    radius = np.hypot(*(np.indices(wide.shape) - 40))
    true = wide[(radius >= 15) & (radius < 40)].sum() / wide[radius < 40].sum()
    assert abs(found["light_beyond"] - true) < 5 * found["error"] + 0.003
