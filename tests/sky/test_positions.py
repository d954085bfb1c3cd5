"""Random and clustered positions: density, subsets, and the correlation function in closed form."""

import numpy as np
import pytest
from blendimpact.errors import StudyError
from blendimpact.sky.positions import DENSITY_MAX, correlation, draw_positions
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.stats import kstest

HALF = 50.0  # arcsec


def random(index, density=0.05, seed=1):
    return draw_positions("random", {}, density, HALF, seed, "case", index)


def test_number_is_poisson_of_the_density():
    numbers = [len(random(k)) for k in range(200)]
    mean = 0.05 * DENSITY_MAX * (2 * HALF) ** 2
    assert np.mean(numbers) == pytest.approx(mean, abs=4 * np.sqrt(mean / 200))
    assert np.var(numbers) == pytest.approx(mean, rel=0.4)


def test_random_positions_are_uniform():
    places = random(0, density=0.3)
    for values in (places.x, places.y):
        assert kstest((values + HALF) / (2 * HALF), "uniform").pvalue > 1e-3
    assert kstest(places.rank, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(places.x, places.y)[0, 1]) < 0.05
    assert (places.cluster == -1).all()


@pytest.mark.parametrize("kind", ["random", "clustered"])
def test_streams_are_named(kind):
    """The same name gives the same sky; another patch or seed another one."""
    first, again, patch, seed = (
        draw_positions(kind, {}, 0.02, HALF, s, "case", k) for s, k in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert np.array_equal(first.x, again.x) and np.array_equal(first.rank, again.rank)
    assert not np.intersect1d(first.x, patch.x).size and not np.intersect1d(first.x, seed.x).size


@given(low=st.floats(0, 4), high=st.floats(0, 4))
@settings(max_examples=20, deadline=None)
def test_a_sparser_sky_is_a_subset(low, high):
    low, high = sorted((low, high))
    places = random(3)
    sparse, dense = (places.rank < f / DENSITY_MAX for f in (low, high))
    assert (dense | ~sparse).all()
    assert sparse.sum() == pytest.approx(len(places) * low / DENSITY_MAX, abs=5 * np.sqrt(len(places)) / 2 + 1)


def pairs_of_uniform(theta, side):
    """Return the probability that two uniform points of a square are closer than theta (< side)."""
    t = np.asarray(theta) / side
    return np.pi * t**2 - 8 * t**3 / 3 + t**4 / 2


def measured_correlation(options, edges, patches, density, factor=DENSITY_MAX):
    """Return w in bins from pair counts, with the known density (no integral constraint), and its scatter."""
    expected = (density * factor * (2 * HALF) ** 2) ** 2 * np.diff(pairs_of_uniform(edges, 2 * HALF))
    counts = []
    for k in range(patches):
        places = draw_positions("clustered", options, density, HALF, 11, "w", k)
        keep = places.rank < factor / DENSITY_MAX
        tree = cKDTree(np.column_stack([places.x[keep], places.y[keep]]))
        counts.append(np.diff(tree.count_neighbors(tree, edges)) / expected - 1)
    return np.mean(counts, axis=0), np.std(counts, axis=0) / np.sqrt(patches)


@pytest.mark.parametrize(
    "options", [{}, {"amplitude": 1.5, "slope": 1.0, "theta_min": 0.7, "theta_max": 10.0}], ids=["default", "strong"]
)
def test_pair_counts_follow_the_closed_form(options):
    edges = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
    w, error = measured_correlation(options, edges, 60, 0.02)
    theta = np.linspace(edges[:-1], edges[1:], 200)
    area = np.gradient(pairs_of_uniform(theta, 2 * HALF), axis=0)
    expected = (correlation(theta, options) * area).sum(axis=0) / area.sum(axis=0)
    assert (np.abs(w - expected) < 4 * error + 0.02 * expected).all()
    assert (w > 3 * error)[:4].all()


def test_thinning_keeps_the_correlation():
    edges = np.array([1.0, 3.0, 9.0])
    full, error = measured_correlation({"amplitude": 1.0}, edges, 40, 0.02)
    half, error_half = measured_correlation({"amplitude": 1.0}, edges, 40, 0.02, factor=2.0)
    assert (np.abs(full - half) < 4 * np.hypot(error, error_half)).all()


def test_amplitude_and_slope():
    """The power law holds to 25 % between theta_min and theta_max / 4; w never rises with theta."""
    for options in ({}, {"slope": 0.6, "amplitude": 0.2}, {"slope": 1.0, "theta_max": 60.0}):
        given = {"amplitude": 0.4, "slope": 0.8, "theta_min": 0.5, "theta_max": 30.0, **options}
        theta = np.geomspace(given["theta_min"], given["theta_max"] / 4, 40)
        np.testing.assert_allclose(
            correlation(theta, options), given["amplitude"] * theta ** -given["slope"], rtol=0.25
        )
        assert (np.diff(correlation(np.geomspace(0.01, 100, 60), options)) <= 0).all()


def test_clustered_density_is_the_same():
    numbers = [len(draw_positions("clustered", {}, 0.02, HALF, 5, k)) for k in range(150)]
    mean = 0.02 * DENSITY_MAX * (2 * HALF) ** 2
    assert np.mean(numbers) == pytest.approx(mean, abs=4 * np.std(numbers) / np.sqrt(150))
    assert np.var(numbers) > 1.5 * mean


@pytest.mark.parametrize(
    "kind, options, text",
    [
        ("grid", {}, "not known"),
        ("clustered", {"slop": 0.8}, "unknown option slop"),
        ("clustered", {"slope": 2.5}, "no clustering"),
        ("clustered", {"theta_min": 5.0, "theta_max": 1.0}, "no clustering"),
    ],
)
def test_refuses_unknown_processes(kind, options, text):
    with pytest.raises(StudyError, match=text):
        draw_positions(kind, options, 0.01, HALF, 1, "case")
