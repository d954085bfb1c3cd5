"""Outcomes of blends: the textbook cases, and conservation of counts for any sky."""

import numpy as np
import pytest
from blendimpact.data.matching import assign, match
from blendimpact.ladder.outcomes import OUTCOMES, classify, efficiency_counts, groups
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

RADIUS = 1.0


def outcome(truth, found, failed=None, reach=RADIUS, radius=RADIUS):
    truth, found = np.reshape(truth, (-1, 2)), np.reshape(found, (-1, 2))
    near = [any(np.hypot(*(a - b)) < 3 for j, b in enumerate(truth) if j != i) for i, a in enumerate(truth)]
    assigned = assign(truth, np.ones(len(truth)), found, radius=radius)["det"]
    return classify(truth, found, assigned, reach, near, failed)


@pytest.mark.parametrize(
    "truth, found, truth_outcome, found_outcome",
    [
        ([(0, 0)], [(0.3, 0)], ["isolated"], ["isolated"]),
        ([(0, 0), (2, 0)], [(0.1, 0), (2.1, 0)], ["recognised"] * 2, ["recognised"] * 2),
        ([(0, 0), (0.8, 0)], [(0.4, 0)], ["unrecognised"] * 2, ["unrecognised"]),
        ([(0, 0)], [(0.3, 0), (-0.6, 0)], ["shredded"], ["shredded"] * 2),
        ([(0, 0)], [], ["missed"], []),
        ([], [(1, 1)], [], ["spurious"]),
        ([(0, 0), (9, 9)], [(5, 5)], ["missed"] * 2, ["spurious"]),
        # The neighbour of a missed source is recognised in spite of the overlap.
        ([(0, 0), (2, 0)], [(0, 0)], ["recognised", "missed"], ["recognised"]),
        # Three sources, two detections: one detection merges two of them.
        (
            [(0, 0), (0.6, 0), (1.5, 0)],
            [(0.3, 0), (1.5, 0)],
            ["unrecognised", "unrecognised", "recognised"],
            ["unrecognised", "recognised"],
        ),
        # A piece of a merged blend leaves it unrecognised.
        ([(0, 0), (0.6, 0)], [(0.3, 0), (-0.9, 0)], ["unrecognised"] * 2, ["unrecognised", "shredded"]),
    ],
)
def test_textbook_cases(truth, found, truth_outcome, found_outcome):
    result = outcome(truth, found)
    assert list(result.truth) == truth_outcome
    assert list(result.detection) == found_outcome


def test_a_wide_galaxy_without_a_detected_centre_shares_the_detection_on_it():
    # A galaxy with a reach of 5 whose only detection is the faint source on its arm.
    result = outcome([(0, 0), (4, 0)], [(4.1, 0)], reach=np.array([5.0, 1.0]))
    assert list(result.truth) == ["unrecognised"] * 2
    assert list(outcome([(0, 0)], [(4, 0)], reach=5.0).truth) == ["isolated"]


def test_a_failure_is_an_outcome_of_its_source_and_of_nobody_else():
    result = outcome([(0, 0), (9, 9)], [(0, 0), (9, 9), (5, 5)], failed=[True, False, True])
    assert list(result.truth) == ["failed", "isolated"]
    assert list(result.detection) == ["failed", "isolated", "spurious"]


def test_what_was_there_before_injection_is_neither_a_piece_nor_spurious():
    """A listed source with two old detections, an injected one that is shredded, and a new and an old one apart."""
    truth = np.array([(0, 0), (9, 9)])
    found = np.array([(0.1, 0), (-0.6, 0), (9, 9), (9.5, 9), (5, 5), (20, 20)])
    assigned = assign(truth, np.ones(2), found, radius=RADIUS)["det"]
    result = classify(truth, found, assigned, RADIUS, [False, False], before=[True, True, False, False, False, True])
    assert list(result.truth) == ["isolated", "shredded"]
    assert list(result.detection) == ["isolated", "unlisted", "shredded", "shredded", "spurious", "unlisted"]
    counts = result.counts()
    assert sum(c[0] for c in counts.values()) == 2 and sum(c[1] for c in counts.values()) == 6


def test_outcomes_do_not_depend_on_the_order_of_the_rows():
    rng = np.random.default_rng(2)
    truth, found = rng.random((60, 2)) * 20, rng.random((50, 2)) * 20
    one = outcome(truth, found)
    p, q = rng.permutation(60), rng.permutation(50)
    other = outcome(truth[p], found[q])
    assert (other.truth == one.truth[p]).all() and (other.detection == one.detection[q]).all()


SKIES = st.lists(st.tuples(st.floats(0, 8), st.floats(0, 8)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(truth=SKIES, found=SKIES, reach=st.sampled_from([1.0, 2.5]), seed=st.integers(0, 99))
def test_every_source_and_detection_has_exactly_one_outcome_and_the_counts_agree(truth, found, reach, seed):
    failed = np.random.default_rng(seed).random(len(found)) < 0.2
    result = outcome(truth, found, failed, reach)
    counts = result.counts()
    assert sum(c[0] for c in counts.values()) == len(truth)
    assert sum(c[1] for c in counts.values()) == len(found)
    assert set(result.truth) <= set(OUTCOMES) - {"spurious"}
    assert set(result.detection) <= set(OUTCOMES) - {"missed"}
    for name in ("isolated", "recognised"):  # one to one
        assert counts[name][0] == counts[name][1]
    assert counts["unrecognised"][0] >= 2 * counts["unrecognised"][1]
    # Missed and spurious are what lies on nothing.
    distance = np.hypot(*(np.reshape(truth, (-1, 1, 2)) - np.reshape(found, (1, -1, 2))).T).T
    assert (result.truth == "missed").tolist() == (~(distance <= reach).any(axis=1)).tolist()
    assert (result.detection == "spurious").tolist() == (~(distance <= reach).any(axis=0)).tolist()
    for blend in set(result.blend) & set(result.detection_blend):
        assert "missed" not in result.truth[result.blend == blend]


def test_groups_are_friends_of_friends():
    assert len(set(groups([(0, 0), (0.9, 0), (1.8, 0), (5, 5)], 1.0))) == 2
    assert len(groups([], 1.0)) == 0 and list(groups([(1, 1)], 1.0)) == [0]


def test_efficiency_counts_of_known_blends():
    truth = np.array([(0, 0), (10, 0), (10.8, 0), (20, 0), (20.8, 0), (30, 0)])
    found = np.array([(0.1, 0), (10.4, 0), (20, 0), (20.8, 0), (50, 50)])
    counts = efficiency_counts(groups(truth, 1.0), truth, found, RADIUS, 2, 2)
    assert counts.tolist() == [[0, 1, 0], [0, 1, 1], [0, 0, 1]]


@settings(max_examples=50, deadline=None)
@given(truth=SKIES, found=SKIES)
def test_efficiency_counts_hold_every_group_and_every_detection_on_a_source(truth, found):
    counts = efficiency_counts(groups(truth, 1.5), truth, found, RADIUS, 30, 30)
    n_found, n_true = np.indices(counts.shape)
    assert (counts * n_true).sum() == len(truth)
    on_source = sum(any(np.hypot(*np.subtract(t, f)) <= RADIUS for t in truth) for f in found)
    assert (counts * n_found).sum() == on_source


def test_a_crowded_sky_loses_sources_to_blends_as_its_pairs_say():
    # A detector that merges whatever is closer than 1: sources left alone are those without such a neighbour.
    rng = np.random.default_rng(7)
    truth = rng.random((900, 2)) * 60
    lone = cKDTree(truth).query(truth, k=2)[0][:, 1] > 1.0
    found = truth[lone]
    result = outcome(truth, found, reach=0.2, radius=0.2)
    seen = np.isin(result.truth, ["isolated", "recognised"])
    assert len(match(truth, found, 0.2)) == lone.sum() == seen.sum()
    assert np.sum(result.truth == "missed") == (~lone).sum()
