"""Detection: positions, thresholds in units of the noise, masks, and images that break detectors."""

import time

import numpy as np
import pytest
import sep
from astropy.table import Table
from blendimpact.data import significance
from blendimpact.data.significance import KERNEL_3X3, coadd, detection_image, kernel_pixels, smooth
from blendimpact.detect import DETECTORS
from blendimpact.detect.base import BITS, DETECTION_BITS, detect_on_stamp, detect_on_stamps
from blendimpact.detect.truth import truth_detections
from blendimpact.errors import StudyError
from blendimpact.stats.streams import stream
from patch_maker import PSF_SIGMA, gaussian, make_patch, peak_snr_flux, scene
from scipy.ndimage import convolve

SHAPE = (180, 260)  # not square


def noise(shape, *key):
    return stream(1, "test_detect", *key).normal(size=shape)


def grid():
    yy, xx = np.mgrid[25 : SHAPE[0] - 20 : 30, 25 : SHAPE[1] - 20 : 32]
    shift = stream(1, "grid").uniform(-0.5, 0.5, (2, xx.size))
    return xx.ravel() + shift[0], yy.ravel() + shift[1]


def test_family_has_its_members():
    assert {"sep", "truth"} <= set(DETECTORS.names())
    with pytest.raises(StudyError, match="no option 'contrast'"):
        DETECTORS.create("sep", {"contrast": 1})
    with pytest.raises(StudyError, match="kernel"):
        DETECTORS.create("sep", {"kernel": "5x5"})
    with pytest.raises(StudyError, match="noise"):
        DETECTORS.create("sep", {"noise": "guess"})


@pytest.mark.parametrize("kernel", ["psf", "3x3", None])
def test_grid_of_stars_all_found_at_their_places_on_a_non_square_image(kernel):
    x, y = grid()
    image = scene(SHAPE, [(a, b, peak_snr_flux(60)) for a, b in zip(x, y)]) + noise(SHAPE, "grid")
    found = DETECTORS.create("sep", {"kernel": kernel, "threshold": 4.0}).detect(make_patch(image), {})
    table = found.table
    assert len(table) == len(x)
    distance = np.hypot(np.subtract.outer(x, table["x"]), np.subtract.outer(y, table["y"]))
    nearest = distance.min(axis=1)
    # The Cramer-Rao bound of a Gaussian star's position is 2 sigma / (S/N) in two dimensions.
    bound = 2 * PSF_SIGMA / 60
    assert 0.8 * bound < np.sqrt((nearest**2).mean()) < 1.3 * bound
    assert nearest.max() < 0.2
    assert sorted(distance.argmin(axis=1)) == list(range(len(x)))
    assert (table["flag"] == 0).all()


def test_windowed_centroid_reaches_the_bound_that_the_isophotal_one_misses():
    x, y = grid()
    image = scene(SHAPE, [(a, b, peak_snr_flux(60)) for a, b in zip(x, y)]) + noise(SHAPE, "grid")
    rms = {}
    for centroid in ("windowed", "isophotal"):
        detector = DETECTORS.create("sep", {"threshold": 4.0, "centroid": centroid})
        table = detector.detect(make_patch(image), {}).table
        distance = np.hypot(np.subtract.outer(x, table["x"]), np.subtract.outer(y, table["y"]))
        rms[centroid] = np.sqrt((distance.min(axis=1) ** 2).mean())
    assert rms["windowed"] < 0.7 * rms["isophotal"]
    with pytest.raises(StudyError, match="centroid"):
        DETECTORS.create("sep", {"centroid": "peak"})


def test_segmentation_holds_the_detection_ids_at_their_places():
    x, y = grid()
    image = scene(SHAPE, [(a, b, peak_snr_flux(60)) for a, b in zip(x, y)]) + noise(SHAPE, "grid")
    found = DETECTORS.create("sep").detect(make_patch(image), {})
    assert found.segmentation.dtype == np.int32
    assert found.segmentation.shape == SHAPE
    at = found.segmentation[np.rint(found.table["y"]).astype(int), np.rint(found.table["x"]).astype(int)]
    np.testing.assert_array_equal(at, found.table["det_id"])
    owned = np.bincount(found.segmentation.ravel(), minlength=len(found.table) + 1)[1:]
    np.testing.assert_array_equal(owned, found.table["npix"])


def test_orientation_of_an_elongated_source():
    image = gaussian(SHAPE, 100.3, 60.8, 5000.0, 4.0, g1=0.0, g2=0.4)
    table = DETECTORS.create("sep").detect(make_patch(image + noise(SHAPE, "long")), {}).table
    assert len(table) == 1
    assert table["theta"][0] == pytest.approx(np.pi / 4, abs=0.05)  # from x towards y
    assert table["a"][0] > 1.8 * table["b"][0]


def test_peak_snr_of_the_matched_filter_is_the_isolated_snr():
    snr = 40.0
    image = scene(SHAPE, [(130.0, 90.0, peak_snr_flux(snr))])
    table = DETECTORS.create("sep", {"kernel": "psf"}).detect(make_patch(image), {}).table
    # The filter is cut at 98 % of the PSF's light, and a sampled Gaussian is not quite a Gaussian.
    assert table["peak_snr"][0] == pytest.approx(snr, rel=0.01)


@pytest.mark.parametrize("kernel", ["psf", "3x3", None])
@pytest.mark.parametrize("holes", [False, True])
def test_smoothed_noise_has_unit_variance_everywhere(kernel, holes):
    mask = np.zeros(SHAPE, np.uint8)
    if holes:
        mask[40:60, 100:140] = 1
        mask[stream(2, "holes").random(SHAPE) < 0.05] |= 1
    sums, n = 0.0, 60
    for k in range(n):
        patch = make_patch(3.0 * noise(SHAPE, "unit", k), variance=9.0, mask=mask)
        flux, error = smooth(*coadd(patch), kernel_pixels(kernel, patch))
        with np.errstate(invalid="ignore"):
            sums = sums + (flux / error) ** 2
    good = np.isfinite(error)
    assert (~good).sum() >= (mask > 0).sum()
    variance = sums / n
    assert variance[good].mean() == pytest.approx(1.0, abs=0.01)
    beside = good & (convolve((~good).astype(float), np.ones((3, 3)), mode="constant", cval=1.0) > 0)
    assert variance[beside].mean() == pytest.approx(1.0, abs=0.05)  # edges, and pixels beside holes


def test_smooth_equals_a_direct_sum():
    rng = stream(1, "direct")
    flux, variance = rng.normal(size=(12, 15)), rng.uniform(0.5, 2, (12, 15))
    variance[4, 5] = np.inf
    patch = make_patch(np.zeros((12, 15)))
    for kernel in (KERNEL_3X3, kernel_pixels("psf", patch)):
        got, error = smooth(flux, variance, kernel)
        half = kernel.shape[0] // 2
        for y, x in ((0, 0), (5, 5), (11, 7), (4, 6)):
            top = bottom = square = 0.0
            for j in range(-half, half + 1):
                for i in range(-half, half + 1):
                    if 0 <= y + j < 12 and 0 <= x + i < 15 and np.isfinite(variance[y + j, x + i]):
                        k = kernel[half + j, half + i]
                        top += k * flux[y + j, x + i]
                        bottom += k
                        square += k**2 * variance[y + j, x + i]
            assert got[y, x] == pytest.approx(top / bottom)
            assert error[y, x] == pytest.approx(np.sqrt(square) / bottom)


def test_detection_image_weights_bands_for_the_stated_spectrum():
    variance = {"g": 1.0, "r": 4.0, "i": 25.0}
    planes = {b: np.full(SHAPE, f) for b, f in (("g", 1.0), ("r", 2.0), ("i", 3.0))}
    sed = {"g": 1.0, "r": 2.0, "i": 3.0}
    flux, var = coadd(make_patch(planes, variance), sed=sed)
    # A source of just this spectrum and f = 1: unbiased, and S/N in quadrature over the bands.
    np.testing.assert_allclose(flux, 1.0)
    snr = np.sqrt(sum(planes[b][0, 0] ** 2 / variance[b] for b in planes))
    np.testing.assert_allclose(detection_image(make_patch(planes, variance), sed=sed), snr, rtol=1e-6)
    assert flux[0, 0] / np.sqrt(var[0, 0]) >= detection_image(make_patch(planes, variance)).max()
    sky = {b: p.astype(np.float32) for b, p in planes.items()}
    np.testing.assert_allclose(detection_image(make_patch(planes, variance), sky), 0.0, atol=1e-6)


def test_coadd_does_not_depend_on_the_zero_point_of_the_bands():
    image = noise(SHAPE, "zero point")
    factor = 10 ** (0.4 * (31.4 - 30.0))  # nJy per unit at zero point 30
    flux, variance = coadd(make_patch(image, 4.0))
    other = coadd(make_patch(image / factor, 4.0 / factor**2, zero_point=30.0))
    np.testing.assert_allclose(other[0], flux, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other[1], variance, rtol=1e-6)


def test_byte_order_of_a_fits_file_changes_nothing():
    x, y = grid()
    image = scene(SHAPE, [(a, b, peak_snr_flux(30)) for a, b in zip(x, y)]) + noise(SHAPE, "fits")
    image = image.astype("f4")
    detector = DETECTORS.create("sep")
    native, swapped = (detector.detect(make_patch(a), {}).table for a in (image, image.astype(">f4")))
    assert len(native) > 10
    for name in native.colnames:
        np.testing.assert_array_equal(native[name], swapped[name])


def test_pixels_without_data_make_no_detection_and_are_flagged():
    image = noise(SHAPE, "mask")
    image[50:53, :] = 1e5  # a dead line
    image[100, 100] = np.nan
    image += scene(SHAPE, [(60.0, 120.0, peak_snr_flux(50)), (200.0, 54.0, peak_snr_flux(80))])
    mask = np.zeros(SHAPE, np.uint8)
    mask[50:53, :] = 1
    table = DETECTORS.create("sep").detect(make_patch(image, mask=mask), {}).table
    assert len(table) == 2
    flags = {round(float(row["x"])): int(row["flag"]) for row in table}
    assert flags[60] == 0
    assert flags[200] & BITS.MASKED
    # The other mask bits (wings of bright stars) do not stop detection.
    mask[:] = 2
    mask[50:53, :] = 3
    assert len(DETECTORS.create("sep").detect(make_patch(image, mask=mask), {}).table) == 2


def test_an_image_without_data_has_no_detections():
    image = np.full(SHAPE, np.nan)
    for noise_option in ("variance", "measured"):
        found = DETECTORS.create("sep", {"noise": noise_option}).detect(make_patch(image), {})
        assert len(found.table) == 0


def test_edge_and_blend_flags():
    flux = peak_snr_flux(100)
    image = scene(SHAPE, [(0.3, 90.0, flux), (100.0, 90.0, flux), (106.0, 90.0, flux)])
    image += noise(SHAPE, "flag")
    table = DETECTORS.create("sep", {"threshold": 5.0}).detect(make_patch(image), {}).table
    by_x = {round(float(row["x"])): int(row["flag"]) for row in table}
    assert len(table) == 3
    assert [flag & ~BITS.ISOPHOTAL for x, flag in by_x.items() if x < 3] == [BITS.EDGE]
    assert by_x[100] == by_x[106] == BITS.BLENDED
    assert [name for name, _ in BITS.decode(BITS.EDGE | BITS.BLENDED)] == ["BLENDED", "EDGE"]
    with pytest.raises(ValueError, match="does not know"):
        BITS.decode(1 << len(DETECTION_BITS))


@pytest.mark.parametrize("kernel", ["psf", "3x3"])
def test_pure_noise_has_next_to_no_detections_at_five_sigma(kernel):
    detector = DETECTORS.create("sep", {"threshold": 5.0, "kernel": kernel})
    found = [len(detector.detect(make_patch(noise((300, 300), "pure", k)), {}).table) for k in range(10)]
    assert sum(found) <= 1


def test_threshold_is_in_units_of_the_measured_noise_where_pixels_are_correlated():
    white = [noise((256, 256), "correlated", k) for k in range(4)]
    kernel = np.ones((3, 3)) / 3
    correlated = [convolve(w, kernel) for w in white]  # still unit variance per pixel
    count = {}
    for option in ("variance", "measured"):
        detector = DETECTORS.create("sep", {"threshold": 4.0, "noise": option})
        count[option] = sum(len(detector.detect(make_patch(c), {}).table) for c in correlated)
    assert count["variance"] > 100
    assert count["measured"] <= 4


def crowded(shape=(300, 300), per_arcmin2=2000):
    rng = stream(1, "crowded")
    n = int(per_arcmin2 * shape[0] * shape[1] * (0.2 / 60) ** 2)
    image = np.zeros(shape)
    x, y = rng.uniform(0, shape[1], n), rng.uniform(0, shape[0], n)
    star = gaussian((31, 31), 15, 15, 1.0, PSF_SIGMA)
    for a, b, flux in zip(x.astype(int), y.astype(int), 10 ** rng.uniform(2, 4.5, n)):
        rows, columns = slice(max(0, b - 15), b + 16), slice(max(0, a - 15), a + 16)
        part = star[max(0, 15 - b) :, max(0, 15 - a) :]
        target = image[rows, columns]
        target += flux * part[: target.shape[0], : target.shape[1]]
    yy, xx = np.indices(shape)
    image += 2000 * np.exp(-np.hypot(xx - 140, (yy - 160) / 0.6) / 60)  # one huge galaxy over all of it
    return image + rng.normal(size=shape)


def test_a_very_crowded_patch_does_not_raise():
    image = crowded()
    # SEP's own limits stop at this image: the test would show nothing if they did not.
    sep.set_sub_object_limit(64)
    with pytest.raises(Exception, match="limit"):
        sep.extract(image, 3.0, deblend_cont=1e-6, minarea=1)
    start = time.process_time()
    table = (
        DETECTORS.create("sep", {"deblend_cont": 1e-6, "min_area": 1, "clean": False})
        .detect(make_patch(image), {})
        .table
    )
    assert len(table) > 500
    assert not (table["flag"] & BITS.NOT_SPLIT).any()
    assert time.process_time() - start < 30


def test_when_sep_gives_up_the_footprints_remain_and_say_so(monkeypatch):
    monkeypatch.setattr(significance, "SUB_OBJECTS", 64)
    image = crowded()
    found = DETECTORS.create("sep", {"deblend_cont": 1e-6, "min_area": 1, "clean": False}).detect(make_patch(image), {})
    assert len(found.table) > 0
    assert (found.table["flag"] & BITS.NOT_SPLIT).all()
    assert (found.segmentation > 0).sum() == found.table["npix"].sum()


def test_detections_do_not_depend_on_what_was_detected_before():
    image = crowded(per_arcmin2=300)
    detector = DETECTORS.create("sep")
    first = detector.detect(make_patch(image), {})
    detector.detect(make_patch(crowded(per_arcmin2=500)), {})  # SEP gathers faint pixels at random
    second = detector.detect(make_patch(image), {})
    np.testing.assert_array_equal(first.segmentation, second.segmentation)
    np.testing.assert_array_equal(detector.positions(make_patch(image), {})[0], first.table["x"])
    for name in first.table.colnames:
        np.testing.assert_array_equal(first.table[name], second.table[name])


def truth_table():
    return Table(
        {
            "source_id": [7, 3, 9, 4, 11, 12],
            "x": [10.2, 250.0, 30.0, -2.0, 50.0, 259.4],
            "y": [20.4, 170.0, 40.0, 50.0, 60.0, 179.4],
            "snr": [5.0, 80.0, 4.99, 50.0, np.nan, 9.0],
            "role": ["target", "scene", "target", "target", "context", "target"],
        }
    )


def test_truth_detections_are_the_sources_that_pass_the_cut_and_lie_on_the_image():
    patch = make_patch(np.zeros(SHAPE))
    table = truth_detections(truth_table(), patch, cut=5.0)
    assert list(table["det_id"]) == [3, 7, 11, 12]
    assert table["x"][1] == 10.2
    assert table["y"][1] == 20.4
    assert list(truth_detections(truth_table(), patch, cut=5.0, context=False)["det_id"]) == [3, 7, 12]
    assert list(truth_detections(truth_table(), patch, cut=0.0)["det_id"]) == [3, 7, 9, 11, 12]
    assert len(truth_detections(truth_table()[:0], patch)) == 0


def test_truth_is_a_member_that_needs_the_truth():
    patch = make_patch(np.zeros(SHAPE))
    found = DETECTORS.create("truth", {"cut": 60}).detect(patch, {}, truth=truth_table())
    assert list(found.table["det_id"]) == [3, 11]
    assert found.segmentation is None
    with pytest.raises(StudyError, match="needs the truth"):
        DETECTORS.create("truth").detect(patch, {})


def test_both_detectors_return_the_same_columns():
    patch = make_patch(noise(SHAPE, "columns"))
    real = DETECTORS.create("sep").detect(patch, {}).table
    true = DETECTORS.create("truth").detect(patch, {}, truth=truth_table()).table
    assert real.colnames == true.colnames
    for name in real.colnames:
        assert real[name].dtype == true[name].dtype
        assert real[name].info.description


def test_detect_on_stamp_finds_bright_sources_at_their_place_and_only_there():
    patch = make_patch(np.zeros(SHAPE))
    detector = DETECTORS.create("sep")
    x, y, x0, y0, size = 121.3, 77.8, 101, 58, 41
    star = gaussian((size, size), x - x0, y - y0, 1.0, PSF_SIGMA)

    def found(snr, where=(x, y), **options):
        stamp = (snr * peak_snr_flux(1) * star + noise((size, size), "stamp")).astype(np.float32)
        return detect_on_stamp(detector, patch, {"i": stamp}, x0, y0, *where, radius=3.0, **options)

    assert found(20.0)
    assert not found(0.0)
    assert not found(20.0, where=(x + 8, y))
    assert not found(20.0, where=(x, y - 8))
    # 20 sigma in this noise are 2 in noise of ten times the standard deviation.
    assert not found(20.0, variances={"i": np.full((size, size), 100.0)})


def test_detect_on_stamp_sees_no_more_than_the_image():
    patch = make_patch(np.zeros(SHAPE))
    stamp = 1e4 * gaussian((41, 41), 5, 20, 1.0, PSF_SIGMA)
    assert not detect_on_stamp(DETECTORS.create("sep"), patch, {"i": stamp}, -20, 50, -15, 70, radius=3.0)
    assert detect_on_stamp(DETECTORS.create("sep"), patch, {"i": stamp}, 20, 50, 25, 70, radius=3.0)


@pytest.mark.parametrize("name", ["sep", "peaks", "daofind"])
def test_stamps_on_one_sheet_are_as_good_as_each_alone(name):
    patch, detector, size, n = make_patch(np.zeros(SHAPE)), DETECTORS.create(name), 41, 12
    rng = stream(5, "sheet", name)
    # From invisible to very bright, so that wings reach over a stamp's edge; some stamps reach outside of the image.
    snr = np.geomspace(2.0, 3000.0, n)
    x0, y0 = rng.integers(-8, SHAPE[1] - 30, n), rng.integers(-8, SHAPE[0] - 30, n)
    x, y = x0 + 20 + rng.uniform(-0.5, 0.5, n), y0 + 20 + rng.uniform(-0.5, 0.5, n)
    stamps = np.stack(
        [
            gaussian((size, size), x[k] - x0[k], y[k] - y0[k], peak_snr_flux(snr[k]), PSF_SIGMA)
            + noise((size, size), "sheet", k)
            for k in range(n)
        ]
    ).astype(np.float32)
    together = detect_on_stamps(detector, patch, {"i": stamps}, x0, y0, x, y, 3.0)
    alone = [detect_on_stamp(detector, patch, {"i": stamps[k]}, x0[k], y0[k], x[k], y[k], 3.0) for k in range(n)]
    np.testing.assert_array_equal(together, alone)
    assert 0 < together.sum() < n
    elsewhere = detect_on_stamps(detector, patch, {"i": stamps}, x0, y0, x + 9, y, 3.0)
    assert not elsewhere[-4:].any()
    assert detect_on_stamps(detector, patch, {"i": stamps[:0]}, x0[:0], y0[:0], x[:0], y[:0], 3.0).shape == (0,)


def test_fraction_found_alone_is_half_at_the_threshold():
    detector = DETECTORS.create("sep", {"kernel": "psf", "threshold": 5.0, "min_area": 1})
    patch = make_patch(np.zeros(SHAPE))
    star = gaussian((41, 41), 20, 20, peak_snr_flux(5.0), PSF_SIGMA)
    n = 200
    stamps = np.stack([star + noise((41, 41), "half", k) for k in range(n)])
    found = detect_on_stamps(detector, patch, {"i": stamps}, *(np.full(n, v) for v in (100, 60, 120, 80)), 3.0).sum()
    # The brightest of a few pixels is above the one at the centre: a little more than half.
    assert 0.45 < found / n < 0.75
