"""Positions, activity, residuals, trails and comae on a difference."""

import numpy as np
import pytest
from blendimpact.data.coma import coma_share
from blendimpact.data.images import BandImage
from blendimpact.data.psf import psf_pixels
from blendimpact.measure.comae import INNER, split_comae
from blendimpact.measure.difference import BITS, activity, fit_points, residuals
from blendimpact.measure.trails import fit_trails
from blendimpact.search.filters import bank, coma_shape, forced, matched_filter, search, trail
from blendimpact.sky.profiles import add_stamp, draw_source
from blendimpact.stats.streams import stream
from blendimpact.subtract import SUBTRACTORS
from epochs import empty, sigma_of
from patch_maker import SCALE, gaussian, tan_wcs

KOLMOGOROV = {"kind": "kolmogorov", "fwhm": 0.8}


def places(key, size=330, step=30, border=40):
    grid = np.array(np.meshgrid(*[np.arange(border, size - border + 1, step)] * 2)).reshape(2, -1)
    return grid + stream(7, "places", key).uniform(-0.5, 0.5, grid.shape)


def drawn(rows, noise=0.0, size=201, key=0):
    """Return the difference of sources that `draw_source` draws, on an empty sky."""
    pixels = noise * stream(7, "measure", key).standard_normal((size, size))
    image = BandImage(
        "r",
        pixels,
        np.full((size, size), noise**2 or 1e-6, np.float32),
        np.zeros((size, size), np.uint8),
        psf_pixels(KOLMOGOROV, SCALE),
        tan_wcs(),
        31.4,
        1e9,
        psf_model=KOLMOGOROV,
    )
    for row in rows:
        add_stamp(image.science, draw_source({"source_id": 1, **row}, image))
    return SUBTRACTORS.create("none").subtract(image, image), image


ENGINES = {
    "white": ("none", {}),
    "whitened": ("alard_lupton", {}),
    "correlated": ("alard_lupton", {"decorrelate": False}),
}


@pytest.mark.parametrize("name", ENGINES)
def test_points_apertures_and_activity_are_unbiased_with_honest_errors(name):
    """White noise, and noise that a kernel has correlated: pulls of mean 0 and width 1, Cramer-Rao positions."""
    flux, pulls, errors = 300.0, [], []
    for key in range(6):
        science, template = empty((1.0, 0.7), 330, key=key)
        x, y = places(key)
        for a, b in zip(x, y):
            science.science[:] += gaussian(science.science.shape, a, b, flux, sigma_of(1.0)).astype(np.float32)
        engine, options = ENGINES[name]
        difference = SUBTRACTORS.create(engine, options).subtract(science, template)
        fit, both = fit_points(difference, np.round(x), np.round(y)), activity(difference, x, y, 10.0)
        plain = forced(difference, x, y)
        np.testing.assert_allclose(both["flux_psf"], plain["flux"], rtol=1e-9)
        np.testing.assert_allclose(both["flux_psf_err"], plain["flux_err"], rtol=1e-9)
        assert (fit["flag"] == 0).all() and (both["flag"] == 0).all()
        pulls.append(
            [
                (fit["x"] - x) / fit["x_err"],
                (fit["y"] - y) / fit["y_err"],
                (fit["flux"] - flux) / fit["flux_err"],
                (both["flux_psf"] - flux) / both["flux_psf_err"],
                (both["flux_ap"] - flux) / both["flux_ap_err"],
                both["activity"] / both["activity_err"],
            ]
        )
        errors.append([fit["x_err"], fit["y_err"], fit["flux"] / fit["flux_err"]])
    pulls, errors = np.concatenate(pulls, axis=1), np.concatenate(errors, axis=1)
    n = pulls.shape[1]
    # Light in the wings of an aperture is also light of its neighbours 30 pixels away: 3.5 standard errors of all.
    assert (np.abs(pulls.mean(axis=1)) < 3.5 / np.sqrt(n)).all()
    np.testing.assert_allclose(pulls.std(axis=1), 1, atol=3.5 / np.sqrt(2 * n))
    if name == "white":  # sigma_x = sqrt(2) sigma_psf / (S/N) for a Gaussian
        np.testing.assert_allclose(errors[:2].mean(axis=1), np.sqrt(2) * sigma_of(1.0) / errors[2].mean(), rtol=0.01)


def test_depth_that_varies_is_in_every_error():
    science, template = empty((0.9, 0.9), 330)
    for image in (science, template):
        image.science[:, 165:] *= 3
        image.variance[:, 165:] *= 9
    x, y = places(3, step=50)
    for a, b in zip(x, y):
        science.science[:] += gaussian(science.science.shape, a, b, 900, sigma_of(0.9)).astype(np.float32)
    difference = SUBTRACTORS.create("alard_lupton").subtract(science, template)
    fit, both = fit_points(difference, x, y), activity(difference, x, y, 8.0)
    deep = x < 130
    for errors in (fit["x_err"], fit["flux_err"], both["flux_ap_err"], both["activity_err"]):
        assert np.median(errors[x > 200]) == pytest.approx(3 * np.median(errors[deep]), rel=0.1)


def test_masked_pixels_places_off_the_image_and_noise_alone_are_outcomes():
    science, template = empty((0.8, 0.8), 220)
    x, y = places(1, 220, 30)
    for a, b in zip(x, y):
        science.science[:] += gaussian(science.science.shape, a, b, 300, sigma_of(0.8)).astype(np.float32)
    science.science[:, [42, 101]], science.mask[:, [42, 101]] = 1e6, 1  # whatever is in a masked pixel
    difference = SUBTRACTORS.create("none").subtract(science, template)
    fit, both = fit_points(difference, x, y), activity(difference, x, y, 8.0)
    touched = np.abs(x[:, None] - [42, 101]).min(axis=1) < 6
    assert touched.any() and (fit["flag"][touched] & BITS.MASKED).all() and (both["flag"][touched] & BITS.MASKED).all()
    for value, truth, error in (
        (fit["x"], x, fit["x_err"]),
        (fit["flux"], 300, fit["flux_err"]),
        (both["flux_ap"], 300, both["flux_ap_err"]),
        (both["activity"], 0, both["activity_err"]),
    ):
        pull = (value - truth) / error
        assert abs(pull.mean()) < 3.5 / np.sqrt(len(x)) and pull.std() == pytest.approx(1, abs=0.45)
    lost = ([-3, 0, 110, np.nan, 500], [50, 0, np.inf, 3, 500])
    for made in (
        fit_points(difference, *lost),
        activity(difference, *lost, 5.0),
        fit_trails(difference, *lost, [5.0] * 5, [0.0] * 5),
        split_comae(difference, *lost, 0.2),
    ):
        assert len(made) == 5 and (made["flag"][[0, 2, 3, 4]] == BITS.OUTSIDE).all()
        assert all(np.isnan(made[name][[0, 2, 3, 4]]).all() for name in made.colnames if name != "flag")
    assert np.isnan(residuals(difference, *lost, 5.0)["chi2"][[0, 2, 3, 4]]).all()
    blank = fit_points(difference, [195.0, 110.0], [205.0, 55.0])
    assert all(np.isfinite(row["x"]) or BITS.decode(row["flag"]) for row in blank)
    assert len(fit_points(difference, [], [])) == len(activity(difference, [], [], 5.0)) == 0
    assert len(fit_trails(difference, [], [], [], [])) == len(split_comae(difference, [], [], 0.2)) == 0
    science.mask[:] = 1
    nothing = SUBTRACTORS.create("none").subtract(science, template)
    for made in (fit_points(nothing, x, y), activity(nothing, x, y, 5.0), split_comae(nothing, x, y, x)):
        assert (made["flag"] == BITS.LOST).all()


def test_noise_has_residuals_of_one_and_a_left_over_more():
    science, template = empty((0.8, 0.8), 330)
    science.science[:] += gaussian(science.science.shape, 100.2, 140.7, 400, sigma_of(0.8)).astype(np.float32)
    difference = SUBTRACTORS.create("alard_lupton").subtract(science, template)
    x, y = np.array(places(2, step=12))
    x, y = (c[np.hypot(x - 100, y - 141) > 15] for c in (x, y))
    table = residuals(difference, x, y, 5.0)
    assert set(table["npix"]) <= set(range(70, 90))  # pi 5^2 = 79
    assert table["chi2"].mean() == pytest.approx(1, abs=0.02)
    excess = residuals(difference, [100.2], [140.7], 5.0)
    squares = 400**2 / (4 * np.pi * sigma_of(0.8) ** 2)  # of the light, summed; whitening changes the PSF a little
    expected = 1 + squares / excess["npix"][0] / float(np.median(difference.variance))
    assert excess["chi2"][0] == pytest.approx(expected, rel=0.2)


# --- trails ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "angle"), ((0.6, 15.0), (3.0, 30.0), (8.0, 120.0)))
def test_a_drawn_trail_is_fitted_to_its_own_length_angle_and_middle(length, angle):
    """The conventions are those of `sky.profiles`; the PSF's pixels leave 0.5 % of the light outside."""
    row = {"kind": "trail", "x": 100.3, "y": 98.8, "flux_r": 1000.0, "trail_length": length, "trail_angle": angle}
    difference, _ = drawn([row])
    found = fit_trails(difference, [100.0], [99.5], [1.2 * length / SCALE], [np.radians(angle) + 0.1])[0]
    assert found["flag"] == 0 and found["flux"] == pytest.approx(995, rel=1e-3)
    np.testing.assert_allclose([found["x"], found["y"]], [100.3, 98.8], atol=1e-3)
    np.testing.assert_allclose([found["length"], found["angle"]], [length / SCALE, np.radians(angle)], rtol=2e-2)


def noisy_trails(length, snr, keys):
    """Return pulls of length, flux and x, and bias of the length in pixels, of trails of all angles."""
    pulls, bias, flags = [], [], []
    unit, _ = drawn(
        [{"kind": "trail", "x": 100.0, "y": 100.0, "flux_r": 1.0, "trail_length": length, "trail_angle": 0.0}]
    )
    flux = snr / np.sqrt((unit.image.astype(float) ** 2).sum())
    for key in range(keys):
        x, y = places(key, 201, 50, 50)
        angle = stream(7, "angles", key).uniform(0, np.pi, len(x))
        difference, _ = drawn(
            [
                {"kind": "trail", "x": a, "y": b, "flux_r": flux, "trail_length": length, "trail_angle": np.degrees(c)}
                for a, b, c in zip(x, y, angle)
            ],
            1.0,
            key=key,
        )
        found = fit_trails(difference, x, y, np.full(len(x), length / SCALE), angle)
        pulls.append(
            [
                (found["length"] - length / SCALE) / found["length_err"],
                (found["flux"] - flux) / found["flux_err"],
                (found["x"] - x) / found["x_err"],
            ]
        )
        bias.append(found["length"] - length / SCALE)
        flags.append(found["flag"])
    return np.concatenate(pulls, axis=1), np.concatenate(bias), np.concatenate(flags)


def test_trails_longer_than_the_seeing_are_unbiased_and_short_ones_too_long():
    pulls, _, flags = noisy_trails(2.0, 20.0, 10)
    n = pulls.shape[1]
    assert (flags == 0).all()
    assert (np.abs(pulls.mean(axis=1)) < 3.5 / np.sqrt(n)).all()
    np.testing.assert_allclose(pulls.std(axis=1), 1, atol=0.25)
    _, short, flags = noisy_trails(0.3, 10.0, 8)
    _, bright, _ = noisy_trails(0.3, 100.0, 8)
    # The square of a length is never negative: below the seeing noise makes it longer, the less so the brighter.
    assert np.nanmean(short) > 0.5 > 0.1 > abs(np.nanmean(bright))
    unresolved = flags & BITS.UNRESOLVED > 0
    assert unresolved.any() and (short[unresolved] == -0.3 / SCALE).all()


def test_a_trail_is_found_by_a_bank_and_a_bank_loses_little():
    psf = drawn([])[0].psf
    difference = drawn(
        [{"kind": "trail", "x": 100.3, "y": 98.8, "flux_r": 150.0, "trail_length": 6.0, "trail_angle": 20.0}], 1.0
    )[0]
    trails, shapes = bank(difference, SCALE)
    best = search(difference, 5, trails, shapes)[0]
    assert best["length"] > 20 and np.hypot(best["x"] - 100.3, best["y"] - 98.8) < 3
    assert best["shape"] == 1 + trails.index((best["length"], best["angle"]))
    kernels = [psf, *(trail(psf, *line) for line in trails)]
    half = max(k.shape[0] // 2 for k in kernels)
    kernels = np.array([np.pad(k, half - k.shape[0] // 2).ravel() for k in kernels])
    kernels /= np.linalg.norm(kernels, axis=1)[:, None]
    rng = stream(7, "bank")
    kept = []
    for length, angle in zip(rng.uniform(0, 50, 100), rng.uniform(0, np.pi, 100)):
        own = trail(psf, length, angle)
        own = np.pad(own, half - own.shape[0] // 2).ravel() / np.linalg.norm(own)
        kept.append((kernels @ own).max())
    assert min(kept) > 0.75 and np.mean(kept) > 0.9  # of the S/N that the trail's own filter has


# --- comae -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nucleus, slope, radius", [(0.5, -1.0, 4.0), (0.1, -1.4, 8.0), (0.0, -0.8, 6.0)])
def test_nucleus_and_coma_are_told_apart_without_noise(nucleus, slope, radius):
    """Slope and extent are found, not told."""
    row = {"nucleus_fraction": nucleus, "coma_slope": slope, "coma_radius": radius, "flux_r": 1e5}
    difference, _ = drawn([{"kind": "comet", "x": 120.3, "y": 118.8, **row}], size=241)
    found = split_comae(difference, [120.3], [118.8], SCALE)[0]
    inner = (1 - nucleus) * coma_share(INNER, radius, slope)
    np.testing.assert_allclose([found["nucleus"], found["coma"]], [1e5 * nucleus, 1e5 * inner], atol=1.5e3)
    np.testing.assert_allclose([found["slope"], found["radius"] / radius], [slope, 1], atol=0.06)
    e = activity(difference, [120.3], [118.8], 2.0 / SCALE)["activity"][0]
    assert e > 0.2


def test_nucleus_and_coma_have_honest_errors_and_are_found():
    """Of bright comets, whose data outweigh what the fit expects of them."""
    pulls, truth = [], {"nucleus_fraction": 0.3, "coma_slope": -1.1, "coma_radius": 6.0}
    inner = 0.7 * coma_share(INNER, 6.0, -1.1)
    row = {"kind": "comet", "x": 120.3, "y": 118.8, "flux_r": 10000.0, **truth}
    for key in range(30):
        difference, _ = drawn([row], 2.0, 241, key)
        found = split_comae(difference, [120.3], [118.8], SCALE)[0]
        wanted = {"nucleus": 3000, "coma": 1e4 * inner, "slope": -1.1, "radius": 6.0}
        pulls.append([(found[name] - value) / found[f"{name}_err"] for name, value in wanted.items()])
    pulls = np.array(pulls)
    assert (np.abs(pulls.mean(axis=0)) < 4 / np.sqrt(30)).all()
    np.testing.assert_allclose(pulls.std(axis=0), 1, atol=0.4)
    shape = coma_shape(difference.psf, 20.0)
    assert shape.sum() == pytest.approx(1)
    diffuse = {"kind": "comet", "x": 120.0, "y": 119.0, "flux_r": 1500.0, "nucleus_fraction": 0.0, "coma_radius": 4.0}
    difference, _ = drawn([diffuse], 2.0, 241)
    own, point = (matched_filter(difference, s).snr[119, 120] for s in (shape, None))
    assert own > 1.2 * point
    best = search(difference, 5, shapes=[shape])[0]
    assert best["shape"] == 1 and best["length"] == 0 and best["snr"] > point
