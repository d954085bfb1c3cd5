"""Parents: every centre in exactly one, none too large."""

import numpy as np
from blendimpact.fitting.parents import group
from hypothesis import given, settings
from hypothesis import strategies as st

BLANK = np.zeros((100, 100))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 99), st.floats(0, 99)), max_size=60),
    st.integers(1, 8),
    st.floats(0, 30),
    st.sampled_from([np.inf, 40.0]),
)
def test_every_centre_has_one_parent_that_fits(xy, most, link, reach):
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    parents = group(x, y, BLANK, 1.0, link, most, reach)
    members = np.concatenate([p.members for p in parents]) if parents else np.array([], int)
    assert sorted(members) == list(range(len(xy)))
    for parent in parents:
        assert len(parent.members) <= most
        extent = max(np.ptp(x[parent.members]), np.ptp(y[parent.members]))
        assert extent <= reach


def test_footprints_and_distance_make_friends():
    image = np.zeros((100, 100))
    image[10:20, 10:60] = 9  # one long footprint
    x, y = np.array([12.0, 55.0, 80.0, 84.0, 80.0]), np.array([15.0, 15.0, 80.0, 80.0, 95.0])
    parents = group(x, y, image, 5.0, 5.0, 8)
    assert [list(p.members) for p in parents] == [[0, 1], [2, 3], [4]]
    assert not any(p.split for p in parents)


def test_close_pairs_stay_together_when_a_parent_is_split():
    x = np.array([0.0, 2, 20, 22, 40, 42, 60, 62])
    parents = group(x, np.full(8, 50.0), BLANK + 9, 5.0, 1.0, 2)
    assert [list(p.members) for p in parents] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert all(p.split for p in parents)


def test_order_of_the_centres_does_not_matter():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 99, (2, 40))
    turn = rng.permutation(40)
    first = {frozenset(p.members) for p in group(x, y, BLANK, 1.0, 14.0, 6)}
    second = {frozenset(turn[p.members]) for p in group(x[turn], y[turn], BLANK, 1.0, 14.0, 6)}
    assert first == second
