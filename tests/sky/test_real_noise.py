"""The noise of a real image: what is given, what is measured, and the photons of the sky must agree."""

import galsim
import numpy as np
import pytest
import sky_maker
from blendimpact.config.real_image import Variance
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.noise_checks import with_source_photons
from scipy.signal import fftconvolve

SHAPE = (300, 320)
MOFFAT = {"kind": "moffat", "fwhm": sky_maker.FWHM, "beta": sky_maker.BETA, "size": 31}
RMS = 10 * sky_maker.RMS


@pytest.fixture(scope="module")
def sky():
    return 10 * sky_maker.make_sky(SHAPE, level=0.0, slope=0.0)[0]


@pytest.fixture
def adopted(sky, tmp_path):
    """Return a function that adopts the image with a plane of one value."""

    def make(value, kind, image=sky, **changes):
        path = sky_maker.write(tmp_path / "i.fits", image)
        plane = {} if value is None else sky_maker.plane(tmp_path, np.full(image.shape, value))
        return adopt(sky_maker.spec_of(path, psf=MOFFAT, variance={"kind": kind, **plane}, **changes), tmp_path)

    return make


@pytest.mark.parametrize("share", [0.0, 0.475, 0.525, 1.0])
def test_what_a_plane_has_of_the_light_is_taken_off_whatever_its_part(share):
    rng = np.random.default_rng(5)
    light = np.where(rng.uniform(size=SHAPE) < 0.05, rng.uniform(0, 5000, SHAPE), 0.0)
    given = (RMS**2 + share * light / 10.0).astype(np.float32)
    variance, slope = with_source_photons(given, light, light == 0, np.full(SHAPE, RMS), 10.0)
    assert slope == pytest.approx(share, abs=1e-3) and np.allclose(variance, RMS**2, rtol=1e-3)


@pytest.mark.parametrize(
    "value, kind, ratio",
    [(RMS**2, "variance", 1.0), (RMS**-2, "weight", 1.0), (RMS, "rms", 1.0), (RMS**2 * 1.8, "variance", 1.8)],
)
def test_a_plane_that_agrees_is_used(adopted, value, kind, ratio):
    report = adopted(value, kind).report
    assert report["noise"]["given_over_measured_variance"] == pytest.approx(ratio, rel=0.12)
    assert report["warnings"] == []


@pytest.mark.parametrize(
    "value, kind, says",
    [
        (RMS**2, "weight", "as the variance it would fit: variance.kind: variance"),
        (RMS**-2, "variance", "as the weight it would fit"),
        (RMS, "variance", "as the rms it would fit"),
        (RMS**2, "rms", "as the variance it would fit"),
        (RMS**2 * sky_maker.GAIN**2, "variance", "divide the variance by the gain squared"),
        (RMS**2 / 200, "variance", "its scale is wrong by 2"),
    ],
)
def test_a_plane_that_disagrees_is_refused_with_the_likely_mistake(adopted, value, kind, says):
    with pytest.raises(StudyError, match="times what is measured on the sky") as caught:
        adopted(value, kind)
    assert says in str(caught.value)


def test_beyond_a_factor_of_two_the_report_warns(adopted):
    (sentence,) = adopted(RMS**2 / 2.5, "variance").report["warnings"]
    assert "times what is measured" in sentence


def test_the_variance_of_the_pixels_before_resampling_is_right_too(adopted):
    """The noise is white noise smoothed by a kernel: its plane holds the variance before, 5 times that of a pixel."""
    report = adopted(RMS**2 * sky_maker.correlation().sum(), "variance").report
    assert report["noise"]["given_over_measured_variance"] > 4 and report["warnings"] == []


# --- crowds ------------------------------------------------------------------------------------------

SCALE, SKY, GAIN = 0.396, 200.0, 4.62


def crowd(number, side=100, fine=5):
    """A frame of stars of a steep luminosity function on a sky of 200 counts: its true noise is 6.6 counts."""
    rng = np.random.default_rng(1)
    mag = 15 + np.log10(1 + rng.uniform(size=number) * (10**1.8 - 1)) / 0.15
    stars, places = np.zeros((side * fine, side * fine)), rng.integers(0, side * fine, (2, number))
    np.add.at(stars, tuple(places), 10 ** (0.4 * (28.155 - mag)))
    psf = galsim.Moffat(beta=3, fwhm=1.1).drawImage(nx=201, ny=201, scale=SCALE / fine, method="no_pixel").array
    image = fftconvolve(stars, psf, mode="same").reshape(side, fine, side, fine).sum(axis=(1, 3))
    return rng.poisson((np.maximum(image, 0) + SKY) * GAIN) / GAIN


@pytest.fixture(scope="module")
def crowded():
    return crowd(6000)


def in_crowd(**changes):
    sky = {"mesh": 32, "grow": 0.4, **changes}
    return {"gain": GAIN, "gain_key": ..., "zero_point": 28.155, "zero_point_key": ..., "sky": sky}


def test_the_light_of_a_crowd_is_not_taken_for_noise(adopted, crowded):
    with pytest.raises(StudyError, match=r"skewed .* the noise is .* from the photons") as caught:
        adopted(None, "measured", crowded, **in_crowd())
    assert "variance.kind: photons" in str(caught.value)


def test_the_noise_of_a_crowd_from_its_photons(adopted, crowded):
    known = adopted(None, "photons", crowded, **in_crowd(level=SKY))
    assert np.allclose(np.sqrt(known.sky_variance), np.sqrt(SKY / GAIN), rtol=1e-5)
    assert known.science.mean() == pytest.approx((crowded - SKY).mean(), rel=1e-4)
    measured = adopted(None, "photons", crowded, **in_crowd())  # the level is that of the darkest places
    assert 6.6 < np.sqrt(np.median(measured.sky_variance)) < 12
    assert len(known.objects) > 20
    with_plane = adopted(SKY / GAIN, "variance", crowded, **in_crowd())
    assert "light of a crowd" in with_plane.report["warnings"][0]
    assert np.median(with_plane.sky_variance) == pytest.approx(SKY / GAIN, rel=0.05)


def test_a_field_that_leaves_sky_is_measured(adopted):
    report = adopted(None, "measured", crowd(300), **in_crowd()).report
    assert report["warnings"] == [] and report["sky"]["rms_median"] == pytest.approx(6.6, rel=0.2)
    assert report["noise"]["measured_over_photon_variance"] == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("variance", [{"kind": "photons", "file": "v.fits"}, {"kind": "rms", "read_noise": 5.0}])
def test_keys_that_do_not_go_together(variance):
    assert list(Variance.model_validate(variance).problems())
