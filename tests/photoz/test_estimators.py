"""Estimators of photometric redshifts: calibrated on what they learnt, honest where bands are missing."""

import numpy as np
import pytest
from blendimpact.errors import StudyError
from blendimpact.photoz import ESTIMATORS
from blendimpact.photoz.base import LEVELS, POINT, Photometry, cross_validated, estimate

BANDS = ("g", "r", "i")
TILT = 0.8
"""Change of both colours, mag, per unit of redshift."""


def galaxies(n, noise=0.02, seed=1):
    """Return photometry and redshifts of galaxies whose colours are proportional to their redshift."""
    rng = np.random.default_rng(seed)
    redshift = rng.uniform(0.2, 1.8, n)
    magnitude = rng.uniform(20, 22, n)
    ends = magnitude[:, None] - np.array([-2.0, -1.0, 0.0]) * TILT * redshift[:, None]
    flux = 10 ** (-0.4 * (ends - 25)) * (1 + noise * rng.standard_normal((n, 3)))
    return Photometry(BANDS, flux, 0.1 + 0 * flux, np.full(3, 0.1), "i"), redshift


@pytest.fixture(params=["neighbours", "boosting"])
def estimator(request):
    return ESTIMATORS.create(request.param, {"trees": 60} if request.param == "boosting" else {})


def test_it_is_calibrated_on_other_galaxies_like_those_of_the_training(estimator):
    training, z = galaxies(1500)
    objects, true = galaxies(400, seed=2)
    found = estimate(estimator, training, z, objects)
    error = (found[:, POINT] - true) / (1 + true)
    assert abs(np.median(error)) < 0.01 and np.median(np.abs(error)) < 0.03
    inside = np.mean((true >= found[:, 1]) & (true <= found[:, -2]))
    assert 0.5 < inside < 0.9  # 0.68 if its quantiles were exact
    assert (np.diff(found, axis=1) >= 0).all()


def test_a_planted_colour_shift_gives_the_shift_of_redshift_that_it_stands_for(estimator):
    training, z = galaxies(1500, noise=0.002)
    objects, _ = galaxies(300, noise=0.002, seed=3)
    shift = 0.1
    factors = 10 ** (-0.4 * shift * np.array([2.0, 1.0, 0.0]))
    moved = Photometry(BANDS, objects.fluxes * factors, objects.errors, objects.softening, "i")
    before, after = (estimate(estimator, training, z, these)[:, POINT] for these in (objects, moved))
    inner = (before > 0.5) & (before < 1.5)
    assert np.median((after - before)[inner]) == pytest.approx(shift / TILT, abs=0.02)


def test_a_missing_band_costs_accuracy_and_no_object(estimator):
    training, z = galaxies(800)
    objects, true = galaxies(200, seed=4)
    fluxes = objects.fluxes.copy()
    fluxes[:100, 0], fluxes[150:160] = np.nan, np.nan
    found = estimate(estimator, training, z, Photometry(BANDS, fluxes, objects.errors, objects.softening, "i"))
    assert np.isfinite(found).all()
    whole = estimate(estimator, training, z, objects)
    np.testing.assert_array_equal(found[100:150], whole[100:150])  # whatever others are estimated with them
    np.testing.assert_allclose(found[150:160], np.tile(np.quantile(z, LEVELS), (10, 1)))
    scatter = [np.std(f[:100, POINT] - true[:100]) for f in (whole, found)]
    assert scatter[0] <= scatter[1] < 0.5 * np.std(true)


def test_negative_fluxes_have_magnitudes():
    light = Photometry(("i",), np.array([[-3.0], [0.0], [100.0]]), np.ones((3, 1)), np.ones(1), "i")
    magnitudes = light.magnitudes()[:, 0]
    assert np.isfinite(magnitudes).all() and (np.diff(magnitudes) < 0).all()
    assert magnitudes[2] == pytest.approx(-2.5 * np.log10(100.0), abs=1e-3)


def test_a_cross_validated_estimate_does_not_know_the_galaxy_itself():
    training, z = galaxies(301)
    fluxes = np.concatenate([training.fluxes, training.fluxes[:1]])
    odd = Photometry(BANDS, fluxes, 0.1 + 0 * fluxes, np.full(3, 0.1), "i")
    found = cross_validated(ESTIMATORS.create("neighbours", {"number": 1}), odd, np.append(z, 9.0), folds=2)
    assert found[-1] == z[0] and found[0] == 9.0  # the one has the redshift of its twin in another fold


def test_what_an_estimator_returns_is_checked():
    member = ESTIMATORS.member("neighbours")

    @ESTIMATORS.register("broken")
    class Broken(member):
        def estimate(self, training, redshift, objects, levels):
            return np.full((len(objects), len(levels)), np.nan)

    training, z = galaxies(50)
    try:
        with pytest.raises(StudyError, match="broken returns numbers that are not finite"):
            estimate(ESTIMATORS.create("broken"), training, z, training)
    finally:
        ESTIMATORS._members.pop("broken")
