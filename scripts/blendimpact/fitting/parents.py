"""Parents: centres whose light overlaps, and how large parents are split."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.cluster.hierarchy import linkage, to_tree
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..data.significance import coadd, kernel_pixels, smooth


@dataclass
class Parent:
    """Centres that are fitted together.

    Attributes
    ----------
    members : (m,) int array
        Rows of the centres.
    split : bool
        The centres belong to a larger blend than is fitted at once; their neighbours in it are modelled by
        other parents.
    """

    members: np.ndarray
    split: bool


def significance(patch, sky):
    """Return the multi-band detection image smoothed with the PSF, in standard deviations, (ny, nx)."""
    flux, error = smooth(*coadd(patch, sky), kernel_pixels("psf", patch))
    return flux / error


def group(x, y, image, threshold, link, most, span=np.inf):
    """Group centres into parents, friends of friends.

    Two centres are friends if they lie in one connected region of ``image`` above ``threshold``, or within
    ``link`` of each other. A group of more than ``most``, or wider than ``span``, is split along its
    average-linkage tree, so that what is close together stays together.

    Parameters
    ----------
    x, y : (N,) array
        Pixels, all on the image.
    image : (ny, nx) array
        Detection image in standard deviations.
    threshold, link : float
        ``link`` in pixels.
    most : int
        Members of a parent.
    span : float
        Width of the square that holds a parent's centres, in pixels.

    Returns
    -------
    list of Parent
        Every centre in exactly one; ordered by their first member.
    """
    n = len(x)
    if n == 0:
        return []
    labels, _ = ndimage.label(image > threshold, structure=np.ones((3, 3)))
    here = labels[np.floor(y + 0.5).astype(int), np.floor(x + 0.5).astype(int)]
    pairs = cKDTree(np.c_[x, y]).query_pairs(link, output_type="ndarray")
    order = np.argsort(here, kind="stable")
    same = (here[order][1:] == here[order][:-1]) & (here[order][1:] > 0)
    rows = np.r_[pairs[:, 0], order[:-1][same]]
    columns = np.r_[pairs[:, 1], order[1:][same]]
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    parents = []
    for label in range(component.max() + 1):
        members = np.flatnonzero(component == label)
        parts = _split(members, np.c_[x, y][members], most, span)
        parents += [Parent(part, len(parts) > 1) for part in parts]
    return sorted(parents, key=lambda parent: parent.members[0])


def _split(members, xy, most, span):
    if len(members) == 1 or (len(members) <= most and np.ptp(xy, axis=0).max() <= span):
        return [members]
    parts, stack = [], [to_tree(linkage(xy, method="average"))]
    while stack:
        node = stack.pop()
        rows = node.pre_order()
        if len(rows) == 1 or (len(rows) <= most and np.ptp(xy[rows], axis=0).max() <= span):
            parts.append(np.sort(members[rows]))
        else:
            stack += [node.left, node.right]
    return parts


def halved(members, places, most):
    """Cut a set of places in halves along its longer side until no part has more than ``most``.

    Returns
    -------
    list of int array
    """
    if len(members) <= most:
        return [members]
    xy = places[members]
    axis = int(np.ptp(xy[:, 1]) > np.ptp(xy[:, 0]))
    order = members[np.lexsort((xy[:, 1 - axis], xy[:, axis]))]
    middle = len(order) // 2
    return halved(order[:middle], places, most) + halved(order[middle:], places, most)
