"""scarlet2 scenes of Sersic profiles: the parametric configuration."""

from ..config.options import Child, Count, NotNegative, Positive, Text
from ..fitting.scarlet_plugin import Scarlet2
from ..fitting.scarlet_scene import ScarletOptions as Options
from . import DEBLENDERS


@DEBLENDERS.register("scarlet2_sersic")
class Scarlet2Sersic(Scarlet2):
    """scarlet2 sources with one elliptical Sersic profile each, down to a point source.

    Parents, priors, solver and children are those of ``joint_fit``; the sources are scarlet2's: a `scarlet2.Source`
    with a Sersic morphology, drawn at the resolution of the model frame and brought to that of the observation by
    the difference-kernel renderer. One program per box width draws a source and its derivatives. A step that
    does not raise the posterior is not taken, so more steps do no harm.

    Parameters
    ----------
    child, core
        As in ``joint_fit``.
    cache : path, optional
        Directory of compiled programs, see `blendimpact.fitting.jaxenv.scarlet2`.
    iterations, sweeps, tolerance, threshold, link, most
        Effort and parents, see `blendimpact.fitting.scene.Options`.
    size, size_spread, shape_spread, index, index_spread, index_max, position_spread
        Priors, see there.
    floor
        As in ``joint_fit``.
    """

    environment = "scarlet"
    requires = "scarlet2"
    memory_mb = 1500
    kind = "sersic"

    def __init__(
        self,
        child: Child = "residual",
        core: NotNegative = 1.0,
        cache: Text | None = None,
        iterations: Count = Options.iterations,
        sweeps: Count = 2,
        tolerance: Positive = Options.tolerance,
        threshold: Positive = Options.threshold,
        link: Positive = Options.link,
        most: Count = Options.most,
        size: Positive = Options.size,
        size_spread: Positive = Options.size_spread,
        shape_spread: Positive = Options.shape_spread,
        index: Positive = Options.index,
        index_spread: Positive = Options.index_spread,
        index_max: Positive = Options.index_max,
        position_spread: Positive = Options.position_spread,
        floor: NotNegative = Options.floor,
    ):
        super().__init__(
            child,
            core,
            cache,
            Options(
                iterations=iterations,
                sweeps=sweeps,
                tolerance=tolerance,
                threshold=threshold,
                link=link,
                most=most,
                size=size,
                size_spread=size_spread,
                shape_spread=shape_spread,
                index=index,
                index_spread=index_spread,
                index_max=index_max,
                position_spread=position_spread,
                floor=floor,
            ),
        )
