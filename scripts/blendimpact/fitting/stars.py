"""Fit the PSF to all stars of a patch at once, in all bands."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..data.psf_shift import ShiftedPsf, equivalent_fwhm, unit_psf
from .block_preconditioner import Blocks, Normal
from .canvas import Canvas
from .parents import halved
from .star_models import HALVES, StarModels, middle

FLAGS = ("NOT_CONVERGED", "SPLIT", "SINGULAR", "NO_FLUX", "LIMIT", "POOR_FIT", "NOT_FINITE", "DEGENERATE")
RADIUS = 1.5  # of the disc whose pixels are fitted, in PSF FWHM
STEP = 0.5  # pixels: most that one iteration moves a star
POOR = 2.0  # reduced chi^2 in the disc
INFLATION = 100.0  # of a flux's variance by its neighbours: from there only the sum of fluxes is known
BATCH = 4000  # stars whose equations are in memory at a time, unless one parent has more


@dataclass
class StarOptions:
    """How `StarFit` fits; lengths in FWHM of the sharpest band's PSF."""

    most: int = 40  # stars of a parent whose equations are solved at once
    iterations: int = 15
    tolerance: float = 0.01  # in chi^2 per star, times its reduced chi^2 where that is over 1
    position_spread: float = 0.25  # prior about the given centre, standard deviation per axis
    max_shift: float = 1.0
    fixed: bool = False  # positions stay at the given centres
    floor: float = 0.0  # error of the models, as a share of the light in a pixel


class StarFit:
    """Positions, the same in all bands, and fluxes of all stars of a patch, by least squares.

    Each star is fitted to the pixels of a disc about its centre. All stars' equations are made at once as sparse
    products, and step by step (Gauss-Newton, with Levenberg's damping for a parent whose chi^2 a step raised) all
    fluxes and positions move together. Subtracted are models that are wider than the discs, out to where a star is
    lost in the noise: what a bright star's wings do to others is in the residuals, not in the normal matrix.

    Stars whose discs overlap, directly or through others, are a *parent*. A parent of up to ``most`` stars has its
    equations solved directly. A larger one is cut into tiles of at most that many for a preconditioner, and solved
    by conjugate gradients: nothing is skipped or approximated but the errors, which then lack what lies between
    tiles; its stars are flagged SPLIT.

    Parameters
    ----------
    patch : Patch
    sky : dict of str to (ny, nx) array
    x, y : (N,) array
        Centres in pixels, finite and on the image.
    options : StarOptions

    Attributes
    ----------
    canvas : Canvas
        Data, and the sum of the fitted models.
    positions : (N, 2) array
        Fitted x and y in pixels.
    flux, flux_err : (N, nbands) array
        In the bands' units, with the standard deviation given the neighbours' and the position's; infinite without
        pixels.
    covariance : (N, w, w) array
        Of each star's fluxes, then x and y (unless fixed), marginal over all others of its parent.
    chi2 : (N,) array
        Reduced chi^2 in the disc, all bands.
    flags : dict of str to (N,) bool array
        Outcomes by name of `FLAGS`, bits of ``data.children.DEBLEND_BITS``.
    parent : (N,) int array
        Number of each star's parent.
    iterations : (N,) int array
        Steps taken.
    """

    def __init__(self, patch, sky, x, y, options=None):
        self.options = options or StarOptions()
        images = list(patch.bands.values())
        analytic = all(image.psf_model["kind"] != "pixels" for image in images)
        largest = HALVES[-1] if analytic else min(image.psf.shape[0] // 2 for image in images)
        self.canvas = Canvas(patch, sky, largest + 2, self.options.floor)
        psfs = [unit_psf(image, 2 * largest + 1) for image in images]
        fwhm = [equivalent_fwhm(psf) if psf.any() else 1.0 for psf in psfs]
        self._unit = min(fwhm)
        self._models = StarModels(self.canvas, psfs, largest)
        half = min(int(np.ceil(RADIUS * max(fwhm))), largest)
        # What an interpolation sees of the PSF beyond its window: enough for a shift of a few pixels.
        self._windows = [ShiftedPsf(middle(psf, min(largest, half + 12)), half) for psf in psfs]
        yy, xx = np.indices((2 * half + 1,) * 2) - half
        self._discs = [np.flatnonzero((xx**2 + yy**2 <= (RADIUS * f) ** 2).ravel()) for f in fwhm]
        self._disc_pixels = [(yy.ravel()[d], xx.ravel()[d]) for d in self._discs]

        self.start = np.column_stack([x, y]).astype(float).reshape(-1, 2)
        self.cells = np.floor(self.start + 0.5).astype(int)
        self.positions, n = self.start.copy(), len(self.start)
        self.width = len(images) + (0 if self.options.fixed else 2)
        self._flux = np.zeros((n, len(images)))
        self.flags = {name: np.zeros(n, bool) for name in FLAGS}
        self.iterations = np.zeros(n, int)
        self.covariance = np.full((n, self.width, self.width), np.nan)
        self.chi2 = np.full(n, np.nan)
        self.parent, self._tile = self._group(2 * RADIUS * max(fwhm))
        self.flags["SPLIT"] = np.bincount(self.parent)[self.parent] > self.options.most if n else self.flags["SPLIT"]
        self._share = self._shares()
        self._fit()
        self._judge()

    @property
    def flux(self):
        """Fluxes in the units of the bands, (N, nbands)."""
        return self._flux * self.canvas.scale

    @property
    def flux_err(self):
        """Their standard deviations, (N, nbands)."""
        return self.errors[:, : len(self.canvas.scale)]

    @property
    def errors(self):
        """Standard deviations of the fluxes, then of x and y, (N, nbands + 2); NaN for places that were fixed."""
        out = np.full((len(self.start), len(self.canvas.scale) + 2), np.nan)
        out[:, : self.width] = np.sqrt(np.einsum("nii->ni", self.covariance))
        return out

    def _group(self, link):
        """Return the parents, and the tiles in which their equations are solved."""
        n = len(self.start)
        pairs = cKDTree(self.start).query_pairs(link, output_type="ndarray") if n else np.zeros((0, 2), int)
        graph = coo_array((np.ones(len(pairs), np.int8), tuple(pairs.T)), shape=(n, n))
        parent = connected_components(graph, directed=False)[1] if n else np.zeros(0, int)
        tile, last = np.empty(n, int), 0
        order = np.argsort(parent, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(parent[order])) + 1) if n else []:
            for part in halved(members, self.start, self.options.most):
                tile[part], last = last, last + 1
        return parent, tile

    def _pixels(self, stars, b):
        """Return the pixels of the stars' discs, as numbers of the canvas of one band, (N, P)."""
        dy, dx = self._disc_pixels[b]
        rows, columns = (self.cells[stars, k, None] + d + self.canvas.pad for k, d in ((1, dy), (0, dx)))
        return rows * self.canvas.data.shape[2] + columns

    def _shares(self):
        """Return one over the number of discs that each pixel is in, (nbands, pixels): in chi^2 it counts once."""
        size = self.canvas.data[0].size
        count = [np.bincount(self._pixels(slice(None), b).ravel(), minlength=size) for b in range(len(self._discs))]
        return 1 / np.maximum(np.array(count), 1).astype(np.float32)

    # ------------------------------------------------------------------------------------ iterations

    def _fit(self):
        count = int(self.parent.max(initial=-1)) + 1
        self._best = np.full(count, np.inf)
        self._damping = np.zeros(count)
        self._kept = self.positions.copy(), self._flux.copy()
        self._dead = np.zeros(len(self.start), bool)
        self._gain = np.zeros(len(self.start))  # of chi^2, that each star's part of the last step promised
        todo, checked = np.ones(count, bool), False
        for _ in range(self.options.iterations):
            checked = bool(todo.all())
            settled = np.ones(count, bool)
            moved = []
            for stars in self._batches(todo):
                gain, rows = self._step(stars)
                moved.append(rows)
                here = np.unique(self.parent[stars])
                settled[here] = gain[here] < self._enough(stars)[here]
            for rows in moved:
                self._models.draw(rows, self.positions, self._flux)
            if checked and settled.all():
                break
            todo = ~settled if (~settled).any() else np.ones(count, bool)
        else:
            for stars in self._batches(np.ones(count, bool)):  # errors and chi^2 of all, at the last state
                self._step(stars, move=False)
                still = self._gain[stars] >= self.options.tolerance * self._poor(stars)
                self.flags["NOT_CONVERGED"][stars] = still & ~settled[self.parent[stars]]

    def _batches(self, todo):
        """Yield the stars of the parents ``todo``, whole parents, about `BATCH` at a time."""
        stars = np.flatnonzero(todo[self.parent])
        stars = stars[np.argsort(self.parent[stars], kind="stable")]
        if not len(stars):
            return
        begins = np.r_[0, np.flatnonzero(np.diff(self.parent[stars])) + 1]
        ends, low = np.r_[begins[1:], len(stars)], 0
        for end, following in zip(ends, np.r_[ends[1:], np.inf]):
            if following - low > BATCH or end == len(stars):
                yield stars[low:end]
                low = end

    def _equations(self, stars):
        """Return the `Normal` of ``stars`` (whole parents), the prior's diagonal and each star's part of chi^2."""
        bands, free = len(self.canvas.scale), not self.options.fixed
        normal = Normal(len(stars), self.width)
        chi2, pixels, once = (np.zeros(len(stars)) for _ in range(3))
        shift = (self.positions[stars] - self.cells[stars]).T
        _, height, wide = self.canvas.data.shape
        for b in range(bands):
            where = self._pixels(stars, b)
            weight = self.canvas.weight[b].ravel()[where].astype(float)
            if not weight.any():
                continue
            residual = (self.canvas.data[b].ravel()[where] - self.canvas.model[b].ravel()[where]).astype(float)
            square = weight * residual**2
            chi2 += square.sum(axis=1)
            once += (square * self._share[b][where]).sum(axis=1)
            pixels += (weight > 0).sum(axis=1)
            templates = self._windows[b].draw(*shift, derivatives=free)
            templates = templates.reshape(len(stars), 3 if free else 1, -1)[:, :, self._discs[b]]
            templates[self._dead[stars]] = 0
            if free:
                templates[:, 1:] *= self._flux[stars, b, None, None]
            normal.add(
                templates, where, weight, residual, np.r_[b, bands, bands + 1] if free else np.array([b]), height * wide
            )
        diagonal = np.zeros((len(stars), self.width))
        if free:
            precision = (self.options.position_spread * self._unit) ** -2
            offset = self.positions[stars] - self.start[stars]
            diagonal[:, bands:] = precision
            normal.right[:, bands:] -= precision * offset
            once += precision * (offset**2).sum(axis=1)
        self.chi2[stars] = chi2 / np.maximum(pixels - self.width, 1)
        return normal, diagonal, once

    def _step(self, stars, move=True):
        """Take one step of ``stars`` (whole parents); return the parents' expected gains and who moved."""
        count, parent = len(self._best), self.parent[stars]
        here = np.unique(parent)
        normal, diagonal, once = self._equations(stars)
        matrix, right = normal.matrix(diagonal), normal.right
        blocks = Blocks(matrix, self._tile[stars], self.width)
        self._errors(stars, blocks, diagonal)
        along = self._along(stars, right)
        if along is not None:
            matrix, right = (along.T @ matrix @ along).tocsr(), (along.T @ right.ravel()).reshape(right.shape)
            blocks = Blocks(matrix, self._tile[stars], self.width)
        worse = np.zeros(count, bool)
        if move:
            self.iterations[stars] += 1
            worse = self._compare(stars, here, np.bincount(parent, once, minlength=count))
        step = self._solve(stars, matrix, blocks, right.ravel()).reshape(right.shape)
        bad = ~np.isfinite(step).all(axis=1)
        self.flags["NOT_FINITE"][stars] |= bad
        step[bad] = 0
        self._gain[stars] = (step * right).sum(axis=1)
        gain = np.zeros(count)
        gain[here] = np.bincount(parent, self._gain[stars], minlength=count)[here]
        gain[worse] = np.inf
        if move:
            if along is not None:
                step = (along @ step.ravel()).reshape(step.shape)
            back = worse[parent]
            self._move(stars[~back], step[~back], gain)
        return gain, stars

    def _along(self, stars, right):
        """Return what turns steps of the unknowns into those that the limit allows, or None: all are allowed.

        A star at its limit that is drawn further out moves along the limit only: its first unknown of the two of the
        position is the way along the circle, and the second does nothing.
        """
        if self.options.fixed:
            return None
        offset, pull = self.positions[stars] - self.start[stars], right[:, -2:]
        held = np.flatnonzero(self._at_limit(stars) & ((offset * pull).sum(axis=1) > 0))
        if not len(held):
            return None
        x, y = (offset[held] / np.hypot(*offset[held].T)[:, None]).T
        first = held * self.width + self.width - 2
        kept = np.ones(len(stars) * self.width)
        kept[first], kept[first + 1] = -y, 0
        index = np.arange(len(kept))
        data, row, column = (np.concatenate(c) for c in ((kept, x), (index, first + 1), (index, first)))
        return coo_array((data, (row, column)), shape=(len(kept),) * 2).tocsr()

    def _compare(self, stars, here, objective):
        """Return the parents whose last step made chi^2 larger: their stars go back, and their damping is raised."""
        slack = self._enough(stars)
        worse = np.zeros(len(self._best), bool)
        worse[here] = objective[here] > self._best[here] * (1 + 1e-9) + slack[here]
        again = np.isinf(self._best)  # after a step back (or at the start): this is the state to improve on
        self._best[here] = np.where(worse[here], np.inf, objective[here])
        self._damping[here] = np.where(
            worse[here],
            np.maximum(10 * self._damping[here], 0.1),
            np.where(again[here], self._damping[here], self._damping[here] / 3),
        )
        back = worse[self.parent[stars]]
        for now, kept in zip((self.positions, self._flux), self._kept):
            now[stars[back]] = kept[stars[back]]
            kept[stars[~back]] = now[stars[~back]]
        return worse

    def _solve(self, stars, matrix, blocks, right):
        """Return the damped step; of split parents by conjugate gradients."""
        damping = self._damping[self.parent[stars]]
        solver, system = blocks, matrix
        if (damping > 1e-3).any():
            extra = np.repeat(damping, self.width) * blocks.scale**2
            system = (matrix + coo_array((extra, (np.arange(len(extra)),) * 2), shape=matrix.shape)).tocsr()
            solver = Blocks(system, self._tile[stars], self.width)
        step = solver.solve(right)
        split = self.flags["SPLIT"][stars]
        if split.any():
            unknowns = np.repeat(split, self.width)
            part = system[unknowns][:, unknowns]
            tiles = Blocks(part, self._tile[stars][split], self.width)
            step[unknowns] = tiles.improve(part, right[unknowns], step[unknowns])
        return step

    def _poor(self, stars):
        """Return by how much the PSF does not fit each star: its reduced chi^2 where that is over 1."""
        return np.maximum(1, np.nan_to_num(self.chi2[stars], nan=1, posinf=1))

    def _enough(self, stars):
        """Return the change of each parent's chi^2 that no longer matters; more where the PSF does not fit."""
        return self.options.tolerance * np.bincount(self.parent[stars], self._poor(stars), minlength=len(self._best))

    def _at_limit(self, stars):
        """Return which stars are as far from their given centres as they may."""
        reach = self.options.max_shift * self._unit * (1 - 1e-9)
        return np.hypot(*(self.positions[stars] - self.start[stars]).T) > reach

    def _move(self, stars, step, gain):
        bands = self._flux.shape[1]
        self._flux[stars] += step[:, :bands]
        if not self.options.fixed:
            length = np.hypot(*step[:, bands:].T)
            moved = step[:, bands:] * np.minimum(1, STEP / np.maximum(length, 1e-12))[:, None]
            place = self.positions[stars] + moved - self.start[stars]
            most = self.options.max_shift * self._unit
            self.positions[stars] = (
                self.start[stars] + place * np.minimum(1, most / np.maximum(np.hypot(*place.T), 1e-12))[:, None]
            )
        # Without any positive flux a star is no star; the others of its parent are fitted without it.
        lost = (self._flux[stars] <= 0).all(axis=1) & (self.iterations[stars] > 2) & ~self._dead[stars]
        gone = stars[lost]
        self._dead[gone] = True
        self._flux[gone], self.positions[gone] = 0, self.start[gone]
        self._best[self.parent[gone]] = gain[self.parent[gone]] = np.inf
        self._flux[self._dead] = 0

    def _errors(self, stars, blocks, diagonal):
        bands = self._flux.shape[1]
        covariance, inflation = blocks.covariance()
        units = np.r_[self.canvas.scale, np.ones(self.width - bands)]
        covariance = covariance * np.outer(units, units)
        # An unknown that no pixel tells about (apart from the prior).
        unseen = blocks.scale.reshape(len(stars), -1) ** 2 <= diagonal * (1 + 1e-12)
        unseen[:, :bands] |= (inflation[:, :bands] == 1) & (blocks.scale.reshape(len(stars), -1)[:, :bands] == 1)
        index = np.arange(bands)
        covariance[:, index, index] = np.where(unseen[:, :bands], np.inf, covariance[:, index, index])
        self.covariance[stars] = covariance
        self.flags["SINGULAR"][stars] = blocks.singular
        self.flags["DEGENERATE"][stars] = (inflation[:, :bands] > INFLATION).any(axis=1)

    def _judge(self):
        self.flags["LIMIT"] = self._at_limit(slice(None))
        self.flags["NO_FLUX"] = ~(self._flux > 0).any(axis=1)
        self.flags["POOR_FIT"] = self.chi2 > POOR
