"""Static light on the difference, and which galaxy a supernova belongs to."""

import numpy as np

from ...ladder.rungs import FIXED
from ...stats.figures_of_merit import strata
from .foms import CHI2_EDGES, SB_EDGES
from .places import SKY

FARTHEST = 4.0
"""Directional light radii within which a galaxy can be the host, as the DES supernova survey has it [M]."""


def add(scores, rows, truth, targets, settings, facts):
    """Add TR-B1 and TR-B2.

    Parameters
    ----------
    scores : Scores
    rows : dict of str to pandas.DataFrame
        The tables "static" and "objects".
    truth, targets : pandas.DataFrame
        The truth, and what of it was injected (`places.transients`).
    settings : dict
        With ``sky``: of a real image nobody knows the galaxies, so there is no oracle among them.
    """
    _residuals(scores, rows["static"], truth)
    _associations(scores, rows["objects"], truth, targets, settings, facts)


def _residuals(scores, static, truth):
    """TR-B1: on galaxies (and real sources of unknown kind), and on stars that do not vary."""
    known = truth[[*SKY, "source_id", "kind"]].rename(columns={"source_id": "det_id", "kind": "what"})
    known["varies"] = truth["variable"].astype(bool) if "variable" in truth else False
    static = static.merge(known, on=[*SKY, "det_id"], how="left", validate="many_to_one")
    static = static[np.isfinite(static["chi2"]) & (static["npix"] > 0) & (static["varies"] != True)]  # noqa: E712
    static["excess"] = static["chi2"] - 1
    star = (static["what"] == "star").to_numpy()
    for rung in FIXED:
        here = (static["rung"] == rung).to_numpy()
        for fom, population, kept in (("TR-B1", "galaxies", ~star), ("TR-B1.stars", "stars", star)):
            mine = static[here & kept]
            chi2, npix = mine["chi2"].to_numpy(float), mine["npix"].to_numpy(float)
            scores.add_sums(
                fom, rung, mine["block"], [chi2 * npix, npix, 1], strata("sb", mine["static_sb"], SB_EDGES), population
            )
        mine = static[here & ~star]
        scores.add_histogram(
            "TR-B1.median",
            rung,
            mine["block"],
            mine["excess"],
            CHI2_EDGES,
            strata("sb", mine["static_sb"], SB_EDGES),
            "galaxies",
        )


def light_radius(a, b, theta, dx, dy):
    """Return distances in directional light radii.

    The radius of an ellipse in the direction of a point, a b / sqrt((a sin)^2 + (b cos)^2) with the angle from its
    major axis (Sullivan et al. 2006; Gupta et al. 2016).

    Parameters
    ----------
    a, b : array
        Axes of the galaxy, in the unit of dx and dy.
    theta : array
        Angle of the major axis from the x axis, rad.
    dx, dy : array
        From the galaxy to the point.
    """
    angle = np.arctan2(dy, dx) - theta
    with np.errstate(invalid="ignore", divide="ignore"):
        radius = a * b / np.hypot(a * np.sin(angle), b * np.cos(angle))
        return np.hypot(dx, dy) / radius


def _associations(scores, found, truth, targets, settings, facts):
    """Score TR-B2: whether the nearest galaxy, in light radii, is the host."""
    hosted = targets[(targets["host_id"] >= 0) & targets["class"].isin(("hosted", "nuclear"))].reset_index(drop=True)
    hostless = targets[targets["class"] == "hostless"].reset_index(drop=True)
    hosts = hosted[[*SKY, "host_id"]].merge(
        truth[[*SKY, "source_id", "x", "y"]], left_on=[*SKY, "host_id"], right_on=[*SKY, "source_id"], how="left"
    )
    radius = settings["match_radius"] / facts.pixel_scale
    catalogues = {}
    if len(found) or facts.epochs:  # else there may be no template to find anything on
        catalogues["pipeline", "own"] = found[found["rung"] == "pipeline"]
    if settings["sky"] != "adopt":
        band = settings["shape_band"]
        seen = template_snr(truth, band, facts) >= settings["truth_snr"]
        catalogues["oracle", "truth"] = _ellipses(truth[(truth["kind"] == "galaxy") & seen], band, facts)
    for (rung, population), catalogue in catalogues.items():
        given = nearest(hostless, catalogue)[1] <= FARTHEST
        scores.add_fractions("TR-B2.given", rung, hostless["block"], given, population=population)
        place, far = nearest(hosted, catalogue)
        given = far <= FARTHEST
        off = np.hypot(*(place - hosts[["x", "y"]].to_numpy(float)).T)
        scores.add_fractions("TR-B2.none", rung, hosted["block"], ~given, population=population)
        scores.add_fractions("TR-B2", rung, hosted["block"], ~(off <= radius), [("all", given)], population)


def nearest(rows, catalogue):
    """Return the galaxy of the smallest directional light radius of each row.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``patch``, ``twin``, ``x``, ``y`` (pix).
    catalogue : pandas.DataFrame
        Also ``a``, ``b`` (pix) and ``theta`` (rad).

    Returns
    -------
    place : (N, 2) array
        x, y of the galaxy; NaN without one.
    far : (N,) array
        Its distance in light radii; infinite without one.
    """
    place, far = np.full((len(rows), 2), np.nan), np.full(len(rows), np.inf)
    there = catalogue.groupby(SKY).indices
    for k, row in enumerate(rows.itertuples()):
        here = catalogue.iloc[there.get((row.patch, row.twin), [])]
        x, y, a, b, theta = (here[name].to_numpy(float) for name in ("x", "y", "a", "b", "theta"))
        radii = np.nan_to_num(light_radius(a, b, theta, row.x - x, row.y - y), nan=np.inf)
        if len(radii):
            best = int(radii.argmin())
            place[k], far[k] = (x[best], y[best]), radii[best]
    return place, far


def template_snr(truth, band, facts):
    """Return the isolated S/N scaled to the depth of the template, (N,) array; as it is where that is not known."""
    deeper = {
        block: here[band]["template_depth"] - here[band]["depth"]
        for block, here in facts.epochs.items()
        if "template_depth" in here.get(band, {})
    }
    return truth["snr"] * 10 ** (0.4 * truth["block"].map(lambda block: deeper.get(str(block), 0.0)).astype(float))


def _ellipses(galaxies, band, facts):
    """Return true galaxies with the half-light ellipse of their whole light: ``a``, ``b`` (pix), ``theta`` (rad)."""
    bulge = galaxies[f"bulge_fraction_{band}"].to_numpy(float)
    g1, g2 = (
        np.nan_to_num(galaxies[f"{g}_bulge"].to_numpy(float)) * bulge
        + np.nan_to_num(galaxies[f"{g}_disk"].to_numpy(float)) * (1 - bulge)
        for g in ("g1", "g2")
    )
    size = np.hypot(g1, g2)
    ratio = (1 - size) / (1 + size)
    hlr = galaxies["hlr"].to_numpy(float) / facts.pixel_scale
    return galaxies.assign(a=hlr / np.sqrt(ratio), b=hlr * np.sqrt(ratio), theta=np.arctan2(g2, g1) / 2)
