"""The sky estimate: unbiased on empty sky, not raised by sources, robust to masks and crowding."""

import numpy as np
import pytest
from blendimpact.data.significance import _convolve
from blendimpact.errors import StudyError
from blendimpact.measure.sky import CLIP, _clipped_mean, estimate_sky, known_sky, object_mask, sky_options
from blendimpact.stats.streams import stream
from hypothesis import given
from hypothesis import strategies as st
from patch_maker import make_patch, peak_snr_flux, scene
from scipy.signal import fftconvolve
from scipy.stats import sigmaclip

SHAPE = (300, 372)


def noise(*key, shape=SHAPE):
    return stream(1, "test_sky", *key).normal(size=shape)


def stars(n, low, high, *key):
    rng = stream(2, "stars", *key)
    x, y = rng.uniform(0, SHAPE[1], n), rng.uniform(0, SHAPE[0], n)
    snr = np.exp(rng.uniform(np.log(low), np.log(high), n))
    return [(a, b, peak_snr_flux(s)) for a, b, s in zip(x, y, snr)]


def test_empty_sky_is_estimated_without_bias_to_its_standard_error():
    got = [estimate_sky(make_patch(100.0 + noise("empty", k)))["i"].mean() - 100.0 for k in range(12)]
    error = 1 / np.sqrt(SHAPE[0] * SHAPE[1])
    # A median filter over the mesh is a little noisier than the mean over all pixels.
    assert abs(np.mean(got)) < 4 * error / np.sqrt(12) + 1e-3
    assert np.std(got) < 3 * error


def test_a_constant_is_returned_as_it_is_on_any_shape():
    for shape in ((40, 40), (128, 300), (300, 128), (500, 260)):
        sky = estimate_sky(make_patch(np.full(shape, 7.0)))["i"]
        assert sky.shape == shape
        assert sky.dtype == np.float32
        np.testing.assert_allclose(sky, 7.0, rtol=1e-6)


def test_a_slope_is_followed_between_the_cells_centres_not_transposed():
    slope = 0.003 * np.arange(SHAPE[1]) - 0.001 * np.arange(SHAPE[0])[:, None]
    sky = estimate_sky(make_patch(slope + noise("slope")), {"filter": 1})["i"]
    middle = slice(75, -75), slice(62, -62)
    assert np.abs((sky - slope)[middle]).max() < 0.06
    assert np.ptp(slope[middle]) > 0.7


def test_objects_are_masked():
    image = scene(SHAPE, stars(60, 20, 300, "objects"))
    patch = make_patch(image + noise("objects"))
    mask = object_mask(patch, known_sky(patch))
    assert image[mask].sum() > 0.995 * image.sum()
    assert 0.03 < mask.mean() < 0.4
    sky = estimate_sky(patch)["i"]
    assert abs(sky.mean()) < 0.01  # the mean of the image is 20 times that
    assert image.mean() > 0.2


def test_undetected_light_raises_the_sky():
    faint = scene(SHAPE, stars(900, 1.0, 3.0, "faint"))
    sky = estimate_sky(make_patch(faint + noise("faint")))["i"]
    assert sky.mean() > 0.5 * faint.mean() > 0.01


def test_bands_are_estimated_on_their_own():
    planes = {"g": 3.0 + noise("g"), "r": -2.0 + 2 * noise("r")}
    sky = estimate_sky(make_patch(planes, variance={"g": 1.0, "r": 4.0}))
    assert sky["g"].mean() == pytest.approx(3.0, abs=0.02)
    assert sky["r"].mean() == pytest.approx(-2.0, abs=0.04)


def test_pixels_without_data_do_not_count():
    image = 5.0 + noise("bad")
    mask = np.zeros(SHAPE, np.uint8)
    image[:150, :200], mask[:150, :200] = 1e6, 1
    image[200, 200] = np.nan
    sky = estimate_sky(make_patch(image, mask=mask))["i"]
    assert np.abs(sky - 5.0).max() < 0.1
    np.testing.assert_array_equal(estimate_sky(make_patch(np.full(SHAPE, np.nan)))["i"], 0)


def test_a_crowded_field_still_gets_a_sky():
    image = scene(SHAPE, stars(3000, 5, 300, "crowded"))
    patch = make_patch(50.0 + image + noise("crowded"))
    sky = estimate_sky(patch)["i"]
    assert np.isfinite(sky).all()
    # Above the true sky, because no pixel is free of stars; far below the mean.
    assert 50.0 < sky.mean() < 50.0 + 0.7 * image.mean()


def test_known_sky_is_zero_and_unknown_options_are_refused():
    patch = make_patch({"g": 10 + noise("k"), "r": noise("k")})
    for sky in (estimate_sky(patch, {"known": True}), known_sky(patch)):
        assert list(sky) == ["g", "r"]
        for plane in sky.values():
            np.testing.assert_array_equal(plane, np.zeros(SHAPE, np.float32))
    with pytest.raises(StudyError, match="messh"):
        estimate_sky(patch, {"messh": 3})
    assert sky_options({"mesh": 10})["mesh"] == 10


def test_byte_order_changes_nothing():
    image = (3 + noise("bytes")).astype("f4")
    np.testing.assert_array_equal(
        estimate_sky(make_patch(image))["i"], estimate_sky(make_patch(image.astype(">f4")))["i"]
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # nothing is left of three equal numbers whose mean is rounded
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_the_clipped_mean_is_that_of_scipy(values):
    values = np.array(values)
    np.testing.assert_equal(_clipped_mean(values), sigmaclip(values, CLIP, CLIP)[0].mean())


@pytest.mark.parametrize("shape", [(40, 60), (61, 33), (128, 128)])
@pytest.mark.parametrize("width", [3, 9, 21])
def test_the_smoothing_of_the_detection_image_is_the_convolution_of_scipy(shape, width):
    rng = np.random.default_rng(width)
    array, kernel = rng.normal(size=shape), rng.random((width, width))
    np.testing.assert_array_equal(_convolve(array, kernel), fftconvolve(array, kernel, mode="same"))
