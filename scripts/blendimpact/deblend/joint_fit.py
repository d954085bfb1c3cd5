"""Joint fit of Sersic profiles and point sources to all sources of a blend, in all bands."""

import numpy as np

from ..config.options import Child, Count, NotNegative, Positive
from ..fitting.canvas import on_image
from ..fitting.scene import FLAGS, Options, SceneFit
from . import DEBLENDERS
from .base import BITS, Children


@DEBLENDERS.register("joint_fit")
class JointFit:
    """One elliptical Sersic profile per source, from which a point source is the limit of vanishing size.

    Position, size, shape and Sersic index are the same in all bands, fluxes are free and not negative.
    Centres in one footprint of the multi-band detection image are a parent. Each parent's sources are fitted
    together to the pixels of all bands by damped Gauss-Newton with weak priors, the models of all other
    sources subtracted, in up to ``sweeps`` rounds. A parent of more than ``most`` sources is split and
    flagged SPLIT.

    The child, by default, is the observed stamp minus the models of all *other* sources: the source's own
    light is not replaced by a model, and the noise stays as it is.

    Parameters
    ----------
    child : "residual", "apportion" or "model"
        See `blendimpact.fitting.canvas.Canvas.children`.
    core : float
        Radius in arcsec about the centre in which a pixel without data is flagged.
    threshold, link, most, sweeps, iterations, tolerance
        Parents and effort, see `blendimpact.fitting.scene.Options`.
    size, size_spread, shape_spread, index, index_spread, index_max, position_spread
        Priors, see there.
    floor : float
        Error of the models themselves, as a share of the light in a pixel, added to the noise: no profile
        describes the core of a bright galaxy to its noise, and its neighbours must not pay for that.
    """

    def __init__(
        self,
        child: Child = "residual",
        core: NotNegative = 1.0,
        threshold: Positive = Options.threshold,
        link: Positive = Options.link,
        most: Count = Options.most,
        sweeps: Count = Options.sweeps,
        iterations: Count = Options.iterations,
        tolerance: Positive = 0.1,
        size: Positive = Options.size,
        size_spread: Positive = Options.size_spread,
        shape_spread: Positive = Options.shape_spread,
        index: Positive = Options.index,
        index_spread: Positive = Options.index_spread,
        index_max: Positive = Options.index_max,
        position_spread: Positive = Options.position_spread,
        floor: NotNegative = Options.floor,
    ):
        self.child, self.core = child, core
        self.options = Options(
            threshold,
            link,
            most,
            sweeps,
            iterations,
            tolerance,
            size,
            size_spread,
            shape_spread,
            index,
            index_spread,
            index_max,
            position_spread,
            floor,
        )

    def fit(self, patch, sky, x, y):
        """Return the `SceneFit` of sources at ``x``, ``y`` (pixels, finite, on the image)."""
        return SceneFit(patch, sky, x, y, self.options)

    def deblend(self, patch, sky, centres, stamp_size):
        """Return the `Children` of a patch."""
        children = Children.blank(patch, centres, stamp_size)
        rows = on_image(children)
        x, y = (np.asarray(centres[name], dtype=float)[rows] for name in ("x", "y"))
        fit = self.fit(patch, sky, x, y)
        for name in FLAGS:
            children.status[rows] |= np.where(fit.flags[name], getattr(BITS, name), 0).astype(np.int32)
        return fit.canvas.children(children, rows, self.child, self.core)
