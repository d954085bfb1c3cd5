"""The peak detector: its noise in closed form, what it splits, and what it must not take for a source."""

from dataclasses import replace

import numpy as np
import pytest
from blendimpact.data.matching import match
from blendimpact.data.significance import coadd, kernel_pixels
from blendimpact.detect import DETECTORS
from blendimpact.detect.base import BITS, detect_on_stamp
from blendimpact.detect.peaks import PeakDetector, difference, maxima, vertex
from blendimpact.errors import StudyError
from blendimpact.sky.blends import false_alarm_density
from blendimpact.stats.streams import stream
from patch_maker import PSF_SIGMA, gaussian, gaussian_psf, make_patch, peak_snr_flux, scene

SHAPE = (160, 220)  # not square


def noise(*key, shape=SHAPE):
    return stream(1, "test_peaks", *key).normal(size=shape)


def xy(table):
    return np.column_stack([table["x"], table["y"]])


def photon_patch(light, *key, gain=1.0):
    """A patch whose sources have photon noise, in the variance too."""
    variance = 1 + np.maximum(light, 0) / gain
    patch = make_patch(light + noise(*key, shape=light.shape) * np.sqrt(variance))
    patch.bands["i"].variance = variance.astype(np.float32)
    return patch


# ------------------------------------------------------------------------------------ filters


@pytest.mark.parametrize("masked", [False, True])
def test_noise_of_the_difference_is_the_sum_of_squares_of_its_response_also_at_edges_and_masks(masked):
    shape = (13, 17)
    rng = stream(2, "response")
    variance = rng.uniform(0.5, 3.0, shape)
    if masked:
        variance[4:7, 9] = np.inf
        variance[0, 0] = np.inf
    response = []
    for pixel in range(variance.size):
        impulse = np.zeros(shape)
        impulse.flat[pixel] = 1.0
        response.append(difference(impulse, variance, 0.9, 1.6)[0].ravel())
    seen = np.isfinite(variance).ravel()
    total = np.square(response).T[:, seen] @ variance.ravel()[seen]
    np.testing.assert_allclose(total[seen], 1.0, rtol=1e-10)
    assert (total[~seen] == 0).all()


def test_far_from_edges_the_noise_is_that_of_two_continuous_gaussians():
    # Integral of (g_a - g_b)^2 = 1/(4 pi a^2) + 1/(4 pi b^2) - 1/(pi (a^2 + b^2)).
    a, b = 1.4, 2.3
    impulse = np.zeros((61, 61))
    impulse[30, 30] = 1.0
    at_peak = difference(impulse, np.ones((61, 61)), a, b)[0][30, 30]
    height = (1 / a**2 - 1 / b**2) / (2 * np.pi)
    sigma = np.sqrt(1 / (4 * np.pi * a**2) + 1 / (4 * np.pi * b**2) - 1 / (np.pi * (a**2 + b**2)))
    assert at_peak == pytest.approx(height / sigma, rel=2e-3)


def test_a_constant_gives_no_difference_anywhere():
    variance = np.ones(SHAPE)
    variance[50:60, 70:75] = np.inf
    significance, broad = difference(np.full(SHAPE, 7.0), variance, 1.0, 1.5)
    assert np.abs(significance).max() < 1e-10
    np.testing.assert_allclose(broad[np.isfinite(variance)], 7.0)


def test_vertex_of_a_tilted_paraboloid_is_exact_and_a_saddle_is_lost():
    yy, xx = np.indices((9, 11))
    dx, dy = xx - 6.3, yy - 3.8
    x, y, lost = vertex(5 - dx**2 - 2 * dy**2 + 0.7 * dx * dy, np.array([[4, 6]]))
    assert (x[0], y[0]) == pytest.approx((6.3, 3.8)) and not lost[0]
    x, y, lost = vertex(dx**2 - dy**2, np.array([[4, 6], [0, 0]]))
    assert lost.all() and (x[0], y[0]) == (6, 4)


def test_prominence_is_the_height_above_the_pass_to_a_higher_maximum():
    line = np.array([0, 5, 3.5, 4, 1, 4.6, 4.2, 4.5, 0])
    image = np.zeros((5, 9))
    image[2] = line
    everywhere = np.ones_like(image, dtype=bool)

    def found(least):
        return maxima(image, everywhere & (image > 2), least)[:, 1].tolist()

    assert found(0) == [1, 3, 5, 7]
    assert found(0.29) == [1, 3, 5, 7]
    assert found(0.31) == [1, 3, 5]  # 4.5 is 0.3 above the pass to 4.6
    assert found(0.51) == [1, 5]
    assert found(3.7) == [1]  # 4.6 is 3.6 above the pass to 5
    assert maxima(image, image > 4.55, 3.7)[:, 1].tolist() == [1]
    assert len(maxima(image, np.zeros_like(everywhere), 1)) == 0


# ------------------------------------------------------------------------------- false alarms


def test_pure_noise_is_detected_at_the_rate_of_maxima_of_a_gaussian_random_field():
    sigma, shape, threshold = 4.0, (1000, 1400), 3.2
    psf = gaussian_psf(fwhm=sigma * 0.2 * 2.3548, size=51)
    patch = make_patch(noise("field", shape=shape), psf=psf)
    # The kernel ends where the PSF holds 98 %: the size that counts is the ratio of its power's moments.
    kernel = np.pad(kernel_pixels("psf", patch), 60)
    power = np.abs(np.fft.fft2(kernel)) ** 2
    wave = 2 * np.pi * np.fft.fftfreq(len(kernel))
    effective = np.sqrt(power.sum() / (power * (wave[:, None] ** 2 + wave**2)).sum())
    assert effective == pytest.approx(sigma, rel=0.06)
    expected = false_alarm_density(threshold, effective) * patch.shape[0] * patch.shape[1]
    detector = PeakDetector(threshold=threshold, prominence_faint=0, min_separation=0)
    count = len(detector.detect(patch, {}).table)
    # A maximum between pixels is seen lower, by threshold / (12 sigma^2) on average.
    lost = np.exp(-(threshold**2) / (12 * effective**2))
    assert expected > 40
    assert abs(count - lost * expected) < 3.5 * np.sqrt(expected)
    # Prominence only takes away, and from such rare maxima hardly any.
    assert 0.75 * count <= len(PeakDetector(threshold=threshold).detect(patch, {}).table) <= count


def test_wings_of_a_bright_star_are_not_sources_and_prominence_is_why():
    yy, xx = np.indices((141, 141)) - 70.0
    wings = (1 + (xx**2 + yy**2) / 3.0**2) ** -2.2
    psf = wings[40:101, 40:101] / wings[40:101, 40:101].sum()
    spurious = {"with": 0, "without": 0}
    for k in range(12):
        patch = photon_patch(4e4 * wings, "star", k, gain=20.0)
        patch.bands["i"].psf = psf
        for name, options in (("with", {}), ("without", {"prominence": 0, "prominence_faint": 0})):
            table = PeakDetector(**options).detect(patch, {}).table
            distance = np.hypot(table["x"] - 70, table["y"] - 70)
            assert distance.min() < 0.1
            spurious[name] += len(table) - 1
    assert spurious["with"] <= 2
    assert spurious["without"] > 20


def test_noise_on_a_large_galaxy_does_not_shred_it():
    count = {"with": 0, "without": 0}
    for k in range(12):
        patch = photon_patch(gaussian((121, 121), 60.3, 59.6, 4e5, 14.0, g1=0.3), "galaxy", k)
        for name, options in (("with", {}), ("without", {"prominence": 0, "prominence_faint": 0, "split": 2})):
            count[name] += len(PeakDetector(**options).detect(patch, {}).table)
    assert count["with"] == 12
    assert count["without"] > 40


# -------------------------------------------------------------------------------------- blends


def pairs(separation, ratio, snr):
    """Positions and fluxes of 20 pairs on a lattice, turned at random."""
    rng = stream(3, "pairs")
    rows = []
    for y in range(25, 140, 30):
        for x in range(25, 200, 42):
            angle, dx, dy = rng.uniform(0, 2 * np.pi), *rng.uniform(-0.5, 0.5, 2)
            rows.append((x + dx, y + dy, peak_snr_flux(snr)))
            rows.append(
                (x + dx + separation * np.cos(angle), y + dy + separation * np.sin(angle), peak_snr_flux(snr * ratio))
            )
    return rows


@pytest.mark.parametrize(("separation", "ratio"), [(4.0, 1.0), (5.0, 0.4), (6.0, 0.2)])
def test_close_pairs_that_sep_merges_are_split_without_spurious_ones(separation, ratio):
    stars = np.array(pairs(separation, ratio, 100))
    patch = make_patch(scene(SHAPE, stars) + noise("pairs"))
    tables = {name: DETECTORS.create(name).detect(patch, {}).table for name in ("peaks", "sep")}
    recall = {name: len(match(stars[:, :2], xy(table), 2.0)) / len(stars) for name, table in tables.items()}
    assert recall["peaks"] >= 0.95 and recall["peaks"] >= 1.3 * recall["sep"]
    assert len(tables["peaks"]) <= len(stars)
    assert (np.asarray(tables["peaks"]["flag"]) & BITS.BLENDED).all()
    near = match(stars[:, :2], xy(tables["peaks"]), 2.0)
    assert np.median(near["distance"]) < 0.4


def test_a_lone_star_has_the_windowed_centroid_s_precision_and_no_flag():
    stars = np.array(pairs(4.0, 1.0, 60))[::2]
    patch = make_patch(scene(SHAPE, stars) + noise("lone"))
    table = PeakDetector().detect(patch, {}).table
    assert len(table) == len(stars) and (table["flag"] == 0).all()
    distance = match(stars[:, :2], xy(table), 1.0)["distance"]
    bound = 2 * PSF_SIGMA / 60  # Cramer-Rao, two dimensions
    assert 0.7 * bound < np.sqrt(np.mean(np.square(distance))) < 1.4 * bound
    np.testing.assert_allclose(table["peak_snr"], 60, atol=5)


def test_filters_in_units_of_the_psf_follow_the_pixel_scale():
    stars = np.array(pairs(4.5, 0.5, 200))
    coarse = make_patch(scene(SHAPE, stars) + noise("coarse"))
    fine_stars = stars * (2, 2, 1) + (0.5, 0.5, 0)
    shape = (2 * SHAPE[0], 2 * SHAPE[1])
    fine = make_patch(
        scene(shape, fine_stars, 2 * PSF_SIGMA) + 0.5 * noise("fine", shape=shape),
        variance=0.25,
        psf=gaussian_psf(fwhm=1.6, size=61),
    )
    tables = [PeakDetector().detect(patch, {}).table for patch in (coarse, fine)]
    for table, true, radius in zip(tables, (stars, fine_stars), (2.0, 4.0)):
        assert len(table) == len(match(true[:, :2], xy(table), radius)) == len(stars)
    ratio = np.sum(tables[1]["npix"]) / np.sum(tables[0]["npix"])
    assert ratio == pytest.approx(4.0, rel=0.03)


def test_arcsec_and_psf_units_are_the_same_filter():
    stars = pairs(4.5, 0.5, 60)
    patch = make_patch(scene(SHAPE, stars) + noise("units"))
    unit = 0.2 / np.sqrt(4 * np.pi * (patch.bands["i"].psf ** 2).sum())
    one = PeakDetector().detect(patch, {})
    two = PeakDetector(unit="arcsec", sigma_in=0.5 * unit, sigma_out=0.75 * unit, min_separation=unit)
    two = two.detect(patch, {})
    assert (one.segmentation == two.segmentation).all()
    np.testing.assert_allclose(xy(one.table), xy(two.table))


def test_bands_add_up():
    stars = pairs(4.5, 0.5, 40)
    images = {b: scene(SHAPE, stars) + noise("bands", b) for b in "gri"}
    three = PeakDetector().detect(make_patch(images), {}).table
    one = PeakDetector(bands=["r"]).detect(make_patch(images), {}).table
    assert len(three) > len(one)
    assert np.median(three["peak_snr"]) == pytest.approx(np.sqrt(3) * np.median(one["peak_snr"]), rel=0.2)
    assert coadd(make_patch(images))[1][0, 0] == pytest.approx(1 / 3)


# --------------------------------------------------------------------------- the rest of the interface


def test_segmentation_and_table_belong_together():
    stars = np.array(pairs(6.0, 0.5, 80))
    patch = make_patch(scene(SHAPE, stars) + noise("segments"))
    found = PeakDetector().detect(patch, {})
    table, segmentation = found.table, found.segmentation
    assert table["det_id"].tolist() == list(range(1, len(table) + 1))
    np.testing.assert_array_equal(np.bincount(segmentation.ravel(), minlength=len(table) + 1)[1:], table["npix"])
    for row in table:
        y, x = np.nonzero(segmentation == row["det_id"])
        assert np.hypot(x - row["x"], y - row["y"]).min() < 1.5
    again = PeakDetector().detect(patch, {})
    assert (again.segmentation == segmentation).all() and (again.table == table).all()
    np.testing.assert_array_equal(np.column_stack(PeakDetector().positions(patch, {})), xy(table))


def test_moments_of_a_lone_galaxy_are_those_of_its_smoothed_light():
    image = gaussian(SHAPE, 110.0, 80.0, 1e7, 5.0, g1=0.4, g2=0.1)
    row = PeakDetector().detect(make_patch(image), {}).table
    assert len(row) == 1
    assert row["theta"][0] == pytest.approx(0.5 * np.arctan2(0.1, 0.4), abs=0.01)
    # High above the threshold: sizes add in quadrature, of galaxy and PSF, less 2 % cut wings.
    g = np.hypot(0.4, 0.1)
    major = 5.0 * np.sqrt((1 + g) / (1 - g))
    assert row["a"][0] == pytest.approx(np.hypot(major, PSF_SIGMA), rel=0.03)


def test_masked_and_edge_pixels_flag_and_do_not_detect():
    image = scene(SHAPE, [(60, 70, peak_snr_flux(80)), (0, 100, peak_snr_flux(80)), (150, 90, peak_snr_flux(80))])
    image = image + noise("masks")
    mask = np.zeros(SHAPE, np.uint8)
    mask[70:73, 62:70] = 1
    image[30:34, 180:184] = 1e6  # a hole that would be the brightest source
    mask[30:34, 180:184] = 1
    image[120, 40] = np.nan
    table = PeakDetector().detect(make_patch(image, mask=mask), {}).table
    assert len(table) == 3
    order = [int(np.argmin(np.hypot(table["x"] - x, table["y"] - y))) for x, y in ((60, 70), (0, 100), (150, 90))]
    assert [int(table["flag"][k]) for k in order] == [BITS.MASKED, BITS.EDGE, 0]


def test_nothing_to_see():
    nothing = make_patch(np.zeros((40, 50)))
    assert len(PeakDetector().detect(nothing, {}).table) == 0
    dead = make_patch(np.zeros((40, 50)), mask=np.ones((40, 50), np.uint8))
    for options in ({}, {"noise": "measured"}):
        found = PeakDetector(**options).detect(dead, {})
        assert len(found.table) == 0 and not found.segmentation.any()


def test_the_sky_is_subtracted():
    patch = make_patch(scene(SHAPE, [(60, 70, peak_snr_flux(50))]) + noise("sky") + 25.0)
    assert len(PeakDetector().detect(patch, {"i": np.full(SHAPE, 25.0)}).table) == 1


def test_measured_noise_corrects_a_wrong_variance_plane():
    stars = pairs(5.0, 0.5, 60)
    patch = make_patch(scene(SHAPE, stars) + noise("measured"))
    right = PeakDetector(noise="measured").detect(patch, {}).table
    wrong = replace(patch.bands["i"], variance=patch.bands["i"].variance / 9)
    patch.bands["i"] = wrong
    np.testing.assert_allclose(xy(PeakDetector(noise="measured").detect(patch, {}).table), xy(right), atol=1e-5)
    assert len(PeakDetector().detect(patch, {}).table) > len(right)


def test_a_source_alone_on_its_stamp_is_found():
    stamp = scene((41, 41), [(20.2, 19.9, peak_snr_flux(12))]) + noise("stamp", shape=(41, 41))
    patch = make_patch(np.zeros(SHAPE))
    assert detect_on_stamp(PeakDetector(), patch, {"i": stamp}, 30, 40, 50.2, 59.9, 3.0)
    assert not detect_on_stamp(PeakDetector(threshold=30), patch, {"i": stamp}, 30, 40, 50.2, 59.9, 3.0)


def test_a_patch_as_crowded_as_a_globular_cluster_ends():
    rng = stream(4, "cluster")
    stars = np.column_stack([rng.normal(110, 25, 4000), rng.normal(80, 20, 4000), rng.exponential(400, 4000)])
    table = PeakDetector().detect(make_patch(scene(SHAPE, stars) + noise("cluster")), {}).table
    assert len(table) > 150 and np.isfinite(xy(table)).all()


def test_options_are_checked():
    with pytest.raises(StudyError, match="unit"):
        DETECTORS.create("peaks", {"unit": "pixel"})
    with pytest.raises(StudyError, match="noise"):
        DETECTORS.create("peaks", {"noise": "guess"})
    with pytest.raises(StudyError, match="difference of Gaussians"):
        PeakDetector(sigma_in=1.0, sigma_out=1.0)
    with pytest.raises(StudyError, match="no option 'thresh'"):
        DETECTORS.create("peaks", {"thresh": 1})
