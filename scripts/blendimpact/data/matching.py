"""Matching of true sources and detections by position."""

import numpy as np
from astropy.table import Table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

UNASSIGNED = -1


def _positions(xy):
    """Return (N, 2) finite positions and their indices among the rows given."""
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    index = np.flatnonzero(np.isfinite(xy).all(axis=1))
    return xy[index], index


def match(truth_xy, detections_xy, radius):
    """Match one to one within a radius.

    Of all sets of pairs that are within the radius, the largest; of the largest, one with the least sum of
    distances. Pairs beyond the radius are excluded before anything is assigned: a global assignment that is
    cut at the radius afterwards loses true pairs.

    Parameters
    ----------
    truth_xy : (N, 2) array
    detections_xy : (M, 2) array
        Positions. Rows that are not finite match nothing.
    radius : float
        Same unit; a pair at exactly the radius counts.

    Returns
    -------
    astropy.table.Table
        ``truth``, ``detection`` (row indices, int64), ``distance``; sorted by ``truth``.
    """
    truth, truth_index = _positions(truth_xy)
    found, found_index = _positions(detections_xy)
    rows = columns = np.empty(0, dtype=np.int64)
    if len(truth) and len(found):
        pairs = cKDTree(truth).sparse_distance_matrix(cKDTree(found), radius, output_type="coo_matrix")
        n, m = len(truth), len(found)
        # A full matching always exists when each true source also has a place of its own, at a price that
        # no sum of distances can reach; so as few as possible stay there. The 1 keeps zero distances: a
        # sparse zero would be no edge.
        price = 1 + 2 * radius * min(n, m)
        alone = np.arange(n)
        weights = coo_array(
            (
                np.concatenate([pairs.data, np.full(n, price)]) + 1,
                (np.concatenate([pairs.row, alone]), np.concatenate([pairs.col, m + alone])),
            ),
            shape=(n, m + n),
        ).tocsr()
        rows, columns = min_weight_full_bipartite_matching(weights)
        rows, columns = rows[columns < m], columns[columns < m]
    order = np.argsort(rows)
    rows, columns = rows[order].astype(np.int64), columns[order].astype(np.int64)
    distance = np.hypot(*(truth[rows] - found[columns]).T) if len(rows) else np.empty(0)
    return Table({"truth": truth_index[rows], "detection": found_index[columns], "distance": distance})


def assign(truth_xy, truth_brightness, detections_xy, segmentation=None, radius=0.0, det_id=None):
    """Assign each true source to a detection: A(d) is the set of sources assigned to d.

    A source belongs to the nearest detection within the radius; else to the owner of the segmentation pixel
    under its centre; else to none. Several sources may belong to one detection: an unrecognised blend.

    Parameters
    ----------
    truth_xy : (N, 2) array
        Pixel coordinates, 0-based, centre of the first pixel at (0, 0).
    truth_brightness : (N,) array
        Flux, or any quantity that grows with brightness: decides which member of A(d) is dominant. Not
        finite counts as faintest.
    detections_xy : (M, 2) array
        Pixel coordinates.
    segmentation : (ny, nx) int array, optional
        ``det_id`` of the owner of each pixel, 0 where nobody owns it.
    radius : float
        Pixels.
    det_id : (M,) int array, optional
        What the values of ``segmentation`` mean; 1 ... M by default.

    Returns
    -------
    astropy.table.Table
        One row per true source, in order: ``source`` and ``det`` (row indices; ``det`` is -1 when
        unassigned), ``distance`` (pixels to that detection; NaN when unassigned), ``how`` ("nearest",
        "owner" or "none"), ``dominant`` (bool: brightest member of its A(d); of equals, the first).
    """
    truth_xy = np.asarray(truth_xy, dtype=float).reshape(-1, 2)
    detections_xy = np.asarray(detections_xy, dtype=float).reshape(-1, 2)
    brightness = np.asarray(truth_brightness, dtype=float)
    n, m = len(truth_xy), len(detections_xy)
    det = np.full(n, UNASSIGNED, dtype=np.int64)
    distance = np.full(n, np.nan)
    how = np.full(n, "none", dtype="U7")
    finite = np.flatnonzero(np.isfinite(truth_xy).all(axis=1))
    found, found_index = _positions(detections_xy)

    if len(found):
        # The bound of the tree excludes the radius itself.
        near, nearest = cKDTree(found).query(truth_xy[finite], distance_upper_bound=np.nextafter(radius, np.inf))
        reached = np.isfinite(near)
        det[finite[reached]] = found_index[nearest[reached]]
        how[finite[reached]] = "nearest"

    if segmentation is not None and m:
        segmentation = np.asarray(segmentation)
        left = finite[det[finite] == UNASSIGNED]
        column, row = np.floor(truth_xy[left] + 0.5).astype(np.int64).T
        inside = (row >= 0) & (row < segmentation.shape[0]) & (column >= 0) & (column < segmentation.shape[1])
        left = left[inside]
        owner = segmentation[row[inside], column[inside]]
        ids = np.arange(1, m + 1) if det_id is None else np.asarray(det_id)
        order = np.argsort(ids, kind="stable")
        place = np.minimum(np.searchsorted(ids[order], owner), m - 1)
        owned = (owner > 0) & (ids[order[place]] == owner)
        det[left[owned]] = order[place[owned]]
        how[left[owned]] = "owner"

    assigned = np.flatnonzero(det != UNASSIGNED)
    distance[assigned] = np.hypot(*(truth_xy[assigned] - detections_xy[det[assigned]]).T)
    dominant = np.zeros(n, dtype=bool)
    ranked = np.where(np.isfinite(brightness), brightness, -np.inf)[assigned]
    # Stable, so the first of equals comes first in its detection's run.
    order = assigned[np.lexsort((-ranked, det[assigned]))]
    _, first = np.unique(det[order], return_index=True)
    dominant[order[first]] = True
    return Table({"source": np.arange(n), "det": det, "distance": distance, "how": how, "dominant": dominant})
