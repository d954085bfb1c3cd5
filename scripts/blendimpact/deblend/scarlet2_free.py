"""scarlet2 scenes of free-form morphologies: positive and monotone, one spectrum per source."""

from ..config.options import Child, Count, NotNegative, Positive, Text
from ..fitting.scarlet_plugin import Scarlet2
from ..fitting.scarlet_scene import ScarletOptions as Options
from . import DEBLENDERS


@DEBLENDERS.register("scarlet2_free")
class Scarlet2Free(Scarlet2):
    """scarlet2 sources with one spectrum and one free-form morphology each.

    The morphology is positive and falls from the centre outward along every direction, as in scarlet, by its
    parametrisation on a polar grid; no symmetry and no profile is imposed. The fit begins where that of
    ``joint_fit`` ends, whose centre it keeps, and priors hold it there where the data say nothing. The
    posterior has a maximum that more steps only approach, so that the number of steps is no hidden
    regulariser. Clumps beside the centre cannot be modelled; they stay in the child, which is the observed stamp
    minus the *other* sources' models.

    Parameters
    ----------
    child, core
        As in ``joint_fit``.
    cache : path, optional
        Directory of compiled programs, see `blendimpact.fitting.jaxenv.scarlet2`.
    steps : int
        Damped Gauss-Newton steps per source and round, at most.
    rounds : int
        Of free-form fits, after ``sweeps`` of the start.
    sweeps, threshold, link, most
        Start and parents, see `blendimpact.fitting.scene.Options`.
    radii, angles : int
        Knots of the morphology.
    slope_spread, twist_spread : float
        Standard deviations of the priors on how the logarithmic slopes depart from the start: on their mean over
        angles, and on differences between neighbouring angles.
    position_spread : float
        Prior on the centre, arcsec.
    floor : float
        As in ``joint_fit``.
    """

    environment = "scarlet"
    requires = "scarlet2"
    memory_mb = 1500
    kind = "free"

    def __init__(
        self,
        child: Child = "residual",
        core: NotNegative = 1.0,
        cache: Text | None = None,
        steps: Count = Options.steps,
        rounds: Count = Options.rounds,
        sweeps: Count = Options.sweeps,
        threshold: Positive = Options.threshold,
        link: Positive = Options.link,
        most: Count = Options.most,
        radii: Count = Options.radii,
        angles: Count = Options.angles,
        slope_spread: Positive = Options.slope_spread,
        twist_spread: Positive = Options.twist_spread,
        position_spread: Positive = Options.position_spread,
        floor: NotNegative = Options.floor,
    ):
        super().__init__(
            child,
            core,
            cache,
            Options(
                steps=steps,
                rounds=rounds,
                sweeps=sweeps,
                threshold=threshold,
                link=link,
                most=most,
                radii=radii,
                angles=angles,
                slope_spread=slope_spread,
                twist_spread=twist_spread,
                position_spread=position_spread,
                floor=floor,
            ),
        )
