"""Errors of what is measured on differences whose noise is correlated: pulls at empty places have unit width."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.ladder.differences import Differences
from blendimpact.measure.difference import activity, fit_points
from blendimpact.measure.sky import known_sky
from blendimpact.search.filters import forced, matched_filter
from blendimpact.search.own_noise import own_noise
from blendimpact.sky.true_scene import TruthScene
from blendimpact.stats.streams import stream
from blendimpact.subtract import SUBTRACTORS
from blendimpact.subtract.base import BAD
from epochs import empty, free_places, pair
from scipy.ndimage import gaussian_filter, maximum_filter
from visit_maker import SEED, visit

STEP = 10  # pixels between places: the filter's width is 5


def smoothed(image, sigma, key):
    """Add noise of the image's variance: white noise under a Gaussian of ``sigma`` pixels; what it had is dropped."""
    noise = stream(11, "correlated", key).standard_normal(image.science.shape)
    if sigma:
        point = np.zeros((41, 41))
        point[20, 20] = 1
        noise = gaussian_filter(noise, sigma, mode="wrap") / np.sqrt((gaussian_filter(point, sigma) ** 2).sum())
    image.science[:] = noise * np.sqrt(image.variance)
    return image


def places(size, border=30):
    grid = np.arange(border, size - border, STEP)
    x, y = np.array(np.meshgrid(grid, grid)).reshape(2, -1)
    return [c + stream(11, "places", axis).uniform(-0.5, 0.5, c.size) for axis, c in enumerate((x, y))]


def pulls(difference, x, y):
    table = forced(difference, x, y)
    return np.asarray(table["flux"] / table["flux_err"])


@pytest.mark.parametrize("sigma, before", [(0.0, 1.0), (0.6, 1.9), (1.0, 3.1)])
@pytest.mark.parametrize("engine", ["zogy", "alard_lupton"])
def test_forced_fluxes_of_nothing_have_pulls_of_unit_width(engine, sigma, before):
    images = [smoothed(image, sigma, engine + str(k)) for k, image in enumerate(empty((1.0, 0.7), 300))]
    difference = SUBTRACTORS.create(engine).subtract(*images)
    own, (x, y) = own_noise(difference), places(300)
    found = pulls(own, x, y)
    assert len(found) == 24**2
    assert found.std() == pytest.approx(1, abs=0.05)
    assert pulls(difference, x, y).std() == pytest.approx(before, rel=0.1)  # what the engine says
    fluxes = activity(own, x[::4], y[::4], 5.0)
    assert (fluxes["flux_ap"] / fluxes["flux_ap_err"]).std() == pytest.approx(1, abs=0.2)
    # The search divides by the same errors, and takes the noise for what it is between the places too.
    filtered = matched_filter(own)
    i, j = (np.rint(c[::20]).astype(int) for c in (x, y))
    np.testing.assert_allclose(filtered.error[j, i], forced(own, i, j)["flux_err"], rtol=0.01)
    np.testing.assert_allclose(own.image[20:-20, 20:-20].std(), np.sqrt(np.median(own.variance)), rtol=0.06)


def test_sources_are_no_noise():
    """On a science image from which nothing was subtracted its sources neither widen nor correlate the noise."""
    science, template, _ = pair(2)
    difference = own_noise(SUBTRACTORS.create("none").subtract(science, template))
    x, y = free_places(2, apart=10, border=24)
    assert len(x) > 200 and pulls(difference, x, y).std() == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("engine", ["zogy", "alard_lupton"])
def test_simulated_visits(engine, galaxies, stars):
    """The study's own differences: what the engines say of white noise is right, and what is measured agrees."""
    found = []
    population = {"galaxies": {"mag_max": 25.5, "density": 0.5}, "stars": {"mag_min": 20.0, "density": 1.0}}
    patch_size = {"size": 140, "border": 30, "margin": 2.0}
    for index in range(2):
        settings, patch, truth = visit(
            galaxies, stars, index, patch=patch_size, population={**population, "positions": {}}, inject=None
        )
        made = Differences(TruthScene(patch, truth, SEED, "transients"), known_sky(patch), settings).made_by(
            SUBTRACTORS.create(engine)
        )
        x, y = places(len(patch.bands["r"].science), 20)
        light = maximum_filter(patch.bands["r"].planes["MODEL"] / np.sqrt(np.median(made.variance)), 11)
        dark = light[np.rint(y).astype(int), np.rint(x).astype(int)] < 3
        found.append([pulls(d, x[dark], y[dark]) for d in (made, own_noise(made))])
    said, own = np.concatenate(found, axis=1)
    assert len(said) > 300
    assert said.std() == pytest.approx(1, abs=0.08) and own.std() == pytest.approx(1, abs=0.08)
    assert own.std() == pytest.approx(said.std(), abs=0.02)


def test_what_has_no_noise_and_what_has_no_data_stay():
    science, template = empty((0.8, 0.8), 200)
    noisy = SUBTRACTORS.create("none").subtract(smoothed(science, 0.6, 1), template)
    science.science[:] = 0
    science.science[100, 100] = 50
    blank = SUBTRACTORS.create("none").subtract(science, template)
    like = own_noise(blank, noisy)
    np.testing.assert_array_equal(like.image, blank.image)
    np.testing.assert_array_equal(forced(like, 60, 60)["flux_err"], forced(own_noise(noisy), 60, 60)["flux_err"])
    assert np.isfinite(fit_points(like, [100.0], [100.0])["flux_err"]).all()
    science.mask[:] = BAD
    nothing = SUBTRACTORS.create("none").subtract(science, template)
    assert own_noise(nothing) is nothing
    few = SUBTRACTORS.create("none").subtract(*[smoothed(i, 0.6, 2) for i in empty((0.8, 0.8), 80)])
    assert np.std(matched_filter(own_noise(few)).snr[10:-10, 10:-10]) == pytest.approx(1, abs=0.15)  # the scale alone


def test_every_difference_of_a_real_image_has_its_own_noise_and_none_of_a_simulated_one():
    science, template = (smoothed(image, 1.0, f"real{k}") for k, image in enumerate(empty((1.0, 0.7), 200)))
    nothing = np.zeros_like(science.science)
    science.planes.update(MODEL=nothing, NOISE=science.science.copy(), BASE=science.science, SEG=nothing.astype(int))
    truth = Table({"source_id": [1], "injection_id": [-1], "flux_i": [0.0]})
    settings = {"shape_band": "i", "measure": {}}
    errors = {}
    for real in (True, False):
        scene = SimpleNamespace(
            real=real, truth=truth, patch=SimpleNamespace(bands={"i": science}), plane=lambda *_, **__: nothing
        )
        differences = Differences(scene, {}, settings)
        differences.epochs = science, template
        made = differences.made_by(SUBTRACTORS.create("zogy", {"scale": "zero_points"}))
        of = [made, differences.isolated, differences.noiseless, differences.undivided]
        errors[real] = np.array([forced(d, [100.0], [100.0])["flux_err"][0] for d in of])
    assert (errors[True] / errors[False] > 2.5).all()
    assert errors[True][1] == errors[True][2]
