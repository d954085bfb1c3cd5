"""What lies where: transients as points and lines, the candidates near them, one row per transient and rung."""

import numpy as np
import pandas as pd

from ...data.images import AB_NANOJANSKY
from ...data.transient_geometry import distance_from_line
from ...ladder.rungs import REAL

MEASURED = ("transients", "static", "found", "peaks", "candidates", "fields", "objects")
"""Tables of measurements: `ladder.difference_rows.TABLES`."""
SKY = ["patch", "twin"]
KEY = [*SKY, "source_id"]
COLUMNS = (
    *KEY,
    "block",
    "role",
    "class",
    "x",
    "y",
    "half",
    "angle",
    "reach",
    "snr",
    "true_flux",
    "near",
    "host_id",
    "host_sb",
    "nucleus_fraction",
    "tail_fraction",
    "coma_radius",
    "coma_slope",
    "trail_length",
    "lengths",
    "standing",
    "galaxies",
    "contrast",
)
SHARED = ("x", "y", "snr", "angle", "kind", "trail_length", "trail_angle")
LEAST_SNR = 5.0
"""Isolated S/N of the figures that leave out what is fainter."""
NEAR = 1.0, 2.0
"""Arcsec, and FWHM of the visit: the larger of both is how near to a transient a candidate may be its own."""
CROWD_RADIUS, CROWD_MAG = 10.0, 24.0
"""Arcsec from a place or a line within which galaxies are counted, and the faintest of them, AB in ``shape_band``."""
CLASSES = {
    "supernova": "hosted",
    "nuclear": "nuclear",
    "hostless": "hostless",
    "trail": "trail",
    "near_earth": "near_earth",
    "beside": "beside",
    "comet": "comet",
    "comet_beside": "comet_beside",
    "coma_9p": "coma_9p",
}
TRAILS = ("trail", "near_earth", "beside")
COMETS = ("comet", "comet_beside", "coma_9p")
"""Those that were put beside static sources are for the figures of that alone."""
SUPERNOVAE = ("hosted", "nuclear", "hostless")


def transients(truth, settings, facts):
    """Return what was injected, a row each: the truth's, with its class, line and extent.

    Parameters
    ----------
    truth : pandas.DataFrame
    settings : dict
        ``shape_band``, ``sky``, ``patch``.
    facts : data.facts.Facts

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: ``class`` (values of `CLASSES`); ``half`` (pix) and ``angle`` (rad) of the line, 0 for a point;
        ``reach`` (pix): within it a candidate may be of this source; ``near`` (FWHM): ``static_distance``;
        ``lengths`` (FWHM) of trails, and ``standing``, the S/N that they would have standing still at the depth of the
        visit; ``true_flux`` (nJy); ``contrast``: the static light that a point's filter has there over the transient's
        own, 0 without any; ``galaxies`` (arcmin-2) of trails and comets: `galaxy_density`. Sources of a user's
        catalogue that do not say what they are are hostless, trails or comets by their kind. What could not be injected
        is not in it.
    """
    band, scale = settings["shape_band"], facts.pixel_scale
    injected = truth["injection_id"] >= 0 if "injection_id" in truth else pd.Series(False, truth.index)
    out = truth[injected & np.isfinite(truth[f"flux_{band}"])].copy()
    named = out["transient"] if "transient" in out else pd.Series("", out.index)
    out["class"] = named.map(CLASSES).fillna(out["kind"].map({"trail": "trail", "comet": "comet"})).fillna("hostless")
    out["true_flux"] = 10 ** (0.4 * (AB_NANOJANSKY - out[f"mag_{band}"]))
    fwhm = visit_fwhm(out["block"], settings, facts)
    trail = out["class"].isin(TRAILS).to_numpy()
    out["half"] = np.where(trail, out["trail_length"] / 2 / scale, 0.0)
    out["angle"] = np.where(trail, np.radians(out["trail_angle"]), 0.0)
    size = np.zeros(len(out))
    for name in ("coma_radius", "tail_length"):
        if name in out:
            size = np.fmax(size, out[name].to_numpy(float))
    out["reach"] = (np.maximum(NEAR[0], NEAR[1] * fwhm) + np.where(out["class"].isin(COMETS), size, 0.0)) / scale
    out["near"] = out["static_distance"].to_numpy(float) / fwhm if "static_distance" in out else np.nan
    static = out["static_mag"] if "static_mag" in out else pd.Series(np.nan, out.index)
    out["contrast"] = (10 ** (0.4 * (out[f"mag_{band}"] - static))).fillna(0.0)
    out["galaxies"] = np.nan
    moving = out["class"].isin((*TRAILS, *COMETS))
    out.loc[moving, "galaxies"] = galaxy_density(out[moving], truth[~injected], settings, facts)
    for name, blank in (("host_id", -1), ("host_sb", np.nan), ("nucleus_fraction", np.nan), ("tail_fraction", 0.0)):
        if name not in out:
            out[name] = blank
    for name in ("coma_radius", "coma_slope"):
        if name not in out:
            out[name] = np.nan
    out["lengths"] = np.where(trail, out["trail_length"] / fwhm, 0.0)
    depth = [
        facts.epochs.get(str(b), {}).get(band, {}).get("depth", facts.depth.get(band, np.nan)) for b in out["block"]
    ]
    out["standing"] = np.where(trail, 5 * 10 ** (0.4 * (np.array(depth, float) - out[f"mag_{band}"])), out["snr"])
    return out[[*COLUMNS, f"mag_{band}"]].reset_index(drop=True)


def visit_fwhm(blocks, settings, facts):
    """Return the FWHM of the PSF of the visit of each block in ``shape_band``, (N,) array in arcsec."""
    band = settings["shape_band"]
    usual = facts.psf_fwhm[band]
    return np.array([facts.epochs.get(str(b), {}).get(band, {}).get("fwhm", usual) for b in blocks], float)


def apart(rows, x, y):
    """Return the distance of points from transients, from a trail to the nearest point of its line.

    Parameters
    ----------
    rows : pandas.DataFrame
        N transients: ``x``, ``y``, ``half`` (pix), ``angle`` (rad).
    x, y : (M,) array
        Pixels.

    Returns
    -------
    (N, M) array
        Pixels.
    """
    column = {name: rows[name].to_numpy(float)[:, None] for name in ("x", "y", "half", "angle")}
    dx, dy = np.asarray(x, float) - column["x"], np.asarray(y, float) - column["y"]
    return distance_from_line(dx, dy, 2 * column["half"], column["angle"])


def galaxy_density(rows, static, settings, facts):
    """Return how many galaxies lie around each transient per arcmin2.

    Counted are those brighter than `CROWD_MAG` within `CROWD_RADIUS` of the place, of a trail within that of its line;
    the area is the part of it that is on the image, border included: of what lies farther out the truth does not hold
    all.

    Parameters
    ----------
    rows : pandas.DataFrame
        N transients: ``patch``, ``twin``, ``x``, ``y``, ``half`` (pix), ``angle`` (rad).
    static : pandas.DataFrame
        The truth without what was injected.
    settings : dict
        ``sky``, ``patch``, ``shape_band``.
    facts : data.facts.Facts

    Returns
    -------
    (N,) array
        NaN on a real image, of whose sources nobody knows which are galaxies.
    """
    out = np.full(len(rows), np.nan)
    if settings["sky"] == "adopt":
        return out
    side, scale = settings["patch"]["size"] + 2 * settings["patch"]["border"], facts.pixel_scale
    seen = static[(static["kind"] == "galaxy") & (static[f"mag_{settings['shape_band']}"] < CROWD_MAG)]
    seen = seen[np.all([(seen[k] >= -0.5) & (seen[k] < side - 0.5) for k in ("x", "y")], axis=0)]
    there, reach = seen.groupby(SKY).indices, CROWD_RADIUS / scale
    for k, row in enumerate(rows.itertuples()):
        own, them = rows.iloc[k : k + 1], seen.iloc[there.get((row.patch, row.twin), [])]
        number = (apart(own, them["x"], them["y"]) <= reach).sum()
        wide = row.half + reach + 1
        x, y = np.meshgrid(*(np.arange(max(0, int(c - wide)), min(side, int(c + wide) + 1)) for c in (row.x, row.y)))
        area = (apart(own, x.ravel(), y.ravel()) <= reach).sum() * (scale / 60) ** 2
        out[k] = number / area
    return out


def ladder_of(rung):
    """Return the rungs that have the search of a searched rung: no search needs centres, so it serves both kinds."""
    return {"merged": ("oracle",), "pipeline": ("deblended", "pipeline")}.get(rung, (rung,))


def strongest(rows, candidates, radius):
    """Return the most significant positive candidate within ``radius`` (pixels) of each transient.

    Parameters
    ----------
    rows, candidates : pandas.DataFrame
        With ``patch`` and ``twin``; candidates with ``x``, ``y`` and ``snr``.
    radius : float

    Returns
    -------
    (N,) int array
        Row number of the candidate, -1: none.
    """
    out = np.full(len(rows), -1)
    there = candidates.groupby(SKY).indices
    snr = candidates["snr"].to_numpy(float)
    for key, mine in rows.groupby(SKY).indices.items():
        if key not in there:
            continue
        them = there[key]
        distance = apart(rows.iloc[mine], *(candidates[k].to_numpy(float)[them] for k in ("x", "y")))
        height = np.where((distance <= radius) & (snr[them] > 0), snr[them], -np.inf)
        best = height.argmax(axis=1)
        out[mine] = np.where(np.isfinite(height[np.arange(len(mine)), best]), them[best], -1)
    return out


def by_rung(at_places, found, targets, radius):
    """Return one row per target and rung: what was measured at the true place, or on its detection.

    Parameters
    ----------
    at_places, found : pandas.DataFrame
        The tables "transients" and "found".
    targets : pandas.DataFrame
        From `transients`.
    radius : float
        Pixels, from a target to its detection.

    Returns
    -------
    pandas.DataFrame
        Columns of both; those of the measurement that the truth has too begin with ``found_``. A target without a
        detection has no row on rungs with a real search.
    """
    shared = {name: f"found_{name}" for name in SHARED}
    fixed = at_places.drop(columns=["case", "scenario"], errors="ignore").rename(
        columns={**shared, "det_id": "source_id"}
    )
    parts = [targets.merge(fixed, on=KEY, validate="one_to_many")]
    for rung in REAL:
        here = found[found["rung"] == rung].reset_index(drop=True)
        which = strongest(targets, here, radius)
        own = (
            here.iloc[which[which >= 0]]
            .drop(columns=[*SKY, "case", "scenario"], errors="ignore")
            .rename(columns=shared)
            .reset_index(drop=True)
        )
        parts.append(pd.concat([targets[which >= 0].reset_index(drop=True), own], axis=1))
    return pd.concat([p for p in parts if len(p)], ignore_index=True) if any(map(len, parts)) else parts[0]


def inside(rows, settings, margin=0.0):
    """Return which rows (``x``, ``y``) lie inside the border of their patch, ``margin`` pixels from it: (N,) bool."""
    border, size = settings["patch"]["border"], settings["patch"]["size"]
    least, most = border - 0.5 + margin, border + size - 0.5 - margin
    return np.all([(rows[k] >= least) & (rows[k] < most) for k in ("x", "y")], axis=0)


def free_pixels(rows, settings):
    """Return which pixels inside the border of a patch are beyond the reach of all ``rows``, (size, size) bool array.

    Parameters
    ----------
    rows : pandas.DataFrame
        Transients of one patch, or other sources, with ``half``, ``angle`` and ``reach``.
    settings : dict
        ``patch``: ``size`` and ``border`` (pixels).
    """
    border, size = settings["patch"]["border"], settings["patch"]["size"]
    free = np.ones((size, size), bool)
    for k, row in enumerate(rows.itertuples()):
        wide = row.half + row.reach + 1
        (x0, x1), (y0, y1) = ([int(np.clip(c - border + d, 0, size)) for d in (-wide, wide)] for c in (row.x, row.y))
        x, y = np.meshgrid(border + np.arange(x0, x1), border + np.arange(y0, y1))
        near = apart(rows.iloc[k : k + 1], x.ravel(), y.ravel()).reshape(x.shape) <= row.reach
        free[y0:y1, x0:x1] &= ~near
    return free
