"""Matching: against brute force, and the cases that other tools get wrong."""

import itertools
import time

import numpy as np
import pytest
from blendimpact.data.matching import assign, match
from hypothesis import given, settings
from hypothesis import strategies as st

# Few different coordinates, so that ties, coincident points and exact radii occur.
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=5)


def best_by_brute_force(truth, found, radius):
    """Return (number of pairs, least sum of distances) over all one-to-one sets of pairs."""
    allowed = [
        (i, j, np.hypot(*np.subtract(a, b)))
        for i, a in enumerate(truth)
        for j, b in enumerate(found)
        if np.hypot(*np.subtract(a, b)) <= radius
    ]
    for size in range(min(len(truth), len(found)), 0, -1):
        sums = [
            sum(p[2] for p in pairs)
            for pairs in itertools.combinations(allowed, size)
            if len({p[0] for p in pairs}) == size == len({p[1] for p in pairs})
        ]
        if sums:
            return size, min(sums)
    return 0, 0.0


@settings(max_examples=200, deadline=None)
@given(truth=POINTS, found=POINTS, radius=st.sampled_from([0.5, 1, 2, 3]))
def test_match_is_valid_maximal_and_closest(truth, found, radius):
    pairs = match(truth, found, radius)
    assert len(set(pairs["truth"])) == len(set(pairs["detection"])) == len(pairs)
    for i, j, distance in pairs:
        assert distance == np.hypot(*np.subtract(truth[i], found[j])) <= radius
    size, total = best_by_brute_force(truth, found, radius)
    assert len(pairs) == size
    assert np.sum(pairs["distance"]) == pytest.approx(total, abs=1e-9)


def test_pairs_beyond_the_radius_are_excluded_before_the_assignment():
    # The least total distance pairs 0-4.3 and 4.5-9.75; cut at 5 afterwards, the true pair is lost.
    pairs = match([(0, 0), (4.5, 0)], [(4.3, 0), (9.75, 0)], 5.0)
    assert [tuple(p)[:2] for p in pairs] == [(1, 0)]
    # With both within reach, two pairs count for more than one close one.
    assert [tuple(p)[:2] for p in match([(0, 0), (4.5, 0)], [(4.3, 0), (9.75, 0)], 5.3)] == [(0, 0), (1, 1)]


def test_positions_that_are_no_numbers_match_nothing():
    pairs = match([(np.nan, 1), (1, 1)], [(np.inf, 1), (1, 1.5)], 1.0)
    assert [tuple(p) for p in pairs] == [(1, 1, 0.5)]
    assert len(match([], [(1, 1)], 1.0)) == len(match([(1, 1)], [], 1.0)) == 0


def test_a_whole_patch_is_matched_fast():
    rng = np.random.default_rng(0)
    truth, found = rng.random((400, 2)) * 300, rng.random((150, 2)) * 300
    match(truth, found, 5.0)
    start = time.perf_counter()
    for _ in range(10):
        match(truth, found, 5.0)
        assign(truth, np.ones(400), found, np.zeros((300, 300), int), 5.0)
    assert time.perf_counter() - start < 10 * 0.05  # measured: 2 ms; the bound is for a busy machine


def test_assign_nearest_then_owner_then_none():
    segmentation = np.zeros((20, 30), int)  # not square: x is the column
    segmentation[5, 20:25] = 7
    segmentation[12, 3] = 99  # owned by a detection that is not in the list
    truth = [(2, 2), (2.5, 2), (24.4, 5.4), (24.6, 5), (3, 12), (-3, 5), (np.nan, 2)]
    table = assign(truth, [1, 5, 1, 1, 1, 1, 1], [(20, 5), (3, 2)], segmentation, 1.0, det_id=[7, 4])
    assert list(table["source"]) == list(range(7))
    assert list(table["det"]) == [1, 1, 0, -1, -1, -1, -1]
    assert list(table["how"]) == ["nearest", "nearest", "owner"] + ["none"] * 4
    assert table["distance"][:3] == pytest.approx([1.0, 0.5, np.hypot(4.4, 0.4)])
    assert np.isnan(table["distance"][3:]).all()
    assert list(table["dominant"]) == [False, True, True, False, False, False, False]


@settings(max_examples=100, deadline=None)
@given(truth=POINTS, found=POINTS, flux=st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), min_size=5, max_size=5))
def test_each_detection_has_one_dominant_source_and_it_is_the_brightest(truth, found, flux):
    flux = np.array(flux[: len(truth)])
    table = assign(truth, flux, found, radius=2.0)
    for source, det, distance, _, _ in table[table["det"] >= 0]:
        nearest = min(np.hypot(*np.subtract(truth[source], f)) for f in found)
        assert distance == nearest <= 2.0 and np.hypot(*np.subtract(truth[source], found[det])) == distance
    for source in np.flatnonzero(table["det"] < 0):
        assert all(np.hypot(*np.subtract(truth[source], f)) > 2.0 for f in found)
    rank = np.nan_to_num(flux, nan=-np.inf)
    for det in set(table["det"]) - {-1}:
        members = np.flatnonzero(table["det"] == det)
        chosen = members[table["dominant"][members]]
        assert len(chosen) == 1 and rank[chosen[0]] == rank[members].max()
    assert not table["dominant"][table["det"] < 0].any()
