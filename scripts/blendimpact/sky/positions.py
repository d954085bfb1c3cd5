"""Where the sources of a patch are: at random, or clustered with a known correlation function.

Every process is drawn at `DENSITY_MAX` times the fiducial density. Each candidate has a rank, uniform
in (0, 1), and a sky of density f is the candidates of rank < f / `DENSITY_MAX`: the sources of a
sparser sky are a subset of those of a denser one, at the same places. Thinning at random changes no
correlation function.
"""

from dataclasses import dataclass

import numpy as np

from ..config.sky import Positions as Options
from ..errors import StudyError
from ..stats.streams import stream

DENSITY_MAX = 4.0
CLUSTERED = {name: value for name, value in Options().plain().items() if name != "kind"}
"""Defaults of the clustered positions. Slope: measured for 18.5 < I < 24 (McCracken et al. 2001, who find
0.6 for fainter samples). Amplitude: w at 1 arcsec, the order of what measurements at i < 25 give when their
power law at 1 arcmin is continued inwards; adopted, to be varied."""
_SCALES = 7


@dataclass
class Positions:
    """Candidates in a square about the origin.

    Attributes
    ----------
    x, y : (N,) arrays
        Arcsec from the centre.
    rank : (N,) array
        A sky of density f holds the candidates of rank < f / `DENSITY_MAX`.
    cluster : (N,) int array
        Number of the cluster that a candidate belongs to, -1 if none.
    """

    x: np.ndarray
    y: np.ndarray
    rank: np.ndarray
    cluster: np.ndarray

    def __len__(self):
        return len(self.x)


def draw_positions(kind, options, density, half_side, seed, *key):
    """Draw the candidates of one patch.

    Parameters
    ----------
    kind : str
        "random" or "clustered".
    options : dict
        Of the clustered ones, those of `CLUSTERED`: ``amplitude`` and ``slope`` of
        w(theta) = amplitude (theta / arcsec)^-slope, which holds to 25 % from ``theta_min`` to
        ``theta_max`` / 4 (arcsec); w is flat below and falls off above, like a Gaussian in the end.
    density : float
        Fiducial number per arcsec^2 (factor 1).
    half_side : float
        Half the side of the square (arcsec).
    seed, *key
        Name of the streams (see `stats.streams.stream`).

    Raises
    ------
    StudyError
        If the kind or an option is unknown, or no such clustering exists.
    """
    total = DENSITY_MAX * density
    if kind == "random":
        rng = stream(seed, *key, "positions")
        number = rng.poisson(total * (2 * half_side) ** 2)
        place = rng.uniform(-half_side, half_side, (number, 2))
        x, y, cluster = place[:, 0], place[:, 1], np.full(number, -1)
    elif kind == "clustered":
        _known(options)
        x, y, cluster = _clustered({**CLUSTERED, **options}, total, half_side, stream(seed, *key, "positions"))
    else:
        raise StudyError(
            f"positions of kind {kind!r} are not known", "population.positions.kind", "choose random or clustered"
        )
    rank = stream(seed, *key, "rank").uniform(size=len(x))
    return Positions(x, y, rank, cluster)


def correlation(theta, options=None):
    """Return the angular correlation function of the clustered positions in closed form.

    Clusters (a Neyman-Scott process) are Poisson with density kappa; each has a Poisson number of
    members, Gaussian about its centre with one of the scales s_k, chosen with probability p_k. Then
    w(theta) = sum_k p_k exp(-theta^2 / 4 s_k^2) / (4 pi s_k^2 kappa), whatever the number of members.
    With s_k spaced evenly in the logarithm and p_k proportional to s_k^(2 - slope) that is a power law.

    Parameters
    ----------
    theta : array_like
        Arcsec.
    options : dict, optional
        As in `draw_positions`.
    """
    scales, weights, kappa = _process({**CLUSTERED, **(options or {})})
    return _pairs(np.asarray(theta, dtype=float), scales, weights) / kappa


def _known(options):
    unknown = sorted(set(options) - set(CLUSTERED) - {"kind"})
    if unknown:
        raise StudyError(
            f"unknown option {', '.join(unknown)}", "population.positions", f"known are: {', '.join(CLUSTERED)}"
        )


def _pairs(theta, scales, weights):
    four = 4 * scales**2
    return (weights / (np.pi * four) * np.exp(-(theta[..., None] ** 2) / four)).sum(axis=-1)


def _process(options):
    """Return scales (arcsec), their probabilities, and the density of clusters (arcsec^-2)."""
    low, high, slope = options["theta_min"], options["theta_max"], options["slope"]
    if not (0 < 4 * low < high and 0 < slope < 2 and options["amplitude"] > 0):
        raise StudyError(
            f"no clustering has {options}",
            "population.positions",
            "give amplitude > 0, 0 < slope < 2 and theta_min > 0, theta_max > 4 theta_min",
        )
    scales = 0.5 * np.geomspace(low, high, _SCALES)
    weights = scales ** (2 - slope)
    weights /= weights.sum()
    theta = np.geomspace(low, high / 4, 50)  # where the power law is to be followed
    ratio = _pairs(theta, scales, weights) / (options["amplitude"] * theta**-slope)
    return scales, weights, float(np.exp(np.log(ratio).mean()))


def _clustered(options, density, half_side, rng):
    scales, weights, kappa = _process(options)
    reach = half_side + 4 * scales.max()
    clusters = rng.poisson(kappa * (2 * reach) ** 2)
    centre = rng.uniform(-reach, reach, (clusters, 2))
    scale = rng.choice(scales, size=clusters, p=weights)
    members = rng.poisson(density / kappa, size=clusters)
    cluster = np.repeat(np.arange(clusters), members)
    place = centre[cluster] + scale[cluster, None] * rng.standard_normal((len(cluster), 2))
    inside = (np.abs(place) < half_side).all(axis=1)
    return place[inside, 0], place[inside, 1], cluster[inside]
