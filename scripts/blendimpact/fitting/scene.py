"""Fit Sersic models to all sources of a patch, parent by parent."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from scipy import ndimage

from . import newton
from .canvas import Canvas
from .parents import group, significance
from .sersic import INDEX_RANGE, Box, reach

SIZES = (24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)  # boxes: fast for the FFT
LARGEST_FIT = 128
PAD = SIZES[-1] // 2 + 2
FLAGS = ("NOT_CONVERGED", "SPLIT", "SINGULAR", "NO_FLUX", "LIMIT", "POOR_FIT", "NOT_FINITE")
SLOPE = 2.3  # bound of the conformal shear's components: axis ratio 0.1
FOOTPRINT = 2.5  # standard deviations of the detection image: how far a source's light is seen
POOR = 2.0  # reduced chi^2 in the core


@dataclass
class Options:
    """How `SceneFit` fits; lengths in arcsec."""

    threshold: float = 6.0  # of parents, standard deviations of the PSF-smoothed detection image
    link: float = 1.6  # centres closer than this share a parent
    most: int = 8  # sources per parent
    sweeps: int = 3
    iterations: int = 7  # per parent and sweep
    tolerance: float = 0.3  # in chi^2 per source
    size: float = 0.3  # prior on the half-light radius: median
    size_spread: float = 0.6  # and standard deviation of its ln
    shape_spread: float = 0.5  # of each component of the conformal shear
    index: float = 1.3
    index_spread: float = 0.4  # of ln n
    index_max: float = 5.0
    position_spread: float = 0.07
    floor: float = 0.05  # error of the models themselves, as a share of the light in a pixel
    edge: float = 0.3  # fit box ends where the source is below this many sky sigmas per pixel
    faint: float = 0.03  # models end there


class SceneFit:
    """Joint models of the sources of a patch.

    Parents are fitted one at a time, brightest first, each jointly over its members and all bands, with the
    present models of all other sources subtracted; then again (``sweeps``), but only where the surroundings
    have changed or the fit has not converged. Other sources enter a parent's result only through their light
    in its window.

    Parameters
    ----------
    patch : Patch
    sky : dict of str to (ny, nx) array
    x, y : (N,) array
        Centres in pixels, finite and on the image.
    options : Options

    Attributes
    ----------
    canvas : Canvas
        Holds the models.
    parameters : (N, 6) array
        `sersic.PARAMETERS`, positions in pixels of the patch.
    flux : (N, nbands) array
        Total fluxes in the unit of each band.
    covariance : (N, 6 + nbands, 6 + nbands) array
        Of parameters and fluxes, marginal over the parent's other sources, priors included. NaN: not known.
    chi2, pixels : (N,) array
        Of the parent's window, all bands: chi^2, and pixels with data.
    iterations : (N,) int array
    parent : (N,) int array
    flags : dict of str to (N,) bool array
        One array per name in `FLAGS`.
    """

    def __init__(self, patch, sky, x, y, options=None):
        self.options = options or Options()
        self.canvas = Canvas(patch, sky, PAD, self.options.floor)
        n, bands = len(x), len(patch.bands)
        self.positions = np.c_[x, y].astype(float).reshape(n, 2) + PAD
        self._flux = np.zeros((n, bands))
        self._states = {}
        self.chi2, self.pixels = np.zeros(n), np.zeros(n, dtype=int)
        self.iterations, self.parent = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
        self.flags = {name: np.zeros(n, dtype=bool) for name in FLAGS}
        self._boxes = {}
        self._prior()
        if n:
            self._run(patch, sky)
        self.parameters[:, :2] -= PAD
        self.flux = self._flux * self.canvas.scale

    @cached_property
    def covariance(self):
        """Return the covariance of parameters and fluxes, worked out when first asked for."""
        n, bands = self._flux.shape
        width = 6 + bands
        units = np.r_[np.ones(6), self.canvas.scale]
        result = np.full((n, width, width), np.nan)
        for members, state, prior in self._states.values():
            joint = newton.covariance(state, prior)
            if joint is not None:
                for j, i in enumerate(members):
                    own = slice(j * width, (j + 1) * width)
                    result[i] = joint[own, own] * np.outer(units, units)
        return result

    @property
    def flux_covariance(self):
        """Covariance of the fluxes, (N, nbands, nbands), marginal over shapes and neighbours."""
        return self.covariance[:, 6:, 6:]

    def _run(self, patch, sky):
        o = self.options
        image = significance(patch, sky)
        xy = self.positions - PAD
        column, row = np.floor(xy.T + 0.5).astype(int)
        depth = ndimage.distance_transform_edt(image > FOOTPRINT)[row, column]
        self._fit_size = np.array([_size(d + 2 * self.canvas.fwhm, LARGEST_FIT) for d in depth])
        order = np.argsort(-image[row, column], kind="stable")
        self._start(order)
        parents = self._parents(xy, image)
        rank = np.argsort(order)
        parents.sort(key=lambda parent: rank[parent.members].min())
        for k, parent in enumerate(parents):
            # Sums are taken in an order that does not depend on that of the centres.
            parent.members = parent.members[np.argsort(rank[parent.members])]
            self.parent[parent.members] = k
            self.flags["SPLIT"][parent.members] = parent.split
        seen = {}
        for sweep in range(o.sweeps):
            for k, parent in enumerate(parents):
                if sweep < 2 or self.flags["NOT_CONVERGED"][parent.members[0]]:
                    self._fit_parent(k, parent.members, seen, sweep)
        self._judge()

    def _parents(self, xy, image):
        o = self.options
        return group(xy[:, 0], xy[:, 1], image, o.threshold, o.link / self.canvas.pixel, o.most)

    def _prior(self):
        o, n = self.options, len(self.positions)
        pixel = self.canvas.pixel
        spread = np.array(
            [o.position_spread / pixel] * 2 + [o.size_spread, o.shape_spread, o.shape_spread, o.index_spread]
        )
        centre = np.tile([0, 0, np.log(o.size / pixel), 0, 0, np.log(o.index)], (n, 1))
        low = np.tile([0, 0, np.log(0.02 / pixel), -SLOPE, -SLOPE, np.log(INDEX_RANGE[0])], (n, 1))
        high = np.tile([0, 0, np.log(10.0 / pixel), SLOPE, SLOPE, np.log(o.index_max)], (n, 1))
        for array, sign in ((centre, 0), (low, -1), (high, 1)):
            array[:, :2] = self.positions + sign * 5 * spread[:2]
        self._priors = newton.Prior(centre, np.tile(spread**-2.0, (n, 1)), low, high)
        self.parameters = centre.copy()

    def _box(self, size):
        if size not in self._boxes:
            self._boxes[size] = Box(int(size), self.canvas.psfs)
        return self._boxes[size]

    def _origin(self, i, size):
        return np.floor(self.positions[i] + 0.5).astype(int) - size // 2

    def _profile(self, i, parameters, size):
        """Return where a source's box is, and its unit-flux image in it."""
        x0, y0 = self._origin(i, size)
        image = self._box(size).draw(parameters - np.array([x0, y0, 0, 0, 0, 0]))
        return (slice(y0, y0 + size), slice(x0, x0 + size)), image

    def _show(self, i, place, image):
        self.canvas.add(i, place, image * self._flux[i][:, None, None].astype(np.float32))

    def _start(self, order):
        """Give every source a first size and flux: the best of a few round profiles, brightest first."""
        trials = np.log(np.array([0.1, 0.3, 0.8]) / self.canvas.pixel)
        drawn = {}
        for i in order:
            size = self._fit_size[i]
            x0, y0 = self._origin(i, size)
            place = slice(y0, y0 + size), slice(x0, x0 + size)
            x, y = self._priors.centre[i, :2] - (x0, y0)
            images = self._box(size).draw_round(x, y, trials, self._priors.centre[i, 5])
            weight = self.canvas.weight[(slice(None), *place)]
            norm = np.einsum("bthw,bthw,bhw->bt", images, images, weight)
            drawn[i] = place, images, weight, norm
        for _ in range(2):
            for i in order:
                self.canvas.remove(i)
                place, images, weight, norm = drawn[i]
                pull = weight * self.canvas.residual(place)
                top = np.maximum(np.einsum("bthw,bhw->bt", images, pull), 0)
                flux = np.divide(top, norm, out=np.zeros_like(top), where=norm > 0)
                best = np.argmax((flux * top).sum(axis=0))
                self.parameters[i] = self._priors.centre[i]
                self.parameters[i, 2] = trials[best]
                self._flux[i] = flux[:, best]
                self._show(i, place, images[:, best])

    def _draw(self, i):
        self._show(i, *self._profile(i, self.parameters[i], self._extent(i, self.options.faint, SIZES[-1])))

    def _extent(self, i, level, most):
        axis_ratio = np.exp(-np.hypot(*self.parameters[i, 3:5]))
        radius = reach(self._flux[i].max(), self.parameters[i, 2], self.parameters[i, 5], level)
        return _size(np.hypot(radius / np.sqrt(axis_ratio), 2.5 * self.canvas.fwhm), most)

    def _fit_width(self, i, sweep):
        """Return the width of the box in which a source is fitted."""
        if sweep:
            self._fit_size[i] = self._extent(i, self.options.edge, LARGEST_FIT)
        return self._fit_size[i]

    def _fit_box(self, size):
        """Return what draws a source and its derivatives in a box of ``size``."""
        return self._box(size)

    def _fit_parent(self, k, members, seen, sweep):
        sizes = np.array([self._fit_width(i, sweep) for i in members])
        origins = np.array([self._origin(i, s) for i, s in zip(members, sizes)])
        low, high = origins.min(axis=0), (origins + sizes[:, None]).max(axis=0)
        place = slice(low[1], high[1]), slice(low[0], high[0])
        for i in members:
            self.canvas.remove(i)
        others = self.canvas.model[(slice(None), *place)].copy()
        weight = self.canvas.weight[(slice(None), *place)]
        if not (k in seen and self._settled(seen[k], place, others, weight, len(members))):
            data = self.canvas.residual(place)
            try:
                self._solve(k, members, data, weight, sizes, origins, low)
            except (np.linalg.LinAlgError, RuntimeError, ValueError):
                self.flags["SINGULAR"][members] = self.flags["NOT_CONVERGED"][members] = True
            seen[k] = place, others, not self.flags["NOT_CONVERGED"][members[0]]
        for i in members:
            self._draw(i)

    def _settled(self, seen, place, others, weight, count):
        """Whether a parent has converged, in no smaller window, and its surroundings have hardly changed since."""
        (rows, columns), before, converged = seen
        if not (converged and _inside(place[0], rows) and _inside(place[1], columns)):
            return False
        own = (slice(new.start - old.start, new.stop - old.start) for new, old in zip(place, (rows, columns)))
        change = others - before[(slice(None), *own)]
        return float((change * change * weight).sum()) < self.options.tolerance * count

    def _solve(self, k, members, data, weight, sizes, origins, low):
        shift = np.array([low[0], low[1], 0, 0, 0, 0])
        window = newton.Window(data, weight, [self._fit_box(s) for s in sizes], origins - low)
        prior = newton.Prior(*(getattr(self._priors, f.name)[members] for f in fields(newton.Prior)))
        for name in ("centre", "low", "high"):
            setattr(prior, name, getattr(prior, name) - shift)
        outcome = newton.fit(
            window, self.parameters[members] - shift, prior, self.options.iterations, self.options.tolerance
        )
        state = outcome.state
        self.iterations[members] += outcome.iterations
        finite = np.isfinite(state.objective)
        self.flags["NOT_FINITE"][members] = not finite
        self.flags["NOT_CONVERGED"][members] = not (outcome.converged and finite)
        self.flags["SINGULAR"][members] = outcome.singular
        if not finite:
            return
        self.parameters[members] = state.parameters + shift
        self._flux[members] = state.flux.T
        self._fitted(members, state.images)
        self.chi2[members], self.pixels[members] = state.chi2, int((weight > 0).sum())
        self._states[k] = members, replace(state, images=[]), prior

    def _fitted(self, members, images):
        """Take note of the images that were fitted, for those who draw them no more."""

    def _judge(self):
        p, prior = self.parameters, self._priors
        at = (p <= prior.low + 1e-6) | (p >= prior.high - 1e-6)
        at[:, 2] &= p[:, 2] > prior.centre[:, 2]  # a point source is no failure
        self.flags["LIMIT"] = at.any(axis=1)
        self.flags["NO_FLUX"] = ~(self._flux > 0).any(axis=1)
        half = max(1, round(self.canvas.fwhm / 2))
        for i in range(len(p)):
            x, y = np.floor(self.positions[i] + 0.5).astype(int)
            place = slice(y - half, y + half + 1), slice(x - half, x + half + 1)
            weight = self.canvas.noise_weight[(slice(None), *place)]
            chi2 = float((self.canvas.residual(place) ** 2 * weight).sum())
            self.flags["POOR_FIT"][i] = chi2 > POOR * (weight > 0).sum()


def _inside(inner, outer):
    return outer.start <= inner.start and inner.stop <= outer.stop


def _size(half, most):
    """Return the smallest box that reaches ``half`` pixels from its centre, at most ``most``."""
    return next((s for s in SIZES if s >= 2 * half or s >= most), SIZES[-1])
