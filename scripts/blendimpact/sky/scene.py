"""The sources of a patch before shear: which galaxies and stars, where, and what they look like.

Every property of a source belongs to its candidate (see `positions`), so neither the density nor the
magnitude limits nor the bands change a source that is there anyway.
"""

import numpy as np
from astropy.table import Table

from ..config.sky import Galaxies
from ..errors import StudyError
from ..populations import galaxy_counts
from ..populations.isochrone import Stars
from ..populations.trilegal import STAR_DENSITY
from ..stats.streams import stream
from .half_light import half_light_radius
from .positions import DENSITY_MAX, draw_positions

GALAXIES = Galaxies()
"""Defaults. Sources brighter than ``mag_min`` saturate, are masked by surveys, and fill a small patch; the mean light
of what is fainter than ``mag_max`` is 29.1 mag/arcsec2, taken as part of the sky."""
STARS_MAX = 4e7
"""Stars per deg2, however faint, at which fields of an isochrone are drawn before they are thinned: about ten times
the bulge in Baade's window."""
STAR_IDS = 10_000_000
"""``source_id`` of a star is this plus its number; that of a galaxy is its number. Both begin at 1."""
_WINDOW = 40  # catalogue galaxies next in magnitude among which one is picked
_WINDOW_CLUSTERED = 400  # and among which the one nearest in redshift to its cluster is


def draw_scene(options, half, seed, case, index, galaxies, stars, bands, reference):
    """Draw the sources of a patch.

    Parameters
    ----------
    options : dict
        The ``population`` of the settings.
    half : float
        Half the side (arcsec) of the square in which sources are drawn.
    seed : int
        Seed of the study.
    case, index : str, int
        Case and number of the patch, which with the seed name the streams.
    galaxies, stars : astropy.table.Table
        From `cosmodc2.build_galaxies`, and from `trilegal.build_stars` or, where
        ``population.stars.kind`` is "isochrone", `isochrone.build_isochrone`.
    bands : list of str
        Bands, of ugrizy.
    reference : str
        Band of the half-light radius of the whole source, and of the magnitudes of isochrone stars.

    Returns
    -------
    astropy.table.Table
        Profiles as in the truth; ``dx``, ``dy`` are arcsec from the centre.
    """
    if options.get("stars", {}).get("kind", "trilegal") == "isochrone":
        drawn = _draw_isochrone(options["stars"], half, seed, case, index, stars, bands, reference)
    else:
        drawn = _draw_stars(options, half, seed, case, index, stars, bands)
    parts = [_draw_galaxies(options, half, seed, case, index, galaxies, bands, reference), drawn]
    for name in parts[0].keys() - parts[1].keys():  # stars have no knots
        parts[1][name] = np.zeros(len(parts[1]["source_id"]), parts[0][name].dtype)
    scene = Table({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    for name in ("trail_length", "trail_angle"):
        scene[name] = np.nan
    scene["stamp"] = ""
    return scene


def _limits(options, kind):
    density = options.get("density", GALAXIES.density)
    low, high = options.get("mag_min", GALAXIES.mag_min), options.get("mag_max", GALAXIES.mag_max)
    where = f"population.{kind}"
    if not 0 <= density <= DENSITY_MAX:
        raise StudyError(f"density {density}", where, f"give a factor from 0 to {DENSITY_MAX}")
    if not low < high <= galaxy_counts.FAINTEST:
        raise StudyError(f"magnitudes {low} to {high}", where, f"mag_min < mag_max <= {galaxy_counts.FAINTEST}")
    return density, low, high


def _draw_galaxies(options, half, seed, case, index, galaxies, bands, reference):
    chosen = options.get("galaxies", {})
    density, low, high = _limits(chosen, "galaxies")
    key = (case, index, "galaxies")
    places = draw_positions(
        options.get("positions", {}).get("kind", "random"),
        dict(options.get("positions", {})),
        float(galaxy_counts.counts(galaxy_counts.FAINTEST)) / 3600,
        half,
        seed,
        *key,
    )
    number = len(places)
    # Magnitudes and profiles belong to the candidate, whatever the limits and the density.
    draws = stream(seed, *key, "profiles").uniform(size=(number, 3))
    i = galaxy_counts.magnitude_at(np.maximum(draws[:, 0], 1e-12))
    keep = np.flatnonzero((places.rank < density / DENSITY_MAX) & (i >= low) & (i < high))
    i, draws = i[keep], draws[keep]
    cluster = places.cluster[keep]
    pick = _pick(galaxies, i, draws[:, 1], cluster, places.cluster, seed, key)

    dimming = i - np.asarray(galaxies["mag_i"])[pick]
    factor = chosen.get("size_factor", GALAXIES.size_factor) * 10 ** (galaxy_counts.SIZE_SLOPE * dimming)
    angle = np.pi * draws[:, 2]
    out = {
        "source_id": keep + 1,
        "kind": np.full(len(keep), "galaxy"),
        "dx": places.x[keep],
        "dy": places.y[keep],
        "cluster": cluster,
        "redshift": np.asarray(galaxies["redshift"])[pick],
        "evolution": np.full(len(keep), ""),
    }
    for part in ("bulge", "disk"):
        q = np.asarray(galaxies[f"q_{part}"])[pick]
        g = (1 - q) / (1 + q)
        out[f"hlr_{part}"] = np.asarray(galaxies[f"hlr_{part}"])[pick] * factor
        out[f"n_{part}"] = np.asarray(galaxies[f"n_{part}"])[pick]
        out[f"g1_{part}"], out[f"g2_{part}"] = g * np.cos(2 * angle), g * np.sin(2 * angle)
    for band in bands:
        out[f"mag_{band}"] = np.asarray(galaxies[f"mag_{band}"])[pick] + dimming
        out[f"flux_{band}"] = 10 ** (-0.4 * (out[f"mag_{band}"] - 31.4))
        out[f"bulge_fraction_{band}"] = np.asarray(galaxies[f"bulge_fraction_{band}"])[pick]
    if knots := chosen.get("knots", GALAXIES.knots):
        out["knots"] = np.full(len(keep), float(knots))
        # Of every candidate, as all else: no limit or density moves the knots of a galaxy.
        out["knots_seed"] = stream(seed, *key, "knots").integers(2**31, size=number)[keep]
    out["hlr"] = half_light_radius(
        np.asarray(galaxies[f"bulge_fraction_{reference}"])[pick], out["hlr_bulge"], out["hlr_disk"]
    )
    return out


def _pick(galaxies, i, draw, cluster, clusters, seed, key):
    """Return for each source the row of a galaxy of about its magnitude, and its cluster's redshift."""
    magnitude, redshift = np.asarray(galaxies["mag_i"]), np.asarray(galaxies["redshift"])
    near = np.searchsorted(magnitude, i)

    def window(width):
        return np.clip(near - width // 2, 0, max(len(magnitude) - width, 0)), min(width, len(magnitude))

    start, width = window(_WINDOW)
    pick = start + (draw * width).astype(int)
    member = np.flatnonzero(cluster >= 0)
    if len(member):
        rng = stream(seed, *key, "clusters")
        host = redshift[rng.integers(0, np.searchsorted(magnitude, galaxy_counts.COMPLETE) or 1, clusters.max() + 1)]
        start, width = window(_WINDOW_CLUSTERED)
        rows = start[member, None] + np.arange(width)
        away = np.abs(redshift[rows] - host[cluster[member], None])
        # Of the closest in redshift the draw chooses one, so that members are not copies.
        best = np.argsort(away, axis=1)[:, :4]
        pick[member] = np.take_along_axis(rows, best, axis=1)[
            np.arange(len(member)), (draw[member] * best.shape[1]).astype(int)
        ]
    return pick


def _draw_stars(options, half, seed, case, index, stars, bands):
    chosen = options.get("stars", {})
    density, low, high = _limits(chosen, "stars")
    magnitude = np.asarray(stars["mag_i"])
    to_25 = np.count_nonzero(magnitude < 25.0)
    fiducial = STAR_DENSITY * len(magnitude) / max(to_25, 1) / 3600
    key = (case, index, "stars")
    places = draw_positions("random", {}, fiducial, half, seed, *key)
    draw = stream(seed, *key, "profiles").uniform(size=len(places))
    pick = (draw * len(magnitude)).astype(int)
    i = magnitude[pick] if len(magnitude) else np.zeros(0)
    keep = np.flatnonzero((places.rank < density / DENSITY_MAX) & (i >= low) & (i < high))
    magnitudes = {band: np.asarray(stars[f"mag_{band}"])[pick[keep]] for band in bands}
    return _star_rows(places, keep, magnitudes, np.full(len(keep), ""))


def _draw_isochrone(options, half, seed, case, index, table, bands, reference):
    """Draw stars of an isochrone: Poisson, a sparser field a subset of a denser one.

    ``surface_density`` counts the stars brighter than ``limit`` in the reference band, those brighter than
    ``mag_min`` included, although they are not drawn.
    """
    where = "population.stars"
    stars = Stars(table, options)
    low, high = options.get("mag_min", -np.inf), options.get("mag_max", np.inf)
    if not low < high:
        raise StudyError(f"magnitudes {low} to {high}", where, "mag_min < mag_max")
    counted = stars.fraction_brighter(options["limit"], reference)
    if not counted > 0:
        raise StudyError(
            f"no star of the isochrone is brighter than {options['limit']} in {reference}",
            f"{where}.limit",
            "give a fainter limit, or a smaller distance_modulus or reddening",
        )
    share = options["surface_density"] / counted / STARS_MAX
    if not 0 <= share <= 1:
        raise StudyError(
            f"{options['surface_density']:g} stars per deg2 to {options['limit']} are "
            f"{share * STARS_MAX:.3g} to the faintest",
            f"{where}.surface_density",
            f"ask for at most {counted * STARS_MAX:.3g} to this limit",
        )
    key = (case, index, "isochrone")
    places = draw_positions("random", {}, STARS_MAX / DENSITY_MAX / 3600**2, half, seed, *key)
    # Magnitudes belong to the candidate, whatever the limits and the density.
    rank = stream(seed, *key, "stars").uniform(size=len(places))
    there = np.flatnonzero(places.rank < share)
    magnitudes, evolution = stars.at_rank(rank[there], dict.fromkeys([*bands, reference]))
    within = (magnitudes[reference] >= low) & (magnitudes[reference] < high)
    return _star_rows(places, there[within], {band: magnitudes[band][within] for band in bands}, evolution[within])


def _star_rows(places, keep, magnitudes, evolution):
    """Return the truth columns of the candidates ``keep``, {name: array}."""
    out = {
        "source_id": STAR_IDS + keep + 1,
        "kind": np.full(len(keep), "star"),
        "dx": places.x[keep],
        "dy": places.y[keep],
        "cluster": np.full(len(keep), -1),
        "redshift": np.zeros(len(keep)),
        "evolution": evolution,
        "hlr": np.zeros(len(keep)),
    }
    for name in ("hlr", "n", "g1", "g2"):
        for part in ("bulge", "disk"):
            out[f"{name}_{part}"] = np.full(len(keep), np.nan)
    for band, mag in magnitudes.items():
        out[f"mag_{band}"] = mag
        out[f"flux_{band}"] = 10 ** (-0.4 * (mag - 31.4))
        out[f"bulge_fraction_{band}"] = np.full(len(keep), np.nan)
    return out
