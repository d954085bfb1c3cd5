"""Closed forms of blends against numerical integrals, simulations and published numbers."""

import numpy as np
import pytest
from blendimpact.sky.blends import (
    ARCSEC2_PER_DEG2,
    count_false_alarms,
    false_alarm_density,
    galaxy_counts,
    moments_to_shape,
    poisson_pair_fraction,
    purity,
)
from blendimpact.stats.streams import stream
from scipy import ndimage
from scipy.spatial import cKDTree

STEP = 0.05
Y, X = np.mgrid[-18:18:STEP, -22:22:STEP]  # not square


def gaussian(flux, x, y, covariance):
    inverse = np.linalg.inv(covariance)
    dx, dy = X - x, Y - y
    exponent = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
    return flux * np.exp(-0.5 * exponent) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))


@pytest.mark.parametrize("separation", [0.0, 0.7, 2.0, 4.0])
@pytest.mark.parametrize("ratio, sigma, other", [(1.0, 1.0, 1.0), (3.0, 0.8, 1.7), (0.1, 1.5, 0.9)])
def test_blendedness_of_two_gaussians_is_the_integral(separation, ratio, sigma, other):
    source = gaussian(2.0, -3.1, 1.2, sigma**2 * np.eye(2))
    neighbour = gaussian(2.0 * ratio, -3.1 + 0.6 * separation, 1.2 - 0.8 * separation, other**2 * np.eye(2))
    # The integral of the product of two Gaussians is a Gaussian of their separation.
    own, variance = 1 / (2 * sigma**2), sigma**2 + other**2
    foreign = ratio / variance * np.exp(-(separation**2) / (2 * variance))
    expected = foreign / (own + foreign)
    assert 1 - purity(source, source + neighbour) == pytest.approx(expected, abs=1e-9)


def test_purity_of_equal_coincident_sources_is_a_half_and_of_a_lone_one_is_one():
    source = gaussian(1.0, 0, 0, np.eye(2))
    assert purity(source, source) == 1
    assert purity(source, 2 * source) == 0.5
    assert np.isnan(purity(source, source, threshold=1.0))


def test_purity_counts_only_pixels_above_the_threshold():
    source = np.array([[4.0, 1.0, 0.1]])
    assert purity(source, source + [[0.0, 0.0, 50.0]], threshold=0.5) == 1
    assert purity(source, source + [[0.0, 1.0, 50.0]], threshold=0.5) == pytest.approx(17 / 18)
    # Empty margins of the stamp change nothing.
    padded = purity(np.pad(source, 5), np.pad(source * 1.1, 5), 0.5)
    assert padded == pytest.approx(purity(source, source * 1.1, 0.5))


def test_shapes_follow_the_reduced_shear_convention():
    q, angle = 0.5, np.deg2rad(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    g1, g2 = moments_to_shape(rotation @ np.diag([1.0, q**2]) @ rotation.T)
    g = (1 - q) / (1 + q)
    assert [g1, g2] == pytest.approx([g * np.cos(2 * angle), g * np.sin(2 * angle)])


def test_poisson_pair_fractions_of_the_reference():
    i = np.array([23, 23.5, 24, 24.5, 25])
    fraction = poisson_pair_fraction(galaxy_counts(i + 2.5) / 3600, 1.0)
    assert fraction == pytest.approx([0.056, 0.079, 0.111, 0.154, 0.213], abs=0.0006)


def test_poisson_pair_fraction_is_that_of_random_points():
    rng = np.random.default_rng(1)
    side, density, radius = 400.0, 0.05, 1.2
    points = rng.random((rng.poisson(density * side**2), 2)) * side
    distance, _ = cKDTree(points, boxsize=side).query(points, k=2)
    found = np.mean(distance[:, 1] < radius)
    expected = poisson_pair_fraction(density, radius)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(2 * expected / len(points)))


def test_galaxy_counts_of_the_reference():
    assert galaxy_counts(np.array([25.3, 26.3, 27.0])) == pytest.approx([57, 117, 192], abs=0.7)


def test_false_alarms_of_the_reference():
    decam = 1.8 * 0.263
    lsst = 0.8 / np.sqrt(8 * np.log(2))
    assert false_alarm_density(5, decam) * ARCSEC2_PER_DEG2 == pytest.approx(34.2, abs=0.05)
    assert false_alarm_density(np.array([4.5, 5, 5.5]), lsst) * ARCSEC2_PER_DEG2 == pytest.approx(
        [643, 66.4, 5], rel=0.01, abs=0.5
    )


def test_false_alarms_are_the_peaks_of_filtered_noise():
    # An independent count: a wide filter, so that the highest pixel is the peak, and scipy's maximum filter.
    sigma, threshold = 3.0, 3.5
    rng = np.random.default_rng(5)
    peaks = pixels = 0
    for _ in range(6):
        smooth = ndimage.gaussian_filter(rng.normal(size=(1500, 1500)), sigma, mode="wrap")
        smooth *= 2 * sigma * np.sqrt(np.pi)  # a Gaussian filter leaves white noise an rms of 1 / this
        peaks += np.sum((smooth == ndimage.maximum_filter(smooth, 3, mode="wrap")) & (smooth > threshold))
        pixels += smooth.size
    expected = false_alarm_density(threshold, sigma) * pixels
    assert peaks == pytest.approx(expected, abs=4 * np.sqrt(expected) + 0.08 * expected)


def test_counted_false_alarms_obey_kaisers_formula_at_two_samplings():
    for sigma in (1.8, 2.6):
        thresholds = np.array([3.8, 4.2])
        counts, searched = count_false_alarms(thresholds, sigma, 1.2e7, stream(3, "noise"), size=1024)
        assert searched == 2 * 12 * 1024**2
        expected = false_alarm_density(thresholds, sigma) * searched
        # The formula is the leading order at high threshold; 5 % besides counting noise.
        assert (np.abs(counts - expected) < 4 * np.sqrt(expected) + 0.05 * expected).all()
