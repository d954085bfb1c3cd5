"""The neighbour of each true source that matters most."""

import numpy as np
from scipy.spatial import cKDTree


def nearest_neighbour(truth, band, pixel_scale, ratio=1.0, most=12):
    """Return the nearest source whose flux exceeds ``ratio`` times a source's own.

    Parameters
    ----------
    truth : pandas.DataFrame
        ``patch``, ``twin``, ``x``, ``y`` (pixels) and ``flux_<band>``.
    band : str
    pixel_scale : float
        Arcsec.
    ratio : float
        1: brighter ones.
    most : int
        How many of the nearest sources are looked at, the source itself included.

    Returns
    -------
    distance : (N,) array
        Arcsec; infinity if there is none among the nearest ``most``.
    flux_ratio : (N,) array
        Flux of that neighbour over the source's own; NaN if there is none.
    """
    distance, found = np.full(len(truth), np.inf), np.full(len(truth), np.nan)
    flux = truth[f"flux_{band}"].to_numpy(float)
    for rows in truth.groupby(["patch", "twin"]).indices.values():
        if len(rows) < 2:
            continue
        xy = truth[["x", "y"]].to_numpy(float)[rows]
        apart, other = cKDTree(xy).query(xy, k=min(len(rows), most))
        wanted = (flux[rows][other] > ratio * flux[rows][:, None]) & (other != np.arange(len(rows))[:, None])
        apart = np.where(wanted, apart, np.inf)
        nearest = apart.argmin(axis=1)
        here = np.arange(len(rows))
        distance[rows] = apart[here, nearest] * pixel_scale
        has = np.isfinite(apart[here, nearest])
        found[rows[has]] = (flux[rows][other[here, nearest]] / flux[rows])[has]
    return distance, found
