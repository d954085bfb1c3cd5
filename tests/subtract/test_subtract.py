"""Engines of difference imaging: null tests, fluxes, scale, residuals, and outcomes in place of exceptions."""

from dataclasses import replace

import numpy as np
import pytest
from blendimpact.errors import StudyError
from blendimpact.search.filters import forced, matched_filter, search
from blendimpact.subtract import SUBTRACTORS
from blendimpact.subtract.base import BITS, SUBTRACTION_BITS
from epochs import draw, empty, free_places, pair, sigma_of, sources
from patch_maker import gaussian_psf, peak_snr_flux, scene

REAL = (("zogy", {}), ("alard_lupton", {}), ("alard_lupton", {"decorrelate": False}), ("alard_lupton", {"order": 1}))
ALL = (("none", {}), ("truth", {}), *REAL)
SEEING = ((1.0, 0.7), *(pytest.param(s, marks=pytest.mark.slow) for s in ((0.8, 0.8), (0.75, 0.95))))


def made(name, options, science, template, static=None):
    return SUBTRACTORS.create(name, options).subtract(science, template, static=static)


def test_members_options_and_texts():
    assert {"none", "truth", "zogy", "alard_lupton", "sfft"} <= set(SUBTRACTORS.names())
    with pytest.raises(StudyError, match="no option 'stamps'.*\n.*did you mean 'stamp'"):
        SUBTRACTORS.create("zogy", {"stamps": 3})
    with pytest.raises(StudyError, match=r"order: is the number 2.*\n.*known: 0, 1"):
        SUBTRACTORS.create("alard_lupton", {"order": 2})
    assert len({text for _, text in SUBTRACTION_BITS.values()}) == len(SUBTRACTION_BITS)
    assert BITS.decode(BITS.MASKED | BITS.FEW_STAMPS)[1][0] == "MASKED"


# --- noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeing", SEEING)
@pytest.mark.parametrize("name, options", (ALL[0], *REAL[:3]))
def test_pure_noise_has_the_significance_and_the_peaks_that_it_should(name, options, seeing):
    """Kaiser's rate to 10 %, within two Poisson errors; unit variance of pixels and of the matched filter."""
    counts = expected = 0
    for key in range(2):
        difference = made(name, options, *empty(seeing, 1024, key=key))
        assert difference.status & ~BITS.TEMPLATE_WORSE == (0 if name == "none" else BITS.FEW_STAMPS)
        good = difference.good
        pull = difference.image[good] / np.sqrt(difference.variance[good])
        assert pull.std() == pytest.approx(1, abs=0.005)
        assert matched_filter(difference).snr[good].std() == pytest.approx(1, abs=0.015)
        found = search(difference, 3.5)
        found = found[good[np.round(found["y"]).astype(int), np.round(found["x"]).astype(int)]]
        counts, expected = counts + len(found), expected + difference.false_alarms(3.5)
    assert expected > 150
    assert abs(counts / expected - 1) < 0.1 + 2 / np.sqrt(expected)


def test_the_kaiser_width_of_white_noise_is_that_of_the_psf():
    difference = made("none", {}, *empty((0.9, 0.9), 64))
    assert difference.alarm_sigma() == pytest.approx(sigma_of(0.9), rel=0.01)


@pytest.mark.parametrize("name, options", REAL[:2])
def test_noise_is_white_after_decorrelation(name, options):
    difference = made(name, options, *empty((1.0, 0.7), 512, noises=(1.0, 1.0)))
    image = np.where(difference.good, difference.image, 0)[40:-40, 40:-40]
    for dx, dy in ((1, 0), (0, 1), (1, 1), (2, 0), (3, 3)):
        moved = np.roll(image, (dy, dx), (0, 1))
        assert abs((image * moved)[4:, 4:].mean() / image.var()) < 0.01
    power = difference.power(101)
    assert np.median(power) == pytest.approx(2, rel=0.02)  # 1 + 1, as if nothing had been convolved


def test_without_decorrelation_a_pixel_filter_would_be_wrong():
    difference = made("alard_lupton", {"decorrelate": False}, *empty((1.0, 0.7), 512, noises=(1.0, 2.0)))
    naive = replace(
        difference, noise=(replace(difference.noise[0], kernel=np.ones((1, 1)), variance=difference.variance),)
    )
    good = difference.good
    assert matched_filter(difference).snr[good].std() == pytest.approx(1, abs=0.03)
    assert matched_filter(naive).snr[good].std() > 1.2  # DMTN-006: mis-set by 20-30 %


# --- light -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeing", SEEING)
@pytest.mark.parametrize("name, options", ALL[1:])
def test_transients_on_empty_sky_have_unbiased_fluxes_and_errors(name, options, seeing):
    pulls = []
    for key in range(6):
        x, y = free_places(key)
        flux = peak_snr_flux(12, sigma_of(seeing[0]))
        science, template, static = pair(key, seeing, transients=[(a, b, flux) for a, b in zip(x, y)])
        difference = made(name, options, science, template, static)
        table = forced(difference, x, y)
        use = (table["flag"] == 0) & difference.good[np.round(y).astype(int), np.round(x).astype(int)]
        pulls.append(((table["flux"] - flux) / table["flux_err"])[use])
    pulls = np.concatenate(pulls)
    assert len(pulls) > 80
    assert abs(pulls.mean()) < 0.1 + 3 / np.sqrt(len(pulls))
    assert pulls.std() == pytest.approx(1, abs=0.05 + 3 / np.sqrt(2 * len(pulls)))


@pytest.mark.parametrize("seeing", SEEING)
@pytest.mark.parametrize("name, options, limit", [("truth", {}, 0.04), *((*engine, 0.06) for engine in REAL)])
def test_static_sources_leave_their_noise(name, options, limit, seeing):
    science, template, static = pair(3, seeing, photons=0.02)
    difference = made(name, options, science, template, static)
    chi2, number = difference.chi2(static > 3)
    assert number > 3000 and chi2 == pytest.approx(1, abs=limit)
    assert difference.chi2(np.zeros(static.shape))[1] == 0
    raw = made("none", {}, science, template).chi2(static > 3)[0]
    assert raw > 20
    assert len(search(difference, 5.5)) <= 1


def test_a_faded_source_is_negative():
    science, template, static = pair(4)
    x, y = (c[0] for c in free_places(4))
    template.science[:] += scene(static.shape, [(x, y, 300)], sigma_of(0.7)).astype(np.float32)
    for name, options in REAL[:2]:
        found = search(made(name, options, science, template), 5)
        assert len(found) == 1 and found["snr"][0] < -8
        assert np.hypot(found["x"][0] - x, found["y"][0] - y) < 0.5
        assert found["flux"][0] == pytest.approx(-300, abs=5 * found["flux_err"][0])


@pytest.mark.parametrize("scale", (0.6, 1.0, 2.5))
@pytest.mark.parametrize("name, options", REAL)
def test_the_photometric_scale_is_measured(name, options, scale):
    # The zero points know of two thirds of the factor only.
    science, template, _ = pair(5, scale=scale, zero_point=31.4 - 2.5 * np.log10(scale / 1.07))
    difference = made(name, options, science, template)
    assert difference.scale == pytest.approx(scale, rel=0.004)
    assert not difference.status
    if name == "zogy":
        assert abs(difference.scale - scale) < 5 * difference.scale_error < 0.02 * scale
    wrong = replace(template, zero_point=template.zero_point + 0.3)
    assert made(name, options, science, wrong).status == BITS.SCALE


def test_noise_of_the_template_does_not_pull_the_kernel_to_zero():
    # Plain least squares on the same stamps is low by tens of per cent.
    science, template, _ = pair(6, (0.8, 0.8), noises=(3.0, 9.0))
    assert made("alard_lupton", {}, science, template).scale == pytest.approx(1, abs=0.03)
    assert made("zogy", {}, science, template).scale == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("name, options", REAL)
def test_equal_images_leave_nothing(name, options):
    where = sources(8)
    image = draw(where, 0.8)
    science, template = empty((0.8, 0.8), noises=(1e-6, 1e-6))
    science, template = (replace(i, science=image.astype(np.float32)) for i in (science, template))
    difference = made(name, options, science, template)
    assert np.abs(difference.image).max() < 1e-5 * image.max()
    assert difference.scale == pytest.approx(1, abs=1e-5)


def test_a_kernel_that_varies_over_the_image_is_followed():
    # Seeing from 0.75 to 1.05 arcsec along x in the science image.
    where = sources(9, number=120)
    x = where[0]
    image = np.zeros((384, 384))
    for a, b, flux, own in zip(*where):
        image += scene(image.shape, [(a, b, flux)], np.hypot(own, sigma_of(0.75 + 0.3 * a / 384)))
    science, template = empty((0.9, 0.6))
    science = replace(science, science=(science.science + image).astype(np.float32))
    template = replace(template, science=(template.science + draw(where, 0.6)).astype(np.float32))
    one, two = (made("alard_lupton", {"order": n}, science, template).chi2(image > 3)[0] for n in (0, 1))
    assert len(x) == 120 and two < 3 and one > 4 * two


# --- registration ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ("zogy", "alard_lupton"))
def test_a_misregistered_star_leaves_the_dipole_of_its_gradient(name):
    fwhm, dx, flux = 0.9, 0.1, 4e4
    sigma = sigma_of(fwhm)
    star = scene((128, 128), [(64, 64, flux)], sigma)
    moved = scene((128, 128), [(64 + dx, 64, flux)], sigma)
    science, template = empty((fwhm, fwhm), 128, noises=(1e-3, 1e-3))
    science, template = (replace(i, science=s.astype(np.float32)) for i, s in ((science, star), (template, moved)))
    difference = made(name, {}, science, template)  # one star is too few to hide it in the kernel
    assert difference.status & BITS.FEW_STAMPS
    image = difference.image
    # f dx d psf / dx has its extrema at 1 sigma, with f dx exp(-1/2) / (2 pi sigma^3).
    height = flux * dx * np.exp(-0.5) / (2 * np.pi * sigma**3)
    assert -image.min() == pytest.approx(height, rel=0.05) and image.max() == pytest.approx(height, rel=0.05)
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert row == 64 and 64 - column == round(sigma)


@pytest.mark.parametrize("name", ("zogy", "alard_lupton"))
def test_the_registration_term_silences_dipoles_and_not_transients(name):
    x, y = (c[:4] for c in free_places(2))
    flux = peak_snr_flux(15, sigma_of(1.0))
    science, template, _ = pair(2, dx=0.1, transients=[(a, b, flux) for a, b in zip(x, y)])
    options = {"scale": "zero_points"} if name == "zogy" else {"stamp_snr": 1e9}  # kernels from the PSFs: no shift
    plain, careful = (made(name, {**options, "registration": r}, science, template) for r in (0.0, 0.1))
    np.testing.assert_array_equal(plain.image, careful.image)
    before, after = search(plain, 5), search(careful, 5)
    for table in (before, after):
        assert sum(np.hypot(table["x"][:, None] - x, table["y"][:, None] - y).min(axis=1) < 2) == len(x)
    assert len(before) > 20 and len(after) - len(x) < 0.2 * len(before)


@pytest.mark.parametrize("dx", (-0.15, 0.3))
def test_an_offset_is_measured_and_taken_away_within_its_error(dx):
    science, template, _ = pair(2, dx=dx)
    options = {"scale": "zero_points", "align": True}
    free = made("zogy", options, science, template)
    found, error = free.report["offset_x"], free.registration
    assert error < 0.02 and abs(found - dx) < 4 * error + 0.05 * abs(dx)  # linear in the offset
    assert abs(free.report["offset_y"]) < 4 * error
    before = made("zogy", {**options, "align": False}, science, template)
    static = pair(2)[2] > 3
    assert before.chi2(static)[0] - 1 > 20 * abs(free.chi2(static)[0] - 1)
    lone = made("zogy", {**options, "registration": 0.1}, *empty())  # nothing to measure on
    assert lone.report["offset_x"] == 0 and lone.registration == 0.1


# --- outcomes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, options", ALL)
def test_pixels_without_data_are_masked_wider_and_nothing_spills(name, options):
    science, template, static = pair(11)
    hole = np.s_[100:110, 200:215]
    science.mask[hole] = 1
    science.science[hole] = 1e6
    template.science[300:303, 60:63] = np.nan
    difference = made(name, options, science, template, static)
    assert np.isfinite(difference.image).all() and not difference.good[hole].any()
    uses_template = name not in ("none", "truth")
    assert bool(difference.status & BITS.NOT_FINITE) == uses_template
    if uses_template:
        assert not difference.good[299:304, 59:64].any()
        assert (~difference.good).sum() > 10 * 15 + 9
        # Sources cut by the hole may leave something close to it, never the hole's own pixels.
        assert np.abs(difference.image / np.sqrt(difference.variance + 1e-9)).max() < 60
    found = search(difference, 6)
    rows, columns = (np.round(found[c]).astype(int) for c in ("y", "x"))
    if name != "none":
        assert len(found) <= 1
    assert not ((rows >= 100) & (rows < 110) & (columns >= 200) & (columns < 215)).any()


@pytest.mark.parametrize("name, options", ALL)
def test_nothing_but_masked_pixels_is_an_outcome(name, options):
    science, template, static = pair(11, size=96)
    science.mask[:] = 1
    difference = made(name, options, science, template, static)
    assert difference.status & BITS.NO_DATA and difference.status & BITS.MASKED and not difference.good.any()
    assert not difference.image.any()
    assert len(search(difference)) == 0
    table = forced(difference, [40.0, np.nan, -5], [50.0, 3, 4])
    assert np.isnan(table["flux"]).all() and (table["flag"] > 0).all()


@pytest.mark.parametrize("name, options", REAL)
def test_no_variance_no_stars_and_small_images_are_outcomes(name, options):
    science, template, _ = pair(11, size=96)
    science.variance[:] = 0
    assert made(name, options, science, template).status & BITS.NOT_FINITE
    for size in (24, 50):
        difference = made(name, options, *empty((1.0, 0.7), size))
        assert difference.status & BITS.FEW_STAMPS and np.isfinite(difference.image).all()
    half = pair(11, size=128)
    half[0].mask[:, :80] = 1
    assert made(name, options, half[0], half[1]).status & BITS.MASKED


@pytest.mark.parametrize("name, options", REAL)
def test_a_template_of_worse_seeing_is_flagged(name, options):
    difference = made(name, options, *pair(12, (0.7, 1.0))[:2])
    assert BITS.decode(difference.status) == [SUBTRACTION_BITS[3]]
    width = [1 / (p**2).sum() for p in (difference.psf, gaussian_psf(0.7))]
    assert width[0] > 1.1 * width[1]  # neither is deconvolved: a transient is broader than it was


def test_forced_deconvolution_still_returns():
    difference = made("alard_lupton", {"convolve": "template"}, *pair(12, (0.7, 1.0))[:2])
    assert difference.status & BITS.TEMPLATE_WORSE and np.isfinite(difference.image).all()


def test_what_a_user_can_mend_is_raised():
    science, template, static = pair(1, size=64)
    with pytest.raises(StudyError, match="resample"):
        made("zogy", {}, science, pair(1, size=60)[1])
    with pytest.raises(StudyError, match="static"):
        made("truth", {}, science, template)
    with pytest.raises(StudyError, match="static"):
        made("truth", {}, science, template, static[1:])


@pytest.mark.parametrize("name, options", ALL)
def test_the_same_result_every_time_and_the_input_unchanged(name, options):
    science, template, static = pair(13, size=200)
    copies = science.science.copy(), template.science.copy()
    engine = SUBTRACTORS.create(name, options)
    first = engine.subtract(science, template, static=static)
    engine.subtract(*pair(14, (0.8, 0.9), size=160)[:2], static=np.zeros((160, 160)))
    for again in (engine.subtract(science, template, static=static), made(name, options, science, template, static)):
        np.testing.assert_array_equal(first.image, again.image)
        np.testing.assert_array_equal(first.psf, again.psf)
        assert first.status == again.status
    np.testing.assert_array_equal(copies[0], science.science)
    np.testing.assert_array_equal(copies[1], template.science)
    assert first.psf.sum() == pytest.approx(1) and first.psf.shape[0] % 2 == 1
