"""Amplitudes of given templates: the linear part of several deblenders."""

from itertools import pairwise

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import nnls
from scipy.sparse.csgraph import connected_components

RIDGE = 1e-9  # of the diagonal: two equal templates share their light


def amplitudes(template, data, weight, non_negative=True):
    """Fit amplitudes of templates to an image.

    Parameters
    ----------
    template : (P, U) sparse array
        One source per column.
    data, weight : (P,) array
        Pixels and inverse variances.
    non_negative : bool
        Whether amplitudes below 0 are excluded.

    Returns
    -------
    amplitude : (U,) array
        argmin sum weight (data - template a)^2, solved for each set of templates that overlap: with
        normal equations N = L L^T it is the (non-negative) solution of L^T a = L^-1 b. 0 for a
        template that has no pixels with weight.
    solved : (U,) bool array
        False: the equations of the set could not be solved, its amplitudes are 1.
    """
    weighted = template.multiply(weight[:, None]).tocsc()
    normal = (template.T @ weighted).tocsr()
    right = weighted.T @ data
    power = normal.diagonal()
    out = np.divide(right, power, out=np.zeros(len(power)), where=power > 0)
    if non_negative:
        out = np.maximum(out, 0.0)
    solved = np.ones(len(out), dtype=bool)
    scale = np.sqrt(power)
    _, group = connected_components(normal, directed=False)
    order = np.argsort(group, kind="stable")
    normal = normal[order][:, order]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(group[order])) + 1, [len(order)]])
    for low, high in pairwise(edges):
        if high - low == 1:
            continue
        members = order[low:high]
        size = scale[members]
        block = normal[low:high, low:high].toarray() / np.outer(size, size)
        try:
            lower = cholesky(block + RIDGE * np.eye(len(members)), lower=True)
            side = solve_triangular(lower, right[members] / size, lower=True)
            value = nnls(lower.T, side)[0] if non_negative else solve_triangular(lower.T, side)
            out[members] = value / size
        except (LinAlgError, RuntimeError, ValueError):
            out[members], solved[members] = 1.0, False
    return out, solved
