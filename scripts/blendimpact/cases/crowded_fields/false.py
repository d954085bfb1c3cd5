"""False discoveries: detections that no true star explains, where all stars are known and where they are not."""

import numpy as np
from scipy.spatial import cKDTree

from ...config.settings import block_of
from ...stats.figures_of_merit import strata
from .foms import FOUND_DM, FOUND_RADIUS, MAGNITUDE_STRATA

REACH = 2.0  # arcsec: what an artificial star brings about lies within
PATCH = ["patch", "twin"]


def add(scores, pipeline, truth, settings, facts, simulated):
    """Add CF-D1.false, by measured magnitude.

    Parameters
    ----------
    scores : Scores
    pipeline : pandas.DataFrame
        Detections inside the border as the pipeline measures them: ``patch``, ``twin``, ``block``, ``x``, ``y``,
        ``mag``.
    truth : pandas.DataFrame
        All stars of a simulated sky; of a real image the artificial ones.
    settings : dict
    facts : Facts
    simulated : bool
    """
    band, radius = settings["shape_band"], FOUND_RADIUS / facts.pixel_scale
    true = is_true(pipeline, truth.assign(mag=truth[f"mag_{band}"]), radius)
    counted = np.ones(len(pipeline), bool) if simulated else brought(pipeline, truth, settings, facts)
    here = pipeline[counted]
    by = strata("magnitude", here["mag"], MAGNITUDE_STRATA)
    scores.add_fractions(
        "CF-D1.false", "pipeline", here["block"], ~true[counted], by, "own" if simulated else "brought"
    )


def brought(pipeline, targets, settings, facts):
    """Return which detections of a real image are there because of an artificial star.

    Those within `REACH` of an artificial star of their own realisation that most of the other realisations of the
    block do not have, of those without an artificial star at that place. None where there is no other realisation.
    """
    scale, out = facts.pixel_scale, np.zeros(len(pipeline), bool)
    near = within(pipeline, targets, REACH / scale)
    realisations = {}
    for key in sorted({(patch, twin) for patch, _, twin in facts.patches}):
        realisations.setdefault(block_of(settings, key[0])[0], []).append(key)
    rows = pipeline.groupby(PATCH).indices
    for keys in realisations.values():
        for key in keys:
            index = rows.get(key, np.zeros(0, int))
            index = index[near[index]]
            places = pipeline.iloc[index]
            asked, had = np.zeros((2, len(index)), int)
            for other in keys if len(index) else ():
                if other == key:
                    continue
                moved = places.assign(patch=other[0], twin=other[1])
                free = ~within(moved, targets, REACH / scale)
                theirs = pipeline.iloc[rows.get(other, np.zeros(0, int))]
                asked += free
                had += free & is_true(moved, theirs, FOUND_RADIUS / scale)
            out[index] = (asked > 0) & (2 * had < asked)
    return out


def within(found, stars, radius):
    """Return which places have a star of their patch within ``radius`` pixels."""
    return is_true(found.assign(mag=0.0), stars.assign(mag=0.0), radius)


def is_true(found, stars, radius, dm=FOUND_DM):
    """Return which detections have a star within ``radius`` (pixels) and ``dm`` (mag).

    Parameters
    ----------
    found, stars : pandas.DataFrame
        ``patch``, ``twin``, ``x``, ``y``, ``mag``; NaN: not true, and no star.

    Returns
    -------
    (N,) bool array
    """
    out = np.zeros(len(found), bool)
    known = stars[np.isfinite(stars["mag"])]
    places = known.groupby(PATCH).indices
    xy, mag = found[["x", "y"]].to_numpy(float), found["mag"].to_numpy(float)
    for key, rows in found.groupby(PATCH).indices.items():
        if key not in places:
            continue
        here = known.iloc[places[key]]
        magnitudes = here["mag"].to_numpy(float)
        near = cKDTree(here[["x", "y"]].to_numpy(float)).query_ball_point(xy[rows], radius)
        out[rows] = [bool(np.any(np.abs(magnitudes[k] - m) < dm)) for k, m in zip(near, mag[rows])]
    return out
