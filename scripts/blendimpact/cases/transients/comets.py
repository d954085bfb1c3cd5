"""Comets: activity told from asteroids, nucleus and coma apart, fluxes."""

import numpy as np

from ...data.coma import coma_share
from ...ladder.objects import samples
from ...ladder.paired import add_paired
from ...ladder.rungs import FIXED, REFERENCE
from ...measure.comae import INNER
from ...stats.figures_of_merit import strata
from .comet_foms import ACTIVITY_EDGES, DM_BOUND, PAIRED_EDGES, PART_BOUND, SHARE_EDGES
from .foms import DISTANCE_EDGES
from .moving import ANYWHERE, by_galaxies, places
from .photometry import BRIGHT_SNR, MAG
from .places import COMETS, TRAILS

BESIDE = {"beside": "comet_beside"}
"""Asteroids that lie as comets do: those at random places are held against those at random places."""


def add(scores, targets, objects, recovered, sure, rungs):
    """Add CO-D1, CO-B1 and CO-M1; the parameters are those of `moving.add` of the same names."""
    comet = targets["class"].isin(COMETS).to_numpy()
    for rung, got in recovered.items():
        rows, lost = targets[comet & sure], ~got[comet & sure]
        by = [*places(rows), *strata("distance", rows["near"], DISTANCE_EDGES, whole=False)]
        scores.add_fractions("CO-D1.lost", rung, rows["block"], lost, by)
        anywhere = (rows["class"] == "comet").to_numpy()
        by_galaxies(scores, "CO-D1.lost", "CO-D1.dense", rung, rows[anywhere], lost[anywhere])
    rows = objects[objects["class"].isin((*TRAILS, *COMETS)) & (objects["snr"] >= BRIGHT_SNR)].copy()
    _activity(scores, rows, rungs)
    rows = rows[rows["class"].isin(COMETS)].copy()
    with np.errstate(invalid="ignore", divide="ignore"):
        rows["light"] = -MAG * (rows["flux_ap"] / rows["alone_ap"] - 1)
    both = samples(rows, np.isfinite(rows["light"]), sorted(rows["twin"].unique()), rungs)
    for population, sample in both.items():
        for rung, here in sample.groupby("rung"):
            by = [*places(here), *strata("distance", here["near"], DISTANCE_EDGES, whole=False)]
            scores.add_mean("CO-M1", rung, here["block"], here["light"], DM_BOUND, by, population)
    _parts(scores, rows, rungs)


def _activity(scores, rows, rungs):
    """CO-D1: comets against asteroids, those at random places and those beside static sources."""
    known = np.isfinite(rows["line_activity"])
    for population, sample in samples(rows, known, sorted(rows["twin"].unique()), rungs).items():
        for rung, here in sample.groupby("rung"):
            kind = here["class"].replace(BESIDE)
            for name, among in (("all", (*ANYWHERE, "comet")), ("place:comet_beside", ("comet_beside",))):
                mine = kind.isin(among).to_numpy()
                part, active = here[mine], here["class"].isin(COMETS).to_numpy()[mine]
                shares = strata("nucleus", part["nucleus_fraction"], SHARE_EDGES, whole=False)
                by = [(name, np.ones(len(part), bool))]
                # All asteroids enter each stratum of the comets: a threshold is the same for all comets of a rung.
                by += [(label, ~active | inside) for label, inside in shares] if name == "all" else []
                activity = part["line_activity"].to_numpy(float)
                two = [np.where(which, activity, np.nan) for which in (~active, active)]
                for fom in ("CO-D1", "CO-D1.curve"):
                    own = by if fom == "CO-D1" else by[:1]
                    scores.add_histogram(fom, rung, part["block"], two, ACTIVITY_EDGES, own, population)


def _parts(scores, rows, rungs):
    """CO-B1: nucleus, dust and slope of comets at true places; of a real one against what its noiseless image gives."""
    fixed = tuple(rung for rung in rungs if rung in FIXED)
    mine = rows["rung"].isin((REFERENCE, *fixed)).to_numpy()
    rows = rows[mine].copy()
    names = ["nucleus_flux", "coma_flux", "fit_slope"]
    alone = rows[rows["rung"] == REFERENCE].set_index(["patch", "twin", "source_id"])[names]
    alone = alone.reindex(list(zip(rows["patch"], rows["twin"], rows["source_id"]))).to_numpy()
    share = rows["nucleus_fraction"].to_numpy(float)
    drawn, radius = np.isfinite(share), rows["coma_radius"].to_numpy(float)
    coma = 1 - share - np.nan_to_num(rows["tail_fraction"].to_numpy(float))
    inner = coma * coma_share(INNER, radius, rows["coma_slope"].to_numpy(float))
    true = rows["true_flux"].to_numpy(float)[:, None] * np.column_stack([share, inner])
    true = np.where(drawn[:, None], np.column_stack([true, rows["coma_slope"]]), alone)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows["nucleus"] = (rows["nucleus_flux"] - true[:, 0]) / (true[:, 0] + true[:, 1])
        rows["dust"] = rows["coma_flux"] / true[:, 1] - 1
    rows["slope"] = rows["fit_slope"] - true[:, 2]
    parts = {"CO-B1": "nucleus", "CO-B1.afrho": "dust", "CO-B1.slope": "slope"}
    known = np.isfinite(rows[list(parts.values())]).all(axis=1)
    for rung, here in rows.groupby("rung"):
        scores.add_fractions("CO-B1.failed", rung, here["block"], ~known[here.index], places(here))
    both = samples(rows, known, sorted(rows["twin"].unique()), fixed)
    for rung, here in both["centres"].groupby("rung"):
        by = [
            *places(here),
            *strata("distance", here["near"], DISTANCE_EDGES, whole=False),
            *strata("nucleus", here["nucleus_fraction"], SHARE_EDGES, whole=False),
        ]
        for fom, part in parts.items():
            scores.add_mean(fom, rung, here["block"], here[part], PART_BOUND, by, "centres")
    for fom, part in (("CO-B1.nmad", "nucleus"), ("CO-B1.afrho_nmad", "dust")):
        add_paired(scores, fom, both, part, PAIRED_EDGES, places)
