"""Damped Gauss-Newton fit of the sources of one parent, all bands at once, fluxes linear."""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg.lapack import dposv
from scipy.optimize import nnls

STEP = np.array([1.0, 1.0, 0.7, 0.5, 0.5, 0.5])  # most that one iteration moves a parameter
START = 1e-2  # damping
NEGLIGIBLE = 0.1  # share of the tolerance: steps that promise less are not taken


@dataclass
class Prior:
    """Gaussian priors and bounds on `sersic.PARAMETERS`, in their order.

    Attributes
    ----------
    centre, precision : (m, 6) array
        Means, and inverse variances.
    low, high : (m, 6) array
    """

    centre: np.ndarray
    precision: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass
class State:
    """Parameters of a parent and what follows from them."""

    parameters: np.ndarray  # (m, 6)
    flux: np.ndarray  # (nbands, m)
    objective: float  # chi^2 + prior terms
    chi2: float
    images: list = field(repr=False)  # per source (nbands, 7, N, N), unit flux; (nbands, 1, N, N) without derivatives
    blocks: dict = field(repr=False)  # (i, j): (nbands, 7, 7), sums of products over pixels
    gradient: np.ndarray | None = field(repr=False)  # (nbands, m, 7): image times weighted residual


@dataclass
class Outcome:
    """Result of `fit`."""

    state: State
    iterations: int
    converged: bool
    singular: bool


class Window:
    """Pixels of one parent: data and weights, and the box of each source in them.

    Parameters
    ----------
    data, weight : (nbands, h, w) float32 array
        Light that the parent's sources must explain, and inverse variances (0: no data).
    boxes : list of Box
    origins : (m, 2) int array
        Column and row, in the window, of each box' first pixel. Boxes lie inside the window.
    """

    def __init__(self, data, weight, boxes, origins):
        self.data, self.weight, self.boxes = data, weight, boxes
        self.places = [(slice(y, y + b.size), slice(x, x + b.size)) for b, (x, y) in zip(boxes, origins)]
        self.origins = np.asarray(origins)
        self.overlaps = {}
        for i, a in enumerate(boxes):
            for j in range(i + 1):
                b = boxes[j]
                low = np.maximum(self.origins[i], self.origins[j])
                high = np.minimum(self.origins[i] + a.size, self.origins[j] + b.size)
                if (high > low).all():
                    cut = [
                        tuple(slice(low[k] - o[k], high[k] - o[k]) for k in (1, 0))
                        for o in (self.origins[i], self.origins[j])
                    ]
                    self.overlaps[i, j] = cut

    def evaluate(self, parameters, prior, derivatives=True):
        """Return the `State` at ``parameters``, its fluxes the best non-negative ones.

        Without ``derivatives`` it has no gradient, and its blocks are those of the images alone: less than half of the
        work, and enough to know the objective.
        """
        bands, m = len(self.data), len(self.boxes)
        kinds = 7 if derivatives else 1
        images, weighted = [], []
        projection = np.empty((bands, m))
        for i, (box, place) in enumerate(zip(self.boxes, self.places)):
            local = parameters[i].copy()
            local[:2] -= self.origins[i]
            image = box.draw(local, derivatives=derivatives)
            image = image.reshape(bands, kinds, *image.shape[-2:])
            product = image * self.weight[:, None, place[0], place[1]]
            projection[:, i] = np.einsum("bhw,bhw->b", product[:, 0], self.data[:, place[0], place[1]])
            images.append(image)
            weighted.append(product)
        blocks = {}
        for (i, j), (own, other) in self.overlaps.items():
            whole = i == j  # then no copies
            left = (weighted[i] if whole else weighted[i][(..., *own)]).reshape(bands, kinds, -1)
            right = (images[j] if whole else images[j][(..., *other)]).reshape(bands, kinds, -1)
            blocks[i, j] = np.matmul(left, right.transpose(0, 2, 1)).astype(np.float64)
        flux = _fluxes(blocks, projection)
        residual = self.data.copy()
        for i, place in enumerate(self.places):
            residual[:, place[0], place[1]] -= flux[:, i, None, None].astype(np.float32) * images[i][:, 0]
        pull = residual * self.weight
        chi2 = float(np.vdot(pull.astype(np.float64), residual))
        penalty = float((prior.precision * (parameters - prior.centre) ** 2).sum())
        gradient = None
        if derivatives:
            gradient = np.empty((bands, m, 7))
            for i, place in enumerate(self.places):
                gradient[:, i] = np.matmul(
                    images[i].reshape(bands, 7, -1), pull[:, place[0], place[1]].reshape(bands, -1, 1)
                )[..., 0]
        return State(parameters, flux, chi2 + penalty, chi2, images, blocks, gradient)


def _fluxes(blocks, projection):
    """Solve each band's normal equations for fluxes that are not negative."""
    bands, m = projection.shape
    matrix = np.zeros((bands, m, m))
    for (i, j), block in blocks.items():
        matrix[:, i, j] = matrix[:, j, i] = block[:, 0, 0]
    norm = np.sqrt(matrix.reshape(bands, -1)[:, :: m + 1])
    seen = norm > 0
    scale = np.where(seen, norm, 1.0)
    matrix /= scale[:, :, None] * scale[:, None, :]
    # Two sources in one place: a trace of ridge shares the light between them.
    matrix.reshape(bands, -1)[:, :: m + 1] += np.where(seen, 1e-5, 1.0)
    right = np.where(seen, projection / scale, 0.0)
    flux = right / matrix[:, 0] if m == 1 else np.linalg.solve(matrix, right[..., None])[..., 0]
    for b in np.flatnonzero(flux.min(axis=1) < 0):
        flux[b] = _positive(matrix[b], right[b])
    return flux / scale


def _positive(matrix, right):
    """Minimise x M x / 2 - r x over x >= 0 by non-negative least squares on the Cholesky factor."""
    lower = np.linalg.cholesky(matrix)
    return nnls(lower.T, np.linalg.solve(lower, right))[0]


def _system(state, prior):
    """Return the Gauss-Newton matrix and right-hand side over all parameters and fluxes."""
    bands, m = state.flux.shape
    width = 6 + bands
    blocks = np.zeros((m, m, bands, 7, 7))
    for (i, j), block in state.blocks.items():
        blocks[i, j] = block
        blocks[j, i] = block.transpose(0, 2, 1)
    flux = state.flux.T
    blocks[:, :, :, 1:] *= flux[:, None, :, None, None]
    matrix = np.zeros((m, width, m, width))
    cross = blocks[:, :, :, 1:, 0].transpose(0, 3, 1, 2)
    matrix[:, :6, :, 6:] = cross
    matrix[:, 6:, :, :6] = cross.transpose(2, 3, 0, 1)
    both = (blocks[:, :, :, 1:, 1:] * flux[:, :, None, None]).sum(axis=2)
    matrix[:, :6, :, :6] = both.transpose(0, 2, 1, 3)
    band, index = np.arange(bands), np.arange(m)[:, None]
    matrix[:, 6 + band, :, 6 + band] = blocks[:, :, :, 0, 0].transpose(2, 0, 1)
    right = np.empty((m, width))
    right[:, :6] = np.matmul(state.gradient[:, :, 1:].transpose(1, 2, 0), flux[:, :, None])[..., 0]
    right[:, :6] -= prior.precision * (state.parameters - prior.centre)
    right[:, 6:] = state.gradient[:, :, 0].T
    matrix[index, np.arange(6), index, np.arange(6)] += prior.precision
    return matrix.reshape(m * width, -1), right.ravel()


def fit(window, parameters, prior, iterations, tolerance):
    """Fit one parent.

    Levenberg's damping on the scaled normal equations; a step is taken only if it lowers chi^2 plus the
    priors' terms, so more iterations never make the objective worse. Fluxes move with the shapes in the
    normal equations and are then solved exactly, not negative, at the new shapes.

    Parameters
    ----------
    window : Window
        Pixels.
    parameters : (m, 6) array
        Start.
    prior : Prior
        Also the bounds.
    iterations : int
        At most.
    tolerance : float
        Converged when an accepted step lowers the objective by less than this per source, the next one
        promises a tenth of it, or none can.

    Returns
    -------
    Outcome
    """
    state = window.evaluate(np.clip(parameters, prior.low, prior.high), prior)
    damping, converged, singular = START, False, False
    system = None
    m = len(parameters)
    used = 0
    while used < iterations:
        used += 1
        if system is None:
            system = _system(state, prior)
        step = _step(*system, damping)
        if step is None:
            singular = True
            break
        promise = step @ system[1]
        if damping <= START and promise < NEGLIGIBLE * tolerance * m:
            converged = True  # what the step promises is not worth an evaluation
            break
        step = np.clip(step.reshape(m, -1)[:, :6], -STEP, STEP)
        trial = np.clip(state.parameters + step, prior.low, prior.high)
        last = promise < tolerance * m  # most likely: then derivatives would be for nothing
        new = window.evaluate(trial, prior, derivatives=not last)
        gain = state.objective - new.objective
        if last and gain > 0:
            if gain < tolerance * m:
                new = replace(new, blocks=state.blocks, gradient=state.gradient)
            else:
                new = window.evaluate(trial, prior)
        if np.isfinite(new.objective) and gain > 0:
            state, system = new, None
            damping = max(damping / 10, 1e-4)
            if gain < tolerance * m:
                converged = True
                break
        elif damping > 1e3:
            converged = True  # no step lowers the objective
            break
        else:
            damping *= 10
    return Outcome(state, used, converged, singular)


def _step(matrix, right, damping):
    diagonal = np.diag(matrix).copy()
    diagonal[diagonal <= 0] = 1.0
    scale = np.sqrt(diagonal)
    scaled = matrix / np.outer(scale, scale)
    scaled[np.diag_indices_from(scaled)] += damping
    # LAPACK itself: systems are so small that the checks of cho_factor and cho_solve cost more than they do.
    _, step, failed = dposv(scaled, right / scale, overwrite_a=True, overwrite_b=True)
    if failed:
        return None
    step /= scale
    return step if np.isfinite(step).all() else None


def covariance(state, prior):
    """Return the covariance, (m * (6 + nbands),) * 2: per source 6 parameters, then fluxes. None: not known.

    Derivatives are those before the last step where that changed the objective by less than the tolerance of `fit`.
    """
    matrix, _ = _system(state, prior)
    diagonal = np.diag(matrix).copy()
    dead = diagonal <= 0
    diagonal[dead] = 1.0
    scale = np.sqrt(diagonal)
    scaled = matrix / np.outer(scale, scale)
    scaled[np.diag_indices_from(scaled)] += 1e-7
    try:
        inverse = np.linalg.inv(scaled) / np.outer(scale, scale)
    except np.linalg.LinAlgError:
        return None
    inverse[dead], inverse[:, dead] = np.nan, np.nan
    return inverse
