"""Matched fluxes: one Gaussian on the sky before any PSF, so colours do not depend on it."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.significance import BAD
from blendimpact.deblend import DEBLENDERS
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.noise import NoiseModel, draw_noise
from blendimpact.stats.streams import stream
from measured import measured
from patch_maker import SCALE, gaussian, gaussian_psf, make_patch

SHAPE = (121, 121)
FWHM = {"u": 0.9, "i": 0.7}
PSF = {band: fwhm / SCALE / np.sqrt(8 * np.log(2)) for band, fwhm in FWHM.items()}
SIGMA = 0.6


def patch_of(images, variance=1.0):
    patch = make_patch(images, variance)
    bands = {band: replace(image, psf=gaussian_psf(FWHM[band])) for band, image in patch.bands.items()}
    return replace(patch, bands=bands)


def fluxes(patch, x=60.3, y=59.8, **settings):
    table = Table({"det_id": [1], "x": [x], "y": [y]})
    children = DEBLENDERS.create("none").deblend(patch, {}, table, 61)
    found = measured(children, [x], [y], patch, ("matched",), "i", options={"matched": {"sigma": SIGMA}}, **settings)
    return dict(zip(found["band"], found["flux_matched"])), dict(zip(found["band"], found["flux_matched_err"]))


@pytest.mark.parametrize("size", [0.0, 1.0, 2.5])
def test_the_flux_is_that_under_a_gaussian_before_the_psf(size):
    """Of a Gaussian of variance s^2 it is F S^2 / (S^2 + s^2) at its centre, in any seeing; of a point source F."""
    images = {band: gaussian(SHAPE, 60.3, 59.8, 1000.0, np.hypot(PSF[band], size)) for band in FWHM}
    found, _ = fluxes(patch_of(images))
    sigma = SIGMA / SCALE
    for band in FWHM:
        assert found[band] == pytest.approx(1000 * sigma**2 / (sigma**2 + size**2), rel=2e-3)
    assert found["u"] / found["i"] == pytest.approx(1.0, abs=1e-3)
    aperture = {band: gaussian(SHAPE, 60.3, 59.8, 1000.0, np.hypot(PSF[band], size)) for band in FWHM}
    inside = {band: image[(np.hypot(*(np.indices(SHAPE) - 60)) < 3)].sum() for band, image in aperture.items()}
    assert abs(inside["u"] / inside["i"] - 1) > 0.03  # a circle on the images themselves has another colour


@pytest.mark.parametrize("correlated", [False, True])
def test_errors_are_those_of_the_noise(correlated):
    lags = np.hypot(*(np.indices((13, 13)) - 6))
    noise = NoiseModel(np.exp(-0.5 * (lags / 1.5) ** 2)) if correlated else 1.0
    correlation = noise.correlation if correlated else np.ones((1, 1))
    plane = draw_noise((61 * 16, 61 * 16), 1.0, correlation, stream(5, "matched", int(correlated)))
    patch = patch_of({"i": plane.astype(np.float32)})
    y, x = (61 * np.indices((16, 16)).reshape(2, -1) + 30).astype(float)
    table = Table({"det_id": np.arange(256) + 1, "x": x, "y": y})
    children = DEBLENDERS.create("none").deblend(patch, {}, table, 61)
    settings = {"noise_correlation": {"i": noise}}
    found = measured(children, x, y, patch, ("matched",), "i", options={"matched": {"sigma": SIGMA}}, **settings)
    pulls = np.asarray(found["flux_matched"]) / np.asarray(found["flux_matched_err"])
    assert np.std(pulls) == pytest.approx(1.0, abs=4 / np.sqrt(2 * 256))


def test_a_band_without_data_is_missing_and_not_zero():
    images = {band: gaussian(SHAPE, 60.3, 59.8, 1000.0, PSF[band]) for band in FWHM}
    for plane, value in (("variance", np.inf), ("mask", BAD)):
        patch = patch_of(images)
        getattr(patch.bands["u"], plane)[:, 58:64] = value
        found, errors = fluxes(patch)
        assert np.isnan(found["u"]) and np.isnan(errors["u"]) and found["i"] == pytest.approx(1000, rel=2e-3)


def test_a_gaussian_narrower_than_the_psf_is_refused():
    with pytest.raises(StudyError, match=r"matched.sigma: .* narrower than the widest PSF \(0.38"):
        patch = patch_of({band: gaussian(SHAPE, 60, 60, 1000.0, PSF[band]) for band in FWHM})
        table = Table({"det_id": [1], "x": [60.0], "y": [60.0]})
        children = DEBLENDERS.create("none").deblend(patch, {}, table, 61)
        measured(children, [60.0], [60.0], patch, ("matched",), "i", options={"matched": {"sigma": 0.2}})
