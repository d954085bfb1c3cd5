"""Fit scarlet2 scenes to all sources of a patch, parent by parent."""

from dataclasses import dataclass

import numpy as np

from .buckets import COUNTS, WIDTHS, bucket, span
from .parents import group
from .scene import Options, SceneFit

SETTLED = 1e-3  # share of the objective that the last tenth of the steps may gain, with
SETTLED_CHI2 = 1.0  # this per source


@dataclass
class ScarletOptions(Options):
    """How `ScarletFit` fits; lengths in arcsec."""

    sweeps: int = 1
    steps: int = 40  # of the free form's optimiser, first sweep; later sweeps half of it
    radii: int = 16  # of the free form
    angles: int = 8
    slope_spread: float = 1.0
    twist_spread: float = 0.3
    rate: float = 1.0


class ScarletFit(SceneFit):
    """scarlet2 models of the sources of a patch.

    As `scene.SceneFit`: the same parents, order and start, priors and attributes, but scarlet2 scenes draw the
    sources. Sersic profiles and their derivatives are drawn by one compiled program per box width and solved as
    there. Free forms of a parent are padded to a shape bucket and fitted by one compiled program; their
    ``parameters`` are the start, and covariances are not known.

    Parameters
    ----------
    patch : Patch
    sky : dict of str to (ny, nx) array
    x, y : (N,) array
        Centres in pixels, finite and on the image.
    options : ScarletOptions
    kind : "sersic" or "free"
    """

    def __init__(self, patch, sky, x, y, options, kind):
        self.kind = kind
        self._images = [None] * len(x)
        super().__init__(patch, sky, x, y, options)

    def _settings(self):
        from .template import Settings

        o, pixel = self.options, self.canvas.pixel
        free = dict(radii=o.radii, angles=o.angles, slope_spread=o.slope_spread, twist_spread=o.twist_spread)
        return Settings(self.kind, len(self.canvas.scale), self.canvas.psfs.shape[-1], o.size / pixel, o.index,
                        o.position_spread / pixel, rate=o.rate, **(free if self.kind == "free" else {}))

    def _parents(self, xy, image):
        o = self.options
        if self.kind == "sersic":
            return super()._parents(xy, image)
        return group(xy[:, 0], xy[:, 1], image, o.threshold, o.link / self.canvas.pixel,
                     min(o.most, COUNTS[-1]), span(min(o.most, COUNTS[-1])) - 1)

    def _run(self, patch, sky):
        self._program_settings = self._settings()
        self._kernels = {}
        super()._run(patch, sky)

    def _kernel(self, width):
        from .template import kernel_program

        if width not in self._kernels:
            psfs = self.canvas.psfs.astype(np.float32)
            self._kernels[width] = kernel_program(self._program_settings, width)(psfs)
        return self._kernels[width]

    def _draw(self, i):
        if self._images[i] is None:
            super()._draw(i)
            return
        width = self._images[i].shape[-1]
        x0, y0 = self._origin(i, width)
        self._show(i, (slice(y0, y0 + width), slice(x0, x0 + width)), self._images[i])

    def _fit_width(self, i, sweep):
        half = self._extent(i, self.options.edge, WIDTHS[-1]) // 2
        return next((w for w in WIDTHS if w >= 2 * half + 1), WIDTHS[-1])

    def _fit_box(self, size):
        from .template import SersicBox

        return SersicBox(self._program_settings, size, self._kernel(size))

    def _fitted(self, members, images):
        for i, image in zip(members, images):
            self._images[i] = image[:, 0].copy()

    def _fit_parent(self, k, members, seen, sweep):
        if self.kind == "sersic":
            super()._fit_parent(k, members, seen, sweep)
            return
        from .template import program

        for i in members:
            self.canvas.remove(i)
        centre = np.floor(self.positions[members] + 0.5).astype(int)
        half = max(self._fit_width(i, sweep) for i in members) // 2
        shape = bucket(half, len(members), int(np.ptp(centre, axis=0).max()))
        low = centre.min(axis=0) - shape.width // 2
        place = tuple(slice(low[j], low[j] + shape.window) for j in (1, 0))
        others = self.canvas.model[(slice(None), *place)].copy()
        weight = self.canvas.weight[(slice(None), *place)]
        if not (k in seen and self._settled(seen[k], place, others, weight, len(members))):
            start = self._stack([self._values(i, shape.width) for i in members], shape.count)
            origins = np.zeros((shape.count, 2), np.int32)
            origins[: len(members)] = centre - shape.width // 2 - low
            active = np.arange(shape.count) < len(members)
            steps = self.options.steps if sweep == 0 else self.options.steps // 2
            result = program(self._program_settings, shape)(
                start, self._kernel(shape.width), self.canvas.residual(place), weight, origins, active, steps)
            self._keep(members, weight, steps, *result)
            seen[k] = place, others, not self.flags["NOT_CONVERGED"][members[0]]
        for i in members:
            self._draw(i)

    def _values(self, i, width):
        """Return the start of one free form: a round Sersic profile."""
        from .morphologies import start_slopes

        x, y, log_r, _, _, log_n = self.parameters[i]
        x0, y0 = self._origin(i, width)
        slopes = start_slopes(np.exp(log_r), np.exp(log_n), self.options.radii, self.options.angles, width // 2)
        return {"center": np.array([y - y0, x - x0], np.float32), "slopes": slopes}

    def _stack(self, values, count):
        """Return the batch of values, absent sources as copies of the first."""
        values = values + [values[0]] * (count - len(values))
        return {name: np.stack([v[name] for v in values]) for name in values[0]}

    def _keep(self, members, weight, steps, _, flux, images, losses):
        flux, images, losses = (np.asarray(a) for a in (flux, images, losses))
        self.iterations[members] += steps
        finite = bool(np.isfinite(losses[1]) and np.isfinite(flux).all() and np.isfinite(images).all())
        self.flags["NOT_FINITE"][members] = not finite
        gain = losses[0] - losses[1]
        late = gain > SETTLED * abs(losses[1]) and gain > SETTLED_CHI2 * len(members)
        self.flags["NOT_CONVERGED"][members] = bool(late) or not finite
        if not finite:
            return
        self.chi2[members], self.pixels[members] = 2 * losses[1], int((weight > 0).sum())
        for j, i in enumerate(members):
            self._flux[i] = flux[j]
            self._images[i] = images[j]
