"""Simultaneous PSF fitting: every centre is a star, and all are fitted at once."""

import numpy as np

from ..config.options import Child, Count, NotNegative, Positive
from ..fitting.canvas import on_image
from ..fitting.stars import FLAGS, StarFit, StarOptions
from . import DEBLENDERS
from .base import BITS, Children


@DEBLENDERS.register("psf_fit")
class PsfFitDeblender:
    """Point sources at all centres, fitted together to the pixels of all bands.

    The position of a star is the same in all bands, with a weak prior about the given centre; fluxes are free, and
    of either sign unless a star has no positive flux in any band: it is then fitted no more and flagged NO_FLUX.
    Stars whose discs of 1.5 PSF FWHM overlap are a parent. Nothing is skipped: a parent of more than ``most``
    stars is solved iteratively instead of directly and flagged SPLIT (its errors lack the correlations between its
    parts). Pipelines that fit a parent at once or not at all would skip it: the share of children with SPLIT is
    the share of stars in *parents too large to be fitted at once*. DEGENERATE marks stars so near another
    (0.06 PSF FWHM) that only the sum of their fluxes is known; they share it.

    The child, by default, is the observed stamp minus the models of all *other* stars: the star's own light is
    not replaced by a model, and the noise stays as it is.

    Parameters
    ----------
    child : "residual", "apportion" or "model"
        See `blendimpact.fitting.canvas.Canvas.children`.
    core : float
        Radius in arcsec about the centre in which a pixel without data is flagged.
    fixed : bool
        Positions stay at the given centres: a linear fit.
    most : int
        Stars of a parent whose equations are solved at once.
    iterations : int
        At most; stars of a parent that then still moves are flagged NOT_CONVERGED: those whose own part of a step
        would lower chi^2 by ``tolerance`` or more.
    tolerance : float
        Converged when a step would lower chi^2 by less than this per star, in units of the reduced chi^2 where that
        is over 1.
    position_spread : float
        Standard deviation per axis of the prior on positions, in FWHM of the sharpest PSF.
    max_shift : float
        Largest distance from the given centre, in the same unit; there a star is flagged LIMIT. One that is drawn
        further moves along that circle only, and holds up no other.
    floor : float
        Error of the PSF, as a share of the light in a pixel, added to the noise.
    """

    def __init__(
        self,
        child: Child = "residual",
        core: NotNegative = 1.0,
        fixed: bool = StarOptions.fixed,
        most: Count = StarOptions.most,
        iterations: Count = StarOptions.iterations,
        tolerance: Positive = StarOptions.tolerance,
        position_spread: Positive = StarOptions.position_spread,
        max_shift: Positive = StarOptions.max_shift,
        floor: NotNegative = StarOptions.floor,
    ):
        self.child, self.core = child, core
        self.options = StarOptions(most, iterations, tolerance, position_spread, max_shift, fixed, floor)

    def fit(self, patch, sky, x, y):
        """Return the `StarFit` of stars at ``x``, ``y`` (pixels, finite, on the image): fluxes and their errors."""
        return StarFit(patch, sky, x, y, self.options)

    def deblend(self, patch, sky, centres, stamp_size):
        """Return the `Children` of a patch."""
        children = Children.blank(patch, centres, stamp_size)
        rows = on_image(children)
        x, y = (np.asarray(centres[name], dtype=float)[rows] for name in ("x", "y"))
        fit = self.fit(patch, sky, x, y)
        for name in FLAGS:
            children.status[rows] |= np.where(fit.flags[name], getattr(BITS, name), 0).astype(np.int32)
        children.errors = np.full((len(children), len(patch.bands) + 2), np.nan)
        children.errors[rows] = fit.errors
        return fit.canvas.children(children, rows, self.child, self.core)
