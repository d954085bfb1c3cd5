"""What became of each true source and of each detection: n-to-m outcomes of blends."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

OUTCOMES = {
    "isolated": "one source, one detection, nothing overlaps it",
    "recognised": "one source, one detection, in spite of an overlapping neighbour",
    "unrecognised": "several sources, one detection",
    "shredded": "one source, several detections",
    "missed": "a source without detection",
    "spurious": "a detection without source",
    "unlisted": "real image: a detection that belongs to no source of the list, and that was there before injection",
    "failed": "detected, but the deblender or the fit gave up",
}


@dataclass
class Outcomes:
    """Exactly one outcome for each true source and each detection.

    Attributes
    ----------
    truth : (N,) array of str
        Outcome of each source (`OUTCOMES`, never "spurious" or "unlisted").
    detection : (M,) array of str
        Outcome of each detection (never "missed").
    blend : (N,) int array
        Number of the blend, a connected component of sources and detections.
    detection_blend : (M,) int array
        The same for detections.
    """

    truth: np.ndarray
    detection: np.ndarray
    blend: np.ndarray
    detection_blend: np.ndarray

    def counts(self):
        """Return how many sources and detections had each outcome: dict of str to (int, int)."""
        return {name: (int(np.sum(self.truth == name)), int(np.sum(self.detection == name))) for name in OUTCOMES}


def links(truth_xy, detections_xy, reach):
    """Return the pairs of source and detection where the detection lies on the source.

    Parameters
    ----------
    truth_xy : (N, 2) array
    detections_xy : (M, 2) array
    reach : float or (N,) array
        Radius of the source's footprint, in the unit of the positions.

    Returns
    -------
    source, det : (L,) int64 arrays
        Row indices.
    distance : (L,) array
    """
    truth_xy = np.asarray(truth_xy, dtype=float).reshape(-1, 2)
    detections_xy = np.asarray(detections_xy, dtype=float).reshape(-1, 2)
    if not len(truth_xy) or not len(detections_xy):
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, np.empty(0)
    found = cKDTree(detections_xy).query_ball_point(truth_xy, reach, return_sorted=True)
    source = np.repeat(np.arange(len(truth_xy)), [len(f) for f in found])
    det = np.fromiter((d for f in found for d in f), dtype=np.int64, count=len(source))
    return source, det, np.hypot(*(truth_xy[source] - detections_xy[det]).T)


def classify(truth_xy, detections_xy, assigned, reach, overlap, failed=None, before=None):
    """Return the outcome of each source and each detection.

    A source belongs to the detection it is assigned to (the A(d) of the ladder), else to the nearest
    detection on its footprint, else it is missed. A detection to which no source belongs but which lies on
    the footprint of one is a piece of it: the nearest such source is shredded. A piece of a merged blend
    leaves that unrecognised. With more than one source and more than one
    detection in a blend these rules say which of them were recognised.

    On a real image the list of sources ends before the sky does. A detection to which no source belongs and that is
    there without the injected sources too may be a real source, noise, or a piece of a listed one: nothing on the
    image tells, so it is "unlisted" and makes no source shredded.

    Parameters
    ----------
    truth_xy : (N, 2) array
        True sources above the truth-side cut.
    detections_xy : (M, 2) array
    assigned : (N,) int array
        Row of the assigned detection, -1 for none: column ``det`` of `data.matching.assign`.
    reach : float or (N,) array
        Radius of each source's footprint, in the unit of the positions; at least the matching radius.
    overlap : (N,) bool array
        Which sources overlap another.
    failed : (M,) bool array, optional
        Detections whose deblending or fit failed.
    before : (M,) bool array, optional
        Detections that are there before injection too.

    Returns
    -------
    Outcomes
    """
    truth_xy = np.asarray(truth_xy, dtype=float).reshape(-1, 2)
    detections_xy = np.asarray(detections_xy, dtype=float).reshape(-1, 2)
    n, m = len(truth_xy), len(detections_xy)
    belongs = np.array(assigned, dtype=np.int64)
    overlap = np.asarray(overlap, dtype=bool)
    failed, before = (np.zeros(m, dtype=bool) if v is None else np.asarray(v, dtype=bool) for v in (failed, before))

    source, det, distance = links(truth_xy, detections_xy, reach)
    closest = np.lexsort((distance, source))
    first_source, at = np.unique(source[closest], return_index=True)
    alone = belongs[first_source] < 0
    belongs[first_source[alone]] = det[closest[at[alone]]]
    found = np.flatnonzero(belongs >= 0)

    # Blends: belonging and lying on the footprint both connect.
    ends = np.concatenate([source, found]), n + np.concatenate([det, belongs[found]])
    graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(n + m, n + m))
    blends = connected_components(graph, directed=False)[1] if n + m else np.empty(0, dtype=np.int64)
    sources_in_blend = np.bincount(blends[:n], minlength=n + m)

    members = np.bincount(belongs[found], minlength=m)
    pieces = np.zeros(n, dtype=bool)
    is_piece = np.zeros(m, dtype=bool)
    closest = np.lexsort((distance, det))
    first_det, at = np.unique(det[closest], return_index=True)
    free = (members[first_det] == 0) & ~before[first_det]
    is_piece[first_det[free]] = True
    pieces[source[closest[at[free]]]] = True

    truth = np.full(n, "missed", dtype="U12")
    own = belongs[found]
    truth[found] = np.select(
        [failed[own], members[own] > 1, pieces[found], overlap[found] | (sources_in_blend[blends[found]] > 1)],
        ["failed", "unrecognised", "shredded", "recognised"],
        "isolated",
    )
    detection = np.where(before, "unlisted", "spurious").astype("U12")
    detection[is_piece] = "shredded"
    detection[own] = truth[found]  # all members of one detection share their outcome
    return Outcomes(truth, detection, blends[:n], blends[n:])


def groups(truth_xy, radius):
    """Return the number of the group of each source: friends of friends within ``radius``, (N,) int."""
    truth_xy = np.asarray(truth_xy, dtype=float).reshape(-1, 2)
    if not len(truth_xy):
        return np.empty(0, dtype=np.int64)
    pairs = cKDTree(truth_xy).query_pairs(radius, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(len(truth_xy),) * 2)
    return connected_components(graph, directed=False)[1].astype(np.int64)


def efficiency_counts(group, truth_xy, detections_xy, reach, max_true=4, max_found=6):
    """Return how many groups of n true sources were seen as k detections.

    Groups come from the truth alone, so that the number of detections does not decide which sources
    make a blend. A detection counts for the group of the nearest source on whose footprint it lies.

    Parameters
    ----------
    group : (N,) int array
        From `groups`.
    truth_xy, detections_xy, reach
        As in `classify`.
    max_true, max_found : int
        The last row and column hold all that have as many or more.

    Returns
    -------
    (max_found + 1, max_true + 1) int64 array
        [k, n]; column 0 is empty. Sums over patches are the statistic.
    """
    counts = np.zeros((max_found + 1, max_true + 1), dtype=np.int64)
    group = np.asarray(group, dtype=np.int64)
    if not len(group):
        return counts
    n_true = np.bincount(group)
    source, det, distance = links(truth_xy, detections_xy, reach)
    closest = np.lexsort((distance, det))
    _, at = np.unique(det[closest], return_index=True)
    n_found = np.bincount(group[source[closest[at]]], minlength=len(n_true))
    np.add.at(counts, (np.minimum(n_found, max_found), np.minimum(n_true, max_true)), 1)
    counts[:, 0] = 0  # numbers of groups that do not occur
    return counts
