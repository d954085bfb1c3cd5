"""Asteroids: what is lost, what that does to linking, fluxes, lengths and positions."""

import numpy as np

from ...ladder.objects import samples
from ...ladder.paired import add_paired
from ...ladder.rungs import REFERENCE
from ...stats.figures_of_merit import classes, strata
from .asteroid_foms import ARCSEC_BOUND, DM_BOUND, LENGTH_EDGES, LINK_EDGES, MAS_BOUND, OFFSET_EDGES
from .foms import DENSE, DISTANCE_EDGES, GALAXY_EDGES, SNR_EDGES
from .photometry import BRIGHT_SNR, MAG
from .places import LEAST_SNR, TRAILS

ANYWHERE = "trail", "near_earth"
"""Classes of asteroids at random places; the others are beside static sources."""
RESOLVED = 1.0
"""FWHM of the visit: a longer trail has a length, and is measured as a line; a shorter one as a point."""


def add(scores, targets, objects, recovered, sure, found, points, facts, rungs):
    """Add MO-D1, MO-D2, MO-B1 and MO-M1.

    Parameters
    ----------
    scores : Scores
    targets, objects : pandas.DataFrame
        As `places.transients` and `places.by_rung` make them.
    recovered : dict of str to (N,) bool array
        Which targets each rung recovers.
    sure : (N,) bool array
        Which are bright enough and found on empty sky.
    found, points : dict of str to (N,) bool array
        Which have a candidate, of the whole bank and of the point filter alone, on the rungs that are searched.
    facts : data.facts.Facts
    rungs : tuple of str
        That there are.
    """
    lines = targets["class"].isin(TRAILS).to_numpy()
    rows, kept = targets[lines], sure[lines]
    for rung, got in recovered.items():
        here, lost = rows[kept], ~got[lines][kept]
        for by in (places(here), strata("snr", here["snr"], SNR_EDGES, whole=False)):
            scores.add_fractions("MO-D1", rung, here["block"], lost, within(by, here))
        scores.add_fractions(
            "MO-D1", rung, here["block"], lost, strata("distance", here["near"], DISTANCE_EDGES, whole=False)
        )
        anywhere = here["class"].isin(ANYWHERE).to_numpy()
        by_galaxies(scores, "MO-D1", "MO-D1.dense", rung, here[anywhere], lost[anywhere])
        for name in TRAILS:
            mine = (here["class"] == name).to_numpy()
            scores.add_curve("MO-D2", rung, here["block"][mine], ~lost[mine], here["snr"][mine], LINK_EDGES, name)
    for searched, fom in ((found, "MO-D1.efficiency"), (points, "MO-D1.point")):
        for rung, got in searched.items():
            _efficiency(scores, fom, rung, rows, got[lines])
    _measured(scores, objects, facts.pixel_scale, rungs)


def places(rows):
    """Return the strata of asteroids or comets by where they are: "all" has those at random places alone."""
    return [
        ("all", rows["class"].isin((*ANYWHERE, "comet")).to_numpy()),
        *classes("place", rows["class"].to_numpy(), sorted(rows["class"].unique())),
    ]


def within(by, rows):
    """Return strata without those that were put beside static sources, unless they say so."""
    anywhere = rows["class"].isin((*ANYWHERE, "comet")).to_numpy()
    return [(name, mask if name.startswith("place:") else mask & anywhere) for name, mask in by]


def _efficiency(scores, fom, rung, rows, got):
    """Add the efficiency of one search against S/N standing still, and against length above `SURE`."""
    standing = rows["standing"].to_numpy(float)
    bright = standing >= LEAST_SNR
    by = [
        *((name, mask & bright) for name, mask in places(rows)),
        *within(strata("standing", standing, SNR_EDGES, whole=False), rows),
        *((n, m & bright) for n, m in within(strata("length", rows["lengths"], LENGTH_EDGES, whole=False), rows)),
    ]
    scores.add_fractions(fom, rung, rows["block"], got, by)
    if fom == "MO-D1.efficiency":
        for name in TRAILS:
            mine = (rows["class"] == name).to_numpy() & bright
            scores.add_curve("MO-D2.all", rung, rows["block"][mine], got[mine], standing[mine], LINK_EDGES, name)


def _measured(scores, objects, scale, rungs):
    """MO-B1 and MO-M1: of what is resolved as a line, of the rest as a point; against the noiseless asteroid alone."""
    rows = objects[objects["class"].isin(TRAILS) & (objects["snr"] >= BRIGHT_SNR)].copy()
    line = (rows["lengths"] >= RESOLVED).to_numpy()
    flux = np.where(line, rows["trail_flux"], rows["flux_psf"])
    rows["flux"] = flux
    alone = rows[rows["rung"] == REFERENCE].set_index(["patch", "twin", "source_id"])["flux"]
    alone = alone.reindex(list(zip(rows["patch"], rows["twin"], rows["source_id"]))).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        rows["dm"] = -MAG * (flux / alone - 1)
    rows["stretch"] = np.where(line, rows["found_trail_length"] - rows["trail_length"], np.nan)
    for axis in "xy":
        rows[f"d{axis}"] = 1000 * scale * (np.where(line, rows[f"trail_{axis}"], rows[f"{axis}_psf"]) - rows[axis])
    rows["offset"] = np.hypot(rows["dx"], rows["dy"])
    fitted, twins = np.isfinite(rows["dm"]) & np.isfinite(rows["offset"]), sorted(rows["twin"].unique())
    for rung in (REFERENCE, *rungs):
        mine = (rows["rung"] == rung).to_numpy()
        scores.add_fractions("MO-B1.failed", rung, rows["block"][mine], ~fitted[mine], places(rows[mine]))
    both = samples(rows, fitted, twins, rungs)
    for population, sample in both.items():
        for rung, here in sample.groupby("rung"):
            by = [*places(here), *strata("distance", here["near"], DISTANCE_EDGES, whole=False)]
            scores.add_mean("MO-B1", rung, here["block"], here["dm"], DM_BOUND, by, population)
            scores.add_mean("MO-M1", rung, here["block"], here["offset"], MAS_BOUND, by, population)
            long = here[np.isfinite(here["stretch"])]
            scores.add_mean(
                "MO-B1.length", rung, long["block"], long["stretch"], ARCSEC_BOUND, places(long), population
            )
    for axis in "xy":
        add_paired(scores, "MO-M1.added", both, f"d{axis}", OFFSET_EDGES, places, copies=2)


def by_galaxies(scores, fom, contrast, rung, rows, lost):
    """Add what is lost by the density of galaxies around it, and where they are dense minus where they are not.

    Parameters
    ----------
    scores : Scores
    fom, contrast : str
        Figures of merit: of the strata, and of the difference.
    rung : str
    rows : pandas.DataFrame
        N targets, with ``galaxies``.
    lost : (N,) bool array
    """
    density = rows["galaxies"].to_numpy(float)
    scores.add_fractions(fom, rung, rows["block"], lost, strata("galaxies", density, GALAXY_EDGES, whole=False))
    dense = density >= DENSE
    scores.add_sums(
        contrast, rung, rows["block"], [lost & dense, dense, lost & ~dense, ~dense], [("all", np.isfinite(density))]
    )
