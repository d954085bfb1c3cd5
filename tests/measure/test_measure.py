"""Measurement: closed forms of Gaussians and exponentials, errors that are errors, and flags."""

import galsim
import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.children import Children
from blendimpact.deblend import DEBLENDERS
from blendimpact.errors import StudyError
from blendimpact.measure import MEASUREMENTS, photometry, shapes
from blendimpact.measure.objects import COMMON_COLUMNS, columns_of, made, measure_children
from blendimpact.stats.streams import stream
from measured import USUAL, measured
from patch_maker import PSF_SIGMA, SCALE, gaussian, make_patch, peak_snr_flux
from scipy.integrate import quad

SHAPE = (150, 220)  # not square
SIZE = 61
FLUX = 4000.0


def noise(*key, shape=SHAPE):
    return stream(1, "test_measure", *key).normal(size=shape)


def measure(image, x, y, size=SIZE, shape_band=None, noiseless=False, options=None, settings=None, **patch):
    """Measure sources at (x, y) on an image, without deblending."""
    patch = make_patch(image, **patch)
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    table = Table({"det_id": np.arange(len(x)) + 5, "x": x, "y": y})
    children = DEBLENDERS.create("none").deblend(patch, {}, table, size)
    return measured(children, x, y, patch, (), shape_band, noiseless, options, **(settings or {}))


def flags(value, decode):
    return {name for name, _ in decode(value)}


@pytest.mark.parametrize("g", [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3), (-0.1, 0.25), (0.15, -0.4)])
def test_moments_of_an_elliptical_gaussian_are_its_own(g):
    # Off the middle of the stamp, on an image that is not square: x and y cannot be taken for each other.
    table = measure(gaussian(SHAPE, 131.3, 60.8, FLUX, 3.1, *g), 131.3, 60.8)
    row = table[0]
    assert (row["e1"], row["e2"]) == pytest.approx(g, abs=2e-5)
    assert row["sigma"] == pytest.approx(3.1, rel=1e-4)
    assert (row["x_hsm"], row["y_hsm"]) == pytest.approx((131.3, 60.8), abs=1e-3)
    assert row["rho4"] == pytest.approx(2.0, abs=1e-3)
    assert row["flux_hsm"] == pytest.approx(FLUX, rel=1e-4)
    assert row["shape_flag"] == 0
    assert row["sigma_psf"] == pytest.approx(PSF_SIGMA, rel=1e-4)
    assert row["resolution"] == pytest.approx(1 - PSF_SIGMA**2 / 3.1**2, rel=1e-3)


def test_moments_start_where_they_are_told():
    stamp = gaussian((SIZE, SIZE), 18, 42, FLUX, 2.5, 0.2) + gaussian((SIZE, SIZE), 42, 18, FLUX, 2.5, -0.2)
    start = np.array([[18.5, 41.5], [42.0, 18.0]])
    found = shapes.adaptive_moments(np.stack([stamp, stamp]), *start.T, 2.0)
    np.testing.assert_allclose(found.x, [18, 42], atol=1e-2)
    np.testing.assert_allclose(found.y, [42, 18], atol=1e-2)
    np.testing.assert_allclose(found.g1, [0.2, -0.2], atol=1e-3)


def test_resolution_of_a_star_is_zero():
    row = measure(gaussian(SHAPE, 100.2, 70.1, FLUX, PSF_SIGMA), 100.2, 70.1)[0]
    assert row["resolution"] == pytest.approx(0.0, abs=1e-3)


def test_shear_of_galsim_profiles_has_the_sign_and_size_of_galsim():
    profile = galsim.Gaussian(sigma=0.7, flux=FLUX).shear(g1=0.2, g2=-0.1)
    image = profile.drawImage(nx=SHAPE[1], ny=SHAPE[0], scale=SCALE, method="no_pixel").array
    row = measure(image, (SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)[0]
    assert (row["e1"], row["e2"]) == pytest.approx((0.2, -0.1), abs=1e-4)
    assert row["sigma"] == pytest.approx(0.7 / SCALE, rel=1e-3)


@pytest.mark.parametrize("diameter", [1.0, 2.0, 4.0])
def test_aperture_flux_of_a_gaussian(diameter):
    row = measure(gaussian(SHAPE, 120.4, 80.7, FLUX, 2.5), 120.4, 80.7, settings={"aperture_diameter": diameter})[0]
    radius = diameter / 2 / SCALE
    # Exact overlaps take each sample as a square pixel, of variance 1/12 along each axis.
    expected = FLUX * (1 - np.exp(-(radius**2) / (2 * (2.5**2 + 1 / 12))))
    assert row["flux_ap"] == pytest.approx(expected, rel=5e-3)
    assert row["snr_ap"] == pytest.approx(row["flux_ap"] / row["flux_ap_err"])


def test_aperture_error_is_the_root_of_the_summed_variance():
    row = measure(np.zeros(SHAPE), 100.3, 70.2, variance=4.0)[0]
    assert row["flux_ap_err"] == pytest.approx(np.sqrt(4.0 * np.pi * 5.0**2), rel=1e-6)
    double = measure(np.zeros(SHAPE), 100.3, 70.2, settings={"noise_correlation": 2.0}, variance=4.0)[0]
    assert double["flux_ap_err"] == pytest.approx(2 * row["flux_ap_err"])


def test_errors_are_the_scatter():
    g, sigma, n = (0.1, 0.05), 2.6, 400
    flux = peak_snr_flux(30, sigma)
    rng = stream(7, "scatter")
    stamp = gaussian((SIZE, SIZE), 30.2, 29.9, flux, sigma, *g)
    stamps = (stamp + rng.normal(size=(n, SIZE, SIZE)))[:, None].astype(np.float32)
    zero = np.zeros(n, np.int64)
    children = Children(np.arange(n), zero + 60, zero + 40, stamps, zero.astype(np.int32))
    table = measured(children, zero + 90.2, zero + 69.9, make_patch(np.zeros(SHAPE)))
    assert (table["shape_flag"] == 0).all()
    tolerance = 4 / np.sqrt(2 * n)  # 4 standard errors of a standard deviation
    for name in ("flux_ap", "flux_kron"):
        expected = np.median(table[f"{name}_err"])
        extra = 0.15 if name == "flux_kron" else 0.0  # the Kron ellipse itself is noisy
        assert np.std(table[name]) == pytest.approx(expected, rel=tolerance + extra)
    assert np.median(table["snr_shape"]) == pytest.approx(30, rel=0.03)
    for name in ("e1", "e2"):
        assert np.std(table[name]) == pytest.approx(1 / 30, rel=tolerance + 0.1)  # second order in 1 / (S/N)


def test_kron_flux_of_a_gaussian_is_what_its_radius_holds():
    sigma = 4.0
    row = measure(gaussian(SHAPE, 110.1, 75.3, FLUX, sigma), 110.1, 75.3, size=81)[0]
    # First moment of r within 6 sigma: sqrt(pi / 2) sigma.
    radius = 2.5 * np.sqrt(np.pi / 2)
    assert row["kron_radius"] == pytest.approx(radius * sigma * SCALE, rel=0.01)
    assert row["flux_kron"] == pytest.approx(FLUX * (1 - np.exp(-(radius**2) / 2)), rel=2e-3)
    assert row["flux_kron_err"] == pytest.approx(np.sqrt(np.pi) * radius * sigma, rel=0.01)


def test_kron_flux_of_a_star_uses_the_least_radius():
    row = measure(gaussian(SHAPE, 110.1, 75.3, FLUX, PSF_SIGMA), 110.1, 75.3)[0]
    assert row["kron_radius"] == pytest.approx(3.5 * PSF_SIGMA * SCALE, rel=1e-3)
    assert row["flux_kron"] == pytest.approx(FLUX * (1 - np.exp(-(3.5**2) / 2)), rel=2e-3)
    options = {"kron": {"min_radius": 3.0}}
    wide = measure(gaussian(SHAPE, 110.1, 75.3, FLUX, PSF_SIGMA), 110.1, 75.3, options=options)[0]
    assert wide["kron_radius"] == pytest.approx(3.0)


@pytest.mark.parametrize("g", [(0.0, 0.0), (0.25, 0.1)])
def test_kron_flux_of_an_exponential_is_the_expected_fraction(g):
    scale_length = 3.0  # pixels
    profile = galsim.Exponential(scale_radius=scale_length, flux=FLUX).shear(g1=g[0], g2=g[1])
    image = profile.drawImage(nx=201, ny=201, scale=1.0, method="auto", dtype=float).array
    row = measure(image, 100, 100, size=121)[0]
    reach = 6 * row["sigma"] / scale_length
    moment = quad(lambda r: r**2 * np.exp(-r), 0, reach)[0] / quad(lambda r: r * np.exp(-r), 0, reach)[0]
    radius = 2.5 * moment
    assert moment == pytest.approx(2.0, rel=0.05)  # the Kron radius of an exponential disc is 2 scale lengths
    assert row["kron_radius"] == pytest.approx(radius * scale_length * SCALE, rel=0.02)
    assert row["flux_kron"] == pytest.approx(FLUX * (1 - np.exp(-radius) * (1 + radius)), rel=5e-3)


def test_kron_apertures_are_matched_across_bands():
    image = gaussian(SHAPE, 100.3, 70.2, FLUX, 3.0, 0.2, 0.1)
    planes = {"g": 0.3 * image, "r": image, "i": 2 * image}
    table = measure(planes, 100.3, 70.2, shape_band="r")
    by_band = {row["band"]: row for row in table}
    assert list(table["band"]) == ["g", "r", "i"]
    assert len(set(table["kron_radius"])) == 1
    for name in ("flux_ap", "flux_kron"):
        assert by_band["g"][name] / by_band["i"][name] == pytest.approx(0.15, rel=1e-5)
    assert by_band["r"]["shape_flag"] == 0
    for band in "gi":
        assert flags(by_band[band]["shape_flag"], shapes.BITS.decode) == {"NOT_MEASURED"}
        assert np.isnan(by_band[band]["e1"])


def test_everything_scales_with_the_flux_as_it_should():
    image = gaussian(SHAPE, 100.3, 70.2, FLUX, 3.0, 0.2, 0.1) + 0.3 * noise("scale")
    one, five = (measure(c * image, 100.3, 70.2, variance=c**2 * 0.09)[0] for c in (1.0, 5.0))
    for name in ("flux_ap", "flux_kron", "flux_hsm", "flux_ap_err", "flux_kron_err"):
        assert five[name] == pytest.approx(5 * one[name], rel=1e-5)
    for name in ("e1", "e2", "sigma", "resolution", "snr_shape", "snr_ap", "kron_radius", "x_hsm", "rho4"):
        assert five[name] == pytest.approx(one[name], rel=1e-4, abs=1e-5)


def test_nothing_depends_on_the_size_of_the_stamp():
    image = gaussian(SHAPE, 100.3, 70.2, FLUX, 2.4, 0.2, 0.1) + 0.3 * noise("padding")
    small, large = (measure(image, 100.3, 70.2, size=size, variance=0.09)[0] for size in (51, 91))
    for name in columns_of(made(dict.fromkeys(USUAL))):
        if name != "band":
            assert small[name] == pytest.approx(large[name], rel=1e-5, abs=1e-6, nan_ok=True)


def test_apertures_take_nothing_from_the_next_stamp():
    # A huge source has the largest Kron aperture; its neighbours in the stack are very bright or empty.
    flat = gaussian((SIZE, SIZE), 30.4, 29.6, FLUX, 9.0, 0.0, -0.3)
    bright, empty = np.full((SIZE, SIZE), 1e9), np.zeros((SIZE, SIZE))
    x0 = np.full(3, 60)
    rows = []
    for other in (bright, empty):
        stamps = np.stack([other, flat, other])[:, None].astype(np.float32)
        children = Children(np.arange(3), x0, x0 - 20, stamps, np.zeros(3, np.int32))
        rows.append(measured(children, x0 + 30.4, x0 + 9.6, make_patch(np.zeros(SHAPE)))[1])
    for name in ("flux_ap", "flux_kron", "kron_radius"):
        assert rows[0][name] == rows[1][name]
    assert "KRON_CUT" in flags(rows[0]["flux_flag"], photometry.BITS.decode)


def test_a_zero_pixel_and_a_masked_pixel_are_the_same_to_the_moments():
    stamp = gaussian((SIZE, SIZE), 30.0, 30.0, FLUX, 3.0, 0.1, 0.2) + noise("mask", shape=(SIZE, SIZE))
    weight = np.ones((SIZE, SIZE), np.int32)
    weight[:, 33] = weight[10:14, 20:28] = 0
    reference = galsim.hsm.FindAdaptiveMom(galsim.Image(stamp), weight=galsim.Image(weight), guess_sig=2.0)
    found = shapes.adaptive_moments((stamp * weight)[None], np.array([30.0]), np.array([30.0]), 2.0)
    assert found.g1[0] == pytest.approx(reference.observed_shape.g1, abs=1e-4)
    assert found.g2[0] == pytest.approx(reference.observed_shape.g2, abs=1e-4)
    assert found.sigma[0] == pytest.approx(reference.moments_sigma, rel=1e-4)


def test_settings_of_the_moments_change_shapes_by_less_than_1e_4():
    rng = stream(8, "settings")
    stamps = np.stack(
        [
            gaussian((SIZE, SIZE), 30.2, 29.8, peak_snr_flux(12, 2.4), 2.4, *rng.normal(0, 0.2, 2))
            + rng.normal(size=(SIZE, SIZE))
            for _ in range(60)
        ]
    )
    found = shapes.adaptive_moments(stamps, np.full(60, 30.2), np.full(60, 29.8), 1.2 * PSF_SIGMA)
    good = np.flatnonzero(found.flag == 0)
    assert len(good) > 50
    for k in good:
        best = galsim.Image(stamps[k], xmin=0, ymin=0).FindAdaptiveMom(
            strict=False, guess_centroid=galsim.PositionD(30.2, 29.8)
        )
        assert found.g1[k] == pytest.approx(best.observed_shape.g1, abs=1e-4)


def test_failures_are_rows_with_flags():
    n = 7
    stamp = gaussian((SIZE, SIZE), 30, 30, FLUX, 2.5)
    stamps = np.stack([stamp, 0 * stamp, -stamp, stamp, stamp, noise("none", shape=stamp.shape), 0 * stamp])
    stamps[3, 10, 10] = np.nan
    stamps[4] = np.nan
    stamps[6, 30, 30] = 100.0  # one hot pixel
    x0 = np.full(n, 60)
    status = np.full(n, 4, np.int32)
    children = Children(np.arange(n) + 1, x0, x0 - 20, stamps[:, None].astype(np.float32), status)
    table = measured(children, x0 + 30.0, x0 + 10.0, make_patch(np.zeros(SHAPE)))
    assert list(table["det_id"]) == list(range(1, n + 1))
    named = [flags(f, shapes.BITS.decode) for f in table["shape_flag"]]
    assert named[0] == set()
    assert named[1] == {"FAILED", "EMPTY"}
    assert "FAILED" in named[2] or "NEGATIVE" in named[2]
    assert named[3] == named[4] == {"FAILED", "NOT_FINITE"}
    assert named[5]
    assert named[6]
    failed = np.array(["FAILED" in name for name in named])
    assert np.isnan(table["e1"][failed]).all()
    assert np.isfinite(table["e1"][~failed]).all()
    # Fluxes are there all the same; pixels that are not numbers count as nothing.
    assert np.isfinite(table["flux_ap"]).all()
    assert np.isfinite(table["flux_kron"]).all()
    assert table["flux_ap"][3] == pytest.approx(table["flux_ap"][0])
    assert "NOT_FINITE" in flags(table["flux_flag"][3], photometry.BITS.decode)
    assert "KRON_NO_MOMENTS" in flags(table["flux_flag"][4], photometry.BITS.decode)
    assert (table["child_status"] == 4).all()


def test_shape_flags_of_shapes_that_are_not_the_sources():
    image = gaussian(SHAPE, 100.0, 70.0, FLUX, 2.5) + gaussian(SHAPE, 4.0, 70.0, FLUX, 2.5)
    table = measure(image, [100.0, 107.0, 4.0], [70.0, 70.0, 70.0], options={"moments": {"min_snr": 50.0}})
    shifted = flags(table["shape_flag"][1], shapes.BITS.decode)
    assert "CENTROID_SHIFT" in shifted
    assert "EDGE" in flags(table["shape_flag"][2], shapes.BITS.decode)
    assert table["shape_flag"][0] == 0
    assert {"APERTURE_EDGE", "KRON_EDGE"} <= flags(table["flux_flag"][2], photometry.BITS.decode)
    assert table["flux_flag"][0] == 0
    wider = measure(image, 107.0, 70.0, options={"moments": {"max_shift": 2.0}})
    assert "CENTROID_SHIFT" not in flags(wider["shape_flag"][0], shapes.BITS.decode)
    faint = measure(image, 100.0, 70.0, options={"moments": {"min_snr": 50.0}}, variance=1e4)
    assert flags(faint["shape_flag"][0], shapes.BITS.decode) == {"LOW_SNR"}
    spike = np.zeros(SHAPE)
    spike[70, 100], spike[70, 101] = 100.0, 50.0
    assert {"SMALL"} & flags(measure(spike, 100.0, 70.0)["shape_flag"][0], shapes.BITS.decode) or "FAILED" in flags(
        measure(spike, 100.0, 70.0)["shape_flag"][0], shapes.BITS.decode
    )


def test_failure_rate_falls_with_the_signal_to_noise_ratio():
    rng = stream(9, "faint")
    n, x = 200, np.full(200, 30.0)
    rate = []
    for snr in (5, 8, 15):
        stamps = gaussian((SIZE, SIZE), 30, 30, peak_snr_flux(snr, 2.2), 2.2)
        stamps = stamps + rng.normal(size=(n, SIZE, SIZE))
        rate.append((shapes.adaptive_moments(stamps, x, x, 1.2 * PSF_SIGMA).flag != 0).mean())
    assert rate[0] > rate[1] > rate[2]
    assert rate[2] < 0.02


def test_a_centre_that_is_no_number_is_a_row_of_nothing():
    table = measure(gaussian(SHAPE, 100.0, 70.0, FLUX, 2.5), [100.0, np.nan], [70.0, 30.0])
    assert len(table) == 2
    assert np.isnan(table["flux_ap"][1])
    assert np.isnan(table["flux_kron"][1])
    assert "FAILED" in flags(table["shape_flag"][1], shapes.BITS.decode)
    assert table["shape_flag"][0] == 0


def test_noiseless_children_are_measured_by_the_same_code_without_errors():
    image = gaussian(SHAPE, 100.3, 70.2, FLUX, 3.0, 0.2, 0.1)
    noisy, noiseless = (measure(image, 100.3, 70.2, noiseless=flag)[0] for flag in (False, True))
    for name in ("flux_ap", "flux_kron", "e1", "e2", "sigma", "resolution", "kron_radius"):
        assert noisy[name] == noiseless[name]
    for name in ("flux_ap_err", "flux_kron_err", "snr_ap", "snr_shape"):
        assert np.isnan(noiseless[name])
        assert noisy[name] > 0
    assert noiseless["shape_flag"] == 0


def test_the_table_has_its_columns_and_they_are_described():
    table = measure({"g": noise("g"), "r": noise("r")}, [50.0, 60.0, 70.0], [50.0, 60.0, 70.0])
    assert table.colnames == ["det_id", *columns_of(made(dict.fromkeys(USUAL)))]
    assert len(table) == 6
    assert list(table["det_id"]) == [5, 5, 6, 6, 7, 7]
    assert all(table[name].info.description for name in table.colnames)
    empty = measure({"g": noise("g"), "r": noise("r")}, [], [])
    assert len(empty) == 0
    assert empty.colnames == table.colnames
    assert [empty[n].dtype.kind for n in empty.colnames] == [table[n].dtype.kind for n in table.colnames]


def test_wrong_options_are_refused():
    image = np.zeros(SHAPE)
    with pytest.raises(StudyError, match="no option 'k'"):
        measure(image, 50.0, 50.0, options={"kron": {"k": 3}})
    with pytest.raises(StudyError, match="no band z"):
        measure(image, 50.0, 50.0, shape_band="z")
    with pytest.raises(StudyError, match="does not fit"):
        measure(image, 50.0, 50.0, settings={"aperture_diameter": 13.0})


class Toy:
    """Returns what it is told to."""

    name, columns = "toy", {"flux_toy": (None, "a flux"), "count_toy": (None, "a number")}

    def __init__(self, **found):
        self.found = found

    def measure(self, objects):
        return {"flux_toy": np.full(len(objects), 3.0), "count_toy": np.ones((len(objects), 2), int), **self.found}


def with_toy(**found):
    patch = make_patch({"g": noise("g"), "r": noise("r")})
    x, y = np.array([50.0, np.nan]), np.array([60.0, 60.0])
    children = DEBLENDERS.create("none").deblend(patch, {}, Table({"det_id": [1, 2], "x": x, "y": y}), SIZE)
    return measure_children(children, x, y, patch, [Toy(**found)], {"aperture_diameter": 2.0}, "r")


def test_a_measurement_adds_its_columns():
    table = with_toy(flux_flag=np.array([[photometry.BITS.PSF_EDGE], [0]]))
    assert table.colnames == ["det_id", *COMMON_COLUMNS, "flux_toy", "count_toy"]
    # of the shape band; NaN in others, and without a centre
    np.testing.assert_array_equal(table["flux_toy"], [np.nan, 3.0, np.nan, np.nan])
    assert list(table["count_toy"]) == [1, 1, 1, 1] and table["count_toy"].dtype == np.int32
    assert table["flux_flag"].tolist()[:2] == [photometry.BITS.PSF_EDGE] * 2 and not table["flux_flag"][2:].any()


@pytest.mark.parametrize(
    "found, words",
    [
        ({"more": np.zeros(2)}, "columns that it declares: more"),
        ({"flux_toy": np.zeros(3)}, r"shape \(3,\) for flux_toy"),
        ({"count_toy": np.ones(2, int)}, "for count_toy"),
        ({"flux_toy": np.array(["a", "b"])}, "for flux_toy"),
    ],
)
def test_a_measurement_that_returns_something_else_is_named(found, words):
    with pytest.raises(StudyError, match=f"measurement toy .*{words}") as error:
        with_toy(**found)
    assert error.value.where == "patch 0" and error.value.remedy


def test_two_measurements_cannot_have_one_column():
    with pytest.raises(StudyError, match="of the measurement toy is there already"):
        columns_of([Toy(), Toy()])


def test_all_members_are_described_and_have_columns_of_their_own():
    columns = columns_of(made(dict.fromkeys(MEASUREMENTS.names())))
    assert {*USUAL, "psf"} <= set(MEASUREMENTS.names()) and all(text for _, text in columns.values())


def test_a_psf_without_moments_is_an_error():
    with pytest.raises(ValueError, match="no moments"):
        shapes.psf_sigma(make_patch(np.zeros(SHAPE), psf=np.zeros((21, 21))))


def test_every_bit_has_a_text():
    for registry in (shapes.SHAPE_BITS, photometry.FLUX_BITS):
        assert len(registry.decode((1 << len(registry)) - 1)) == len(registry)
        assert sorted(registry) == list(range(len(registry)))
