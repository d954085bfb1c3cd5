"""Matched filter, peaks, forced photometry, trails; and the sfft adapter without and with the package."""

import importlib
import importlib.util

import numpy as np
import pytest
from blendimpact.errors import StudyError
from blendimpact.search.filters import BITS, COLUMNS, bank, forced, matched_filter, search, trail
from blendimpact.search.shapes import COMAE, TRAILS
from blendimpact.stats.streams import stream
from blendimpact.subtract import SUBTRACTORS
from blendimpact.subtract.kernels import convolve, kernel_of, reach, shifted, transform, trim, width
from epochs import empty, pair, sigma_of
from patch_maker import gaussian, gaussian_psf
from scipy.signal import convolve2d


def lopsided(size=9, key=0):
    return stream(7, "kernel", key).uniform(0.1, 1, (size, size))


# --- kernels ---------------------------------------------------------------------------------------


def test_convolution_is_the_direct_sum():
    image, kernel = stream(7, "image").normal(size=(40, 33)), lopsided()
    np.testing.assert_allclose(convolve(image, kernel), convolve2d(image, kernel, mode="same"), atol=1e-10)
    np.testing.assert_allclose(kernel_of(transform(kernel, (27, 27)), 27)[9:18, 9:18], kernel, atol=1e-12)


def test_kernels_are_trimmed_moved_and_measured():
    psf = gaussian_psf(0.8)
    assert width(psf) == pytest.approx(sigma_of(0.8), rel=1e-3)
    small = trim(psf, 1e-3)
    assert small.shape[0] < psf.shape[0] and small.sum() > 0.999
    moved = shifted(psf, [0.3, 0.0], [-0.2, 0.0])
    yy, xx = np.indices(psf.shape) - 20
    np.testing.assert_allclose([(moved[0] * xx).sum(), (moved[0] * yy).sum()], [0.3, -0.2], atol=1e-6)
    np.testing.assert_allclose(moved[1], psf, atol=1e-12)
    assert reach(np.ones((1, 1))) == 0 and 3 <= reach(psf) <= 6


# --- the filter ------------------------------------------------------------------------------------


def difference_of(name="zogy", key=0, size=200, **options):
    return SUBTRACTORS.create(name, options).subtract(*empty((1.0, 0.7), size, key=key))


def test_error_of_white_noise_has_its_closed_form():
    science, template = empty((0.9, 0.9), 100)
    difference = SUBTRACTORS.create("none").subtract(science, template)
    expected = 2 * np.sqrt(np.pi) * sigma_of(0.9)  # sigma sqrt(4 pi) for unit noise
    assert matched_filter(difference).error[50, 50] == pytest.approx(expected, rel=0.01)
    assert forced(difference, [50.3], [49.8])["flux_err"][0] == pytest.approx(expected, rel=0.01)


def test_filter_and_forced_photometry_agree():
    for decorrelate in (True, False):
        difference = difference_of("alard_lupton", decorrelate=decorrelate)
        filtered = matched_filter(difference)
        x, y = np.array([60, 100, 141]), np.array([77, 100, 60])
        table = forced(difference, x, y)
        np.testing.assert_allclose(table["flux"], filtered.flux[y, x], rtol=1e-3, atol=0.02)
        np.testing.assert_allclose(table["flux_err"], filtered.error[y, x], rtol=2e-3)


def test_depth_that_varies_is_in_the_errors():
    science, template = empty((0.8, 0.8), 300)
    for image in (science, template):
        image.science[:, 150:] *= 3
        image.variance[:, 150:] *= 9
    difference = SUBTRACTORS.create("zogy").subtract(science, template)
    snr = matched_filter(difference).snr
    for half in (np.s_[20:-20, 20:130], np.s_[20:-20, 170:-20]):
        assert snr[half].std() == pytest.approx(1, abs=0.05)


def test_masked_pixels_are_in_flux_error_and_flag():
    pulls = []
    for key in range(4):
        science, template = empty((0.8, 0.8), 220, key=key)
        places = np.array(np.meshgrid(np.arange(20, 210, 20), np.arange(20, 210, 20))).reshape(2, -1)
        x, y = places + stream(7, "places", key).uniform(-0.4, 0.4, places.shape)
        for a, b in zip(x, y):
            science.science[:] += gaussian(science.science.shape, a, b, 60, sigma_of(0.8)).astype(np.float32)
        science.mask[:, [c + 1 for c in range(20, 210, 20)]] = 1
        difference = SUBTRACTORS.create("none").subtract(science, template)
        table = forced(difference, x, y)
        assert (table["flag"] == BITS.MASKED).all()
        pulls.append((table["flux"] - 60) / table["flux_err"])
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 3 / np.sqrt(len(pulls)) and pulls.std() == pytest.approx(1, abs=0.11)
    edge = forced(difference, [-3, 0, 110, np.nan], [50, 0, 110, 3])
    assert edge["flag"][0] & BITS.OUTSIDE and edge["flag"][3] & BITS.OUTSIDE and edge["flag"][1] & BITS.LOST
    assert np.isnan(edge["flux"][[0, 1, 3]]).all() and np.isfinite(edge["flux"][2])
    assert BITS.decode(BITS.LOST)[0][0] == "LOST"


def test_candidates_have_both_signs_places_and_units():
    science, template = empty((0.8, 0.8), 200)
    for x, y, flux in ((60.3, 70.2, 150.0), (120.4, 140.1, -120.0)):
        science.science[:] += gaussian(science.science.shape, x, y, flux, sigma_of(0.8)).astype(np.float32)
    found = search(SUBTRACTORS.create("zogy").subtract(science, template), 6)
    assert list(found.colnames) == list(COLUMNS) and len(found) == 2 and found["cand_id"].tolist() == [1, 2]
    np.testing.assert_allclose([found["x"], found["y"]], [[60.3, 120.4], [70.2, 140.1]], atol=0.4)
    assert (found["snr"] * found["flux"] > 0).all() and found["snr"][1] < 0
    np.testing.assert_allclose(found["flux"], [150, -120], atol=4 * found["flux_err"].max())


# --- trails ----------------------------------------------------------------------------------------


def test_a_trail_is_the_psf_summed_along_its_line():
    psf, length, angle = gaussian_psf(0.8), 12.0, 0.6
    shape = trail(psf, length, angle)
    yy, xx = np.indices(shape.shape) - shape.shape[0] // 2
    along, across = xx * np.cos(angle) + yy * np.sin(angle), -xx * np.sin(angle) + yy * np.cos(angle)
    sigma2 = sigma_of(0.8) ** 2
    assert shape.sum() == pytest.approx(1)
    assert (shape * along**2).sum() == pytest.approx(sigma2 + length**2 / 12, rel=1e-3)
    assert (shape * across**2).sum() == pytest.approx(sigma2, rel=1e-3)
    np.testing.assert_allclose(trail(psf, 0, 0.3), psf, atol=1e-12)


def test_a_trail_is_found_by_its_own_filter():
    science, template = empty((0.8, 0.8), 200)
    shape = 200 * trail(gaussian_psf(0.8), 20, np.pi / 4)
    half = shape.shape[0] // 2
    science.science[100 - half : 101 + half, 90 - half : 91 + half] += shape.astype(np.float32)
    difference = SUBTRACTORS.create("zogy").subtract(science, template)
    filters = [(length, angle) for length in (10, 20, 30) for angle in np.arange(4) * np.pi / 4]
    best = search(difference, 5, trails=filters)[0]
    assert (best["length"], best["angle"]) == (20, pytest.approx(np.pi / 4))
    assert np.hypot(best["x"] - 90, best["y"] - 100) < 1.5
    assert best["flux"] == pytest.approx(200, abs=4 * best["flux_err"])
    assert best["snr"] > 1.15 * abs(search(difference, 3)["snr"][0])


# --- sfft ------------------------------------------------------------------------------------------


def test_sfft_says_how_to_install_it(without_sfft):
    with pytest.raises(StudyError, match=r"not installed.*\n.*pip install sfft==1.7.3"):
        SUBTRACTORS.create("sfft").subtract(*empty(size=32))


@pytest.mark.skipif(importlib.util.find_spec("sfft") is None, reason="sfft is not installed: pip install sfft==1.7.3")
@pytest.mark.parametrize("seeing", ((1.0, 0.7), (0.7, 0.9)))
def test_sfft_subtracts(seeing):
    import numba

    science, template, static = pair(3, seeing, scale=1.5, transients=[(200, 200, 400.0)])
    before = numba.set_num_threads
    difference = SUBTRACTORS.create("sfft").subtract(science, template)
    assert numba.set_num_threads is before
    assert difference.scale == pytest.approx(1.5, rel=0.02)
    good = difference.good & (static < 0.01)
    assert (difference.image[good] / np.sqrt(difference.variance[good])).std() == pytest.approx(1, abs=0.05)
    assert difference.chi2(static > 3)[0] < 2
    table = forced(difference, [200], [200])
    assert table["flux"][0] == pytest.approx(400, abs=5 * table["flux_err"][0])
    assert not SUBTRACTORS.create("sfft").subtract(*empty(size=128)).good.any()  # no stars: an outcome


def test_a_bank_holds_what_the_image_can_hold():
    """Of 400 pixels of 0.03 arcsec trails of 10 arcsec would be most: the search of a block took minutes with them."""
    difference = difference_of("none", size=100)
    assert len(bank(difference, 0.2)[0]) == sum(TRAILS.values()) and len(bank(difference, 0.2)[1]) == len(COMAE)
    trails, comae = bank(difference, 0.03)  # 3 arcsec
    assert {round(0.03 * length, 6) for length, _ in trails} == {2.0} and comae == []
    assert all(length <= 0.8 * 100 for length, _ in trails)
