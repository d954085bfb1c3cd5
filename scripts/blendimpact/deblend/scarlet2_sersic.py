"""scarlet2 scenes of Sersic profiles: the parametric configuration."""

from ..fitting.scarlet_plugin import Scarlet2
from ..fitting.scarlet_scene import ScarletOptions as Options
from . import DEBLENDERS

ENVIRONMENT = "scarlet"  # envs/scarlet.yaml, for --sdm conda
MEMORY_MB = 1500


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

    kind = "sersic"

    def __init__(self, child="residual", core=1.0, cache=None, iterations=Options.iterations, sweeps=2,
                 tolerance=Options.tolerance, threshold=Options.threshold,
                 link=Options.link, most=Options.most, size=Options.size, size_spread=Options.size_spread,
                 shape_spread=Options.shape_spread, index=Options.index, index_spread=Options.index_spread,
                 index_max=Options.index_max, position_spread=Options.position_spread, floor=Options.floor):
        super().__init__(child, core, cache, Options(
            iterations=iterations, sweeps=sweeps, tolerance=tolerance, threshold=threshold, link=link, most=most,
            size=size, size_spread=size_spread, shape_spread=shape_spread, index=index,
            index_spread=index_spread, index_max=index_max, position_spread=position_spread, floor=floor))
