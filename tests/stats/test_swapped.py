"""Swapped lists: identical lists give nothing, and a list that depends on the shape gives what it must."""

import numpy as np
import pytest
from blendimpact.stats.swapped import Merging, SwappedLists, responses

G = 0.05


def sums_of(lists, shapes):
    """Return the six sums of two lists of row numbers, on the shapes of both twins."""
    return np.array(
        [x for rows in lists for x in (len(rows), *(shapes[t][rows].sum() / (2 * G) for t in ("plus", "minus")))]
    )[None]


def twins(rng, n=2000, response=0.3):
    """Shapes of n objects on both twins, each twin with a noise of its own."""
    e = rng.normal(0, 0.2, n)
    return e, {t: e + sign * response * G + rng.normal(0, 0.3, n) for t, sign in (("plus", 1), ("minus", -1))}


def test_identical_lists_give_exactly_nothing_whatever_the_noise():
    rng = np.random.default_rng(1)
    _, shapes = twins(rng)
    rows = np.flatnonzero(rng.random(2000) < 0.5)
    assert SwappedLists().of(sums_of((rows, rows), shapes)) == 0


def test_a_list_that_takes_shapes_below_a_limit_gives_what_the_cut_takes_away():
    # Shapes uniform in -1 to 1; an object is found while e1 on its image is below the limit. On +g those with
    # e < limit - R g are found: their mean over both images is lower by R g / 2 on each list.
    response, limit, n = 0.3, 0.5, 400_001
    e = np.linspace(-1, 1, n)
    shapes = {"plus": e + response * G, "minus": e - response * G}
    found = [np.flatnonzero(shapes[t] < limit) for t in ("plus", "minus")]
    assert SwappedLists().of(sums_of(found, shapes)) == pytest.approx(-0.5, abs=1e-4)
    own, fixed = responses(sums_of(found, shapes)[0])
    assert (own, fixed) == (pytest.approx(response / 2, abs=1e-4), pytest.approx(response, abs=1e-9))


def test_what_is_found_on_one_twin_alone_moves_the_response_by_its_mean_shape():
    # Of 1000 objects 900 are on both lists; 100 of shape e = -1 are found on +g alone, 100 of e = +1 on -g alone.
    e = np.r_[np.zeros(900), np.full(100, -1.0), np.full(100, 1.0)]
    shapes = {"plus": e + 0.4 * G, "minus": e - 0.4 * G}
    lists = np.arange(1000), np.r_[np.arange(900), np.arange(1000, 1100)]
    assert SwappedLists().of(sums_of(lists, shapes)) == pytest.approx(-0.1 / G / 0.4, rel=1e-9)


def test_swapping_the_names_of_the_twins_and_the_axes_changes_nothing():
    rng = np.random.default_rng(2)
    _, shapes = twins(rng)
    lists = [np.flatnonzero(rng.random(2000) < 0.6) for _ in range(2)]
    other = {"plus": -shapes["minus"], "minus": -shapes["plus"]}
    assert SwappedLists().of(sums_of(lists, shapes)) == pytest.approx(SwappedLists().of(sums_of(lists[::-1], other)))


def test_merging_is_the_response_of_carried_lists_over_that_of_their_true_centres():
    sums = np.array([[10, 4.0, 20, 8.0, 30, 10.0]])  # 0.4 on each list, 1/3 of the true centres
    assert Merging().of(sums) == pytest.approx(0.2)
    assert Merging().count(sums) == 30
    assert np.isnan(Merging().of(np.zeros((1, 6))))
