"""Fit scarlet2 scenes to all sources of a patch, parent by parent."""

from dataclasses import dataclass

import numpy as np

from .scene import Options, SceneFit

SETTLED = 1.0  # a free form has converged if its last step gained less, in chi^2 / 2
# Odd widths of boxes whose FFT (width + 11 pixels of model PSF + 3, rounded up) is 48, 64, 96 and 128.
WIDTHS = (33, 49, 81, 113)


@dataclass
class ScarletOptions(Options):
    """How `ScarletFit` fits; lengths in arcsec."""

    sweeps: int = 2
    rounds: int = 1  # of free forms
    steps: int = 4  # per free form and round
    radii: int = 16
    angles: int = 8
    slope_spread: float = 0.5
    twist_spread: float = 0.3


class ScarletFit(SceneFit):
    """scarlet2 models of the sources of a patch.

    Parents, order, start and priors are those of `scene.SceneFit`; scarlet2 scenes draw the sources. Sersic profiles
    and their derivatives are drawn by one compiled program per box width and solved as there. Free forms
    begin where a fit of `SceneFit` ends, and are then fitted one by one, in the order of the parents, with the
    present models of all others subtracted, by one compiled program per box width; their
    ``parameters`` are those of the start, their covariances are not known, and ``chi2`` and ``pixels``
    are those of the source's own box.

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
        return Settings(
            self.kind, len(self.canvas.scale), o.size / pixel, o.index, **(free if self.kind == "free" else {})
        )

    def _run(self, patch, sky):
        self._program_settings = self._settings()
        self._kernels = {}
        super()._run(patch, sky)
        if self.kind == "free":
            self.covariance[:] = np.nan
            brightness = -self._flux.sum(axis=1)
            for _ in range(self.options.rounds):
                for i in np.lexsort((brightness, self.parent)):
                    self._fit_free(i)
            self._judge()

    def _kernel(self, width):
        from .template import kernel_program

        if width not in self._kernels:
            psfs = self.canvas.psfs.astype(np.float32)
            self._kernels[width] = kernel_program(self._program_settings, width)(psfs)
        return self._kernels[width]

    def _place(self, i, width):
        x0, y0 = self._origin(i, width)
        return slice(y0, y0 + width), slice(x0, x0 + width)

    def _draw(self, i):
        if self._images[i] is None:
            super()._draw(i)
            return
        self._show(i, self._place(i, self._images[i].shape[-1]), self._images[i])

    def _width(self, i):
        half = self._extent(i, self.options.edge, WIDTHS[-1]) // 2
        return next((w for w in WIDTHS if w >= 2 * half + 1), WIDTHS[-1])

    def _fit_width(self, i, sweep):
        return self._width(i) if self.kind == "sersic" else super()._fit_width(i, sweep)

    def _fit_box(self, size):
        if self.kind == "free":
            return super()._fit_box(size)
        from .template import SersicBox

        return SersicBox(self._program_settings, size, self._kernel(size))

    def _fitted(self, members, images):
        if self.kind == "sersic":
            for i, image in zip(members, images):
                self._images[i] = image[:, 0].copy()

    def _fit_free(self, i):
        from .morphologies import seen_shear, start_slopes
        from .template import free_program

        if self.flags["NOT_FINITE"][i] or not (self._flux[i] > 0).any():
            return
        o = self.options
        width = self._width(i)
        x, y, log_r, eta1, eta2, log_n = self.parameters[i]
        (x0, y0), place = self._origin(i, width), self._place(i, width)
        shear = seen_shear(np.exp(log_r), (eta1, eta2))
        slopes = start_slopes(np.exp(log_r), np.exp(log_n), o.radii, o.angles, width // 2, (eta1, eta2), shear)
        start = {"center": np.array([y - y0, x - x0], np.float32), "slopes": slopes, "shear": shear.astype(np.float32)}
        self.canvas.remove(i)
        weight = self.canvas.weight[(slice(None), *place)]
        flux, image, chi2, gain = free_program(self._program_settings, width)(
            start, self._kernel(width), self.canvas.residual(place), weight, o.steps, 0.5 * o.tolerance
        )
        flux, image = np.asarray(flux), np.asarray(image)
        self.iterations[i] += o.steps
        finite = bool(np.isfinite(chi2) and np.isfinite(flux).all() and np.isfinite(image).all())
        self.flags["NOT_FINITE"][i] = not finite
        self.flags["NOT_CONVERGED"][i] = not (finite and gain < SETTLED)
        if finite:
            self._flux[i], self._images[i] = flux, image
            self.chi2[i], self.pixels[i] = float(chi2), int((weight > 0).sum())
        self._draw(i)
