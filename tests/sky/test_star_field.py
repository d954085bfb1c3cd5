"""The PSF that is measured on stars of a detector."""

from dataclasses import replace

import numpy as np
import pytest
from blendimpact.config.surveys import load_survey
from blendimpact.sky.adopt.stars import moments
from blendimpact.sky.star_field import BRIGHTEST, LEAST_SNR, _field, measured_psf
from blendimpact.stats.streams import stream
from epochs import empty

BAND = load_survey("lsst_visit").bands["r"]
VARIANCE = BAND.sky_sigma**2


@pytest.fixture(scope="module")
def image():
    from blendimpact.data.psf import psf_pixels

    blank = empty(size=64)[0]
    return replace(blank, psf=psf_pixels(BAND.psf_model, 0.2), psf_model=dict(BAND.psf_model), gain=BAND.gain)


def test_it_is_that_of_the_image_to_a_per_cent_and_not_to_the_digit(image):
    found = measured_psf(image, VARIANCE, 80, stream(1, "stars"))
    assert found.shape == image.psf.shape and found.sum() == pytest.approx(1)
    assert 1e-3 < np.abs(found - image.psf).max() / image.psf.max() < 0.03
    size, g1, g2, dx, dy = np.array(moments(found)) - moments(image.psf)
    assert abs(size) < 0.02 * moments(image.psf)[0] and max(map(abs, (g1, g2, dx, dy))) < 5e-3
    again = measured_psf(image, VARIANCE, 80, stream(1, "stars"))
    assert np.array_equal(found, again)
    assert not np.array_equal(found, measured_psf(image, VARIANCE, 80, stream(2, "stars")))


def test_it_has_no_noise_where_a_psf_lets_nothing_through(image):
    found, true = (
        np.abs(np.fft.rfft2(np.fft.ifftshift(p))) for p in (measured_psf(image, VARIANCE, 20, stream(3)), image.psf)
    )
    assert found[true < 1e-4].max() < 5e-3


def test_stars_have_the_brightness_that_is_said(image):
    plane, variance = _field(image, VARIANCE, 400, stream(4))
    light = (variance - VARIANCE) * image.gain
    total = light.sum() / np.sqrt(VARIANCE / (image.psf**2).sum()) / 400  # mean S/N of the counts' closed form
    power = 0.4 / 0.12
    a, b = (s ** (-1 / power) for s in (BRIGHTEST, LEAST_SNR))
    expected = (b ** (1 - power) - a ** (1 - power)) / (1 - power) / (b - a)
    assert total == pytest.approx(expected, rel=0.15)
    assert np.std((plane - light) / np.sqrt(variance)) == pytest.approx(1, abs=0.01)
