"""Sky level, rms and correlation of noise: measured against closed forms, and drawn again."""

import numpy as np
import pytest
import sky_maker
from blendimpact.sky.adopt.noise import (
    NoiseModel,
    aperture_weights,
    blank_apertures,
    draw_noise,
    measure_correlation,
    measure_depth,
    measure_sky,
)
from blendimpact.stats.streams import stream


def covariance(field, reach=3):
    """Covariance by lag (y, x), from every pair of pixels inside the field."""
    ny, nx = field.shape
    return np.array([[(field[: ny - j, : nx - i] * field[j:, i:]).mean() for i in range(reach)] for j in range(reach)])


def test_correlation_measured_behind_a_mask():
    rng = np.random.default_rng(1)
    noise = sky_maker.correlated_noise((600, 500), rng, 1.0)
    good = rng.uniform(size=noise.shape) > 0.3
    good[100:300, 50:200] = False
    noise[~good] = 1e3  # what is masked must not matter
    measured, pedestal = measure_correlation(noise, good, max_lag=6)
    assert measured.shape == (13, 13)
    expected = np.zeros((13, 13))
    expected[4:9, 4:9] = sky_maker.correlation()
    error = 1 / np.sqrt(0.49 * good.sum())
    assert np.abs(measured - expected).max() < 5 * error
    assert abs(pedestal) < 3e-3
    assert measured[6, 6] == 1 and np.allclose(measured, measured[::-1, ::-1], atol=1e-12)


def test_pedestal_of_a_varying_level_is_not_noise():
    rng = np.random.default_rng(2)
    y, x = np.indices((400, 400))
    noise = rng.standard_normal((400, 400)) + 0.3 * np.sin(x / 60) * np.sin(y / 60)
    measured, pedestal = measure_correlation(noise, np.ones(noise.shape, bool))
    assert pedestal == pytest.approx(0.3**2 / 4 / (1 + 0.3**2 / 4), rel=0.15)
    off = measured.copy()
    off[10, 10] = 0
    assert np.abs(off).max() < 0.015


def test_power_is_nowhere_negative():
    rng = np.random.default_rng(3)
    measured, _ = measure_correlation(rng.standard_normal((90, 80)), np.ones((90, 80), bool), 8)
    size = 64
    wide = np.zeros((size, size))
    wide[:17, :17] = measured
    power = np.fft.fft2(np.roll(wide, (-8, -8), (0, 1))).real
    assert power.min() > -0.02 * power.max()


def test_drawn_noise_has_variance_and_correlation():
    model = sky_maker.correlation()
    draws = [draw_noise((128, 160), 2.0, model, stream(7, "noise", k)) for k in range(60)]
    assert draws[0].dtype == np.float32 and draws[0].shape == (128, 160)
    found = np.mean([covariance(d.astype(float)) for d in draws], axis=0)
    assert np.allclose(found / 4.0, model[2:5, 2:5], atol=0.006)


def test_drawn_noise_follows_a_map_and_its_stream():
    rms = np.ones((200, 200))
    rms[:, 100:] = 3.0
    noise = draw_noise((200, 200), rms, sky_maker.correlation(), stream(1, "a"))
    assert noise[:, :100].std() == pytest.approx(1.0, rel=0.03)
    assert noise[:, 100:].std() == pytest.approx(3.0, rel=0.03)
    again = draw_noise((200, 200), rms, sky_maker.correlation(), stream(1, "a"))
    other = draw_noise((200, 200), rms, sky_maker.correlation(), stream(1, "b"))
    assert np.array_equal(noise, again) and not np.array_equal(noise, other)
    white = draw_noise((300, 300), 2.0, np.ones((1, 1)), stream(1, "w")).astype(float)
    assert np.allclose(covariance(white) / 4, np.eye(1, 9, 0).reshape(3, 3), atol=0.02)


def test_measured_noise_can_be_drawn_again():
    """Round trip: image -> correlation -> draw -> correlation."""
    rng = np.random.default_rng(4)
    noise = sky_maker.correlated_noise((500, 500), rng, 1.0)
    measured, _ = measure_correlation(noise, np.ones(noise.shape, bool), 5)
    drawn = np.mean(
        [covariance(draw_noise((300, 300), 1.0, measured, stream(3, k)).astype(float)) for k in range(10)], axis=0
    )
    assert np.allclose(drawn, covariance(noise), atol=0.015)


@pytest.mark.parametrize("radius", [2.0, 3.8, 7.6])
def test_aperture_weights_and_factor(radius):
    weights = aperture_weights(radius)
    assert weights.sum() == pytest.approx(np.pi * radius**2, rel=0.02)
    assert np.array_equal(weights, weights[::-1]) and np.array_equal(weights, weights.T)
    model = NoiseModel(sky_maker.correlation())
    drawn = draw_noise((900, 900), 1.0, model.correlation, stream(2, "aperture")).astype(float)
    size = len(weights)
    n = 900 // size
    blocks = drawn[: n * size, : n * size].reshape(n, size, n, size).swapaxes(1, 2)
    sums = (blocks * weights).sum(axis=(2, 3))
    white = np.sqrt((weights**2).sum())
    assert model.aperture_factor(radius) == pytest.approx(sums.std() / white, rel=4 / np.sqrt(2 * sums.size))
    assert NoiseModel().aperture_factor(radius) == pytest.approx(1.0)
    # independent: the sum over all pairs of pixels, from the kernel that made the noise
    kernel = np.outer(sky_maker.KERNEL, sky_maker.KERNEL) / (sky_maker.KERNEL**2).sum()
    padded = np.pad(weights, 1)
    spread = sum(kernel[j, i] * np.roll(padded, (j - 1, i - 1), (0, 1)) for j in range(3) for i in range(3))
    # the roll wraps nothing: the border of zeros is as wide as the kernel's arm
    assert model.variance_factor(weights) == pytest.approx((spread**2).sum() / (weights**2).sum(), rel=1e-9)


def test_sky_behind_sources():
    image, _, _ = sky_maker.make_sky((500, 560), galaxies=120)
    sky = measure_sky(image, np.zeros(image.shape, bool), sky_maker.SCALE)
    true = 3.0 + (np.arange(560) / 560 - 0.5)
    assert abs((sky.level - true).mean()) < 0.05 * sky_maker.RMS
    assert np.abs(np.median(sky.level - true, axis=0)).max() < 0.15 * sky_maker.RMS
    assert np.median(sky.rms) == pytest.approx(sky_maker.RMS, rel=0.02)
    assert sky.noise.correlation[10, 11] == pytest.approx(sky_maker.correlation()[2, 3], abs=0.02)
    assert 0.3 < sky.report["source_free_fraction"] < 0.9


def test_pixels_without_data_do_not_matter():
    image, _, _ = sky_maker.make_sky((400, 420), galaxies=30)
    bad = np.zeros(image.shape, bool)
    bad[150:220, 100:260] = True
    one = measure_sky(np.where(bad, 0, image), bad, sky_maker.SCALE)
    two = measure_sky(np.where(bad, 1e5, image), bad, sky_maker.SCALE)
    assert np.array_equal(one.level, two.level)
    assert np.array_equal(one.noise.correlation, two.noise.correlation)
    assert one.sources[bad].all()


def test_mask_hardly_thins_the_noise():
    """On pure noise the masking of its own peaks lowers the aperture noise by less than 2.5 %."""
    noise = sky_maker.correlated_noise((1000, 1000), np.random.default_rng(6))
    sky = measure_sky(noise, np.zeros(noise.shape, bool), sky_maker.SCALE)
    radius = 1 / sky_maker.SCALE
    true = NoiseModel(sky_maker.correlation()).aperture_factor(radius)
    assert np.median(sky.rms) == pytest.approx(sky_maker.RMS, rel=0.01)
    assert sky.noise.aperture_factor(radius) == pytest.approx(true, rel=0.04)


def test_depth_of_white_noise_is_the_closed_form():
    rng = np.random.default_rng(8)
    noise = 2.0 * rng.standard_normal((900, 900))
    sky = measure_sky(noise, np.zeros(noise.shape, bool), 0.2)
    yy, xx = np.indices((41, 41)) - 20
    sigma = 2.0
    psf = np.exp(-(xx**2 + yy**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    found = measure_depth(noise - sky.level, sky, psf, 0.2, 30.0, diameter=2.0)
    point = 30 - 2.5 * np.log10(5 * 2.0 * np.sqrt(4 * np.pi * sigma**2))
    aperture = 30 - 2.5 * np.log10(5 * 2.0 * np.sqrt(np.pi * 25))
    assert found["point_source_depth_white"] == pytest.approx(point, abs=0.02)
    assert found["point_source_depth"] == pytest.approx(point, abs=0.05)
    assert abs(found["aperture"]["depth_5sigma"] - aperture) < 4 * found["aperture"]["depth_error"] + 0.02
    assert found["aperture_noise_factor_model"] == pytest.approx(1.0, abs=0.05)


def test_no_blank_sky_gives_no_depth():
    sources = np.ones((100, 100), bool)
    assert blank_apertures(np.zeros((100, 100)), sources, 3.0, 30.0)["depth_5sigma"] is None
