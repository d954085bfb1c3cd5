"""Normal equations of many overlapping stars: sparse products, inverses of blocks, conjugate gradients."""

import numpy as np
from scipy.sparse import coo_array, csc_array
from scipy.sparse.linalg import LinearOperator, cg

RIDGE = 1e-6  # of the diagonal: two stars in one place share their light


class Normal:
    """M = sum over bands of A^T W A and g = A^T W r for stars with ``width`` unknowns each.

    Parameters
    ----------
    count, width : int
        Stars, unknowns per star.
    """

    def __init__(self, count, width):
        self.count, self.width = count, width
        self.right = np.zeros((count, width))
        self._parts = []

    def add(self, templates, pixels, weight, residual, columns, size):
        """Add the pixels of one band.

        Parameters
        ----------
        templates : (N, K, P) array
            What each of K unknowns of a star does to the star's P pixels.
        pixels : (N, P) int array
            Which pixels those are.
        weight, residual : (N, P) array
            Of those pixels.
        columns : (K,) int array
            Number of each of the K unknowns among the star's ``width``.
        size : int
            Pixels of the image.
        """
        n, k, p = templates.shape
        self.right[:, columns] += np.einsum("nkp,np->nk", templates, weight * residual)
        where = np.broadcast_to(pixels[:, None], templates.shape).ravel()
        ends = np.arange(n * k + 1) * p
        design = csc_array((templates.ravel(), where, ends), shape=(size, n * k))
        weighted = csc_array(((templates * weight[:, None]).ravel(), where, ends), shape=(size, n * k))
        product = (design.T @ weighted).tocoo()
        self._parts.append(
            (
                (product.row // k) * self.width + columns[product.row % k],
                (product.col // k) * self.width + columns[product.col % k],
                product.data,
            )
        )

    def matrix(self, diagonal):
        """Return the sum of all bands plus a diagonal (N, width), in CSR form."""
        n = self.count * self.width
        here = np.arange(n)
        row, column, data = (np.concatenate(c) for c in zip(*self._parts, (here, here, diagonal.ravel())))
        return coo_array((data, (row, column)), shape=(n, n)).tocsr()


class Blocks:
    """The blocks of a normal matrix that belong to each tile of stars, inverted.

    Parameters
    ----------
    matrix : sparse array
        Of stars with ``width`` unknowns each.
    tile : (N,) int array
        Tile of each star; what lies between tiles is left out.
    width : int

    Attributes
    ----------
    scale : (N * width,) array
        Root of the matrix' diagonal; 1 where that is 0.
    singular : (N,) bool array
        The block has no finite inverse: it is taken to be zero.
    """

    def __init__(self, matrix, tile, width):
        self.width = width
        diagonal = matrix.diagonal()
        self.scale = np.sqrt(np.where((diagonal > 0) & np.isfinite(diagonal), diagonal, 1))
        order = np.argsort(tile, kind="stable")
        _, first, count = np.unique(tile[order], return_index=True, return_counts=True)
        rank = np.empty(len(tile), np.int64)  # of a star in its tile
        rank[order] = np.arange(len(tile)) - np.repeat(first, count)
        number = np.empty(len(tile), np.int64)  # of its tile among those of equal size
        size = np.empty(len(tile), np.int64)
        size[order] = np.repeat(count, count)
        entries = matrix.tocoo()
        star, other = entries.row // width, entries.col // width
        inside = tile[star] == tile[other]
        row, column = entries.row[inside], entries.col[inside]
        data = entries.data[inside] / (self.scale[row] * self.scale[column])
        star, other = star[inside], other[inside]
        self._sets, self.singular = [], np.zeros(len(tile), bool)
        for m in np.unique(count):
            begins = first[count == m]
            members = order[begins[:, None] + np.arange(m)]
            number[members] = np.arange(len(begins))[:, None]
            take = size[star] == m
            a, b, s = row[take], column[take], star[take]
            block = np.zeros((len(begins), m * width, m * width))
            block[number[s], rank[s] * width + a % width, rank[other[take]] * width + b % width] = data[take]
            index = np.arange(m * width)
            dead = block[:, index, index] == 0
            block[:, index, index] += np.where(dead, 1, RIDGE)
            inverse = _inverse(block)
            bad = ~np.isfinite(inverse).all(axis=(1, 2))
            inverse[bad] = 0
            self.singular[members[bad]] = True
            unknowns = (members[:, :, None] * width + np.arange(width)).reshape(len(begins), -1)
            self._sets.append((unknowns, inverse))

    def solve(self, right):
        """Return the solution with what lies between tiles left out."""
        out = np.zeros(len(right))
        scaled = right / self.scale
        for unknowns, inverse in self._sets:
            out[unknowns] = np.einsum("tij,tj->ti", inverse, scaled[unknowns])
        return out / self.scale

    def covariance(self):
        """Return each star's own block of the inverse, (N, width, width), and its scaled diagonal (N, width)."""
        n, width = len(self.singular), self.width
        out = np.zeros((n, width, width))
        for unknowns, inverse in self._sets:
            m = unknowns.shape[1] // width
            own = inverse.reshape(-1, m, width, m, width)[:, np.arange(m), :, np.arange(m)]
            out[unknowns[:, ::width].T // width] = own
        inflation = np.einsum("nii->ni", out).copy()
        scale = self.scale.reshape(n, width)
        return out / (scale[:, :, None] * scale[:, None, :]), inflation

    def improve(self, matrix, right, start, tolerance=1e-5, iterations=60):
        """Return the solution of the whole system by conjugate gradients, these blocks as preconditioner."""
        inverse = LinearOperator(matrix.shape, matvec=self.solve, dtype=float)
        return cg(matrix, right, x0=start, rtol=tolerance, maxiter=iterations, M=inverse)[0]


def _inverse(blocks):
    """Return the inverses of symmetric positive matrices; NaN for those that are none."""
    try:
        return np.linalg.inv(blocks)
    except np.linalg.LinAlgError:
        out = np.full(blocks.shape, np.nan)
        for k, block in enumerate(blocks):
            try:
                out[k] = np.linalg.inv(block)
            except np.linalg.LinAlgError:
                continue
        return out
