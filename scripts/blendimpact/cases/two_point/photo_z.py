"""Photometric redshifts of all rungs against the truth (PZ-B1, PZ-M1, PZ-M2)."""

from itertools import pairwise

import numpy as np

from ...ladder.objects import KEY
from ...ladder.paired import add_paired
from ...ladder.redshifts import N_BINS, POINT_ESTIMATE, QUANTILES, Frozen, flux_columns
from ...ladder.rungs import ORDER, REAL
from ...photoz.base import Photometry
from ...stats.figures_of_merit import CELLS, classes, strata
from .foms import BLENDEDNESS_EDGES, CLASSES
from .photo_z_foms import (
    COLOUR_BOUND,
    COLOUR_EDGES,
    DZ_BOUND,
    DZ_EDGES,
    FROZEN_LEAST,
    FROZEN_SIGMAS,
    OUTLIER,
    REDSHIFT_BOUND,
)
from .samples import blendedness, lensing

MAGNITUDE_EDGES = (18.0, 23.0, 24.0, 24.5, 25.0, 25.3)
CELL = 0.1
"""Width in redshift of the cells of a diagram."""
LIMIT_SRD = 25.0
"""Faintest i of the photometric redshifts that the LSST SRD is about."""


def add_photo_z(scores, objects, tables, truth, twins, settings):
    """Add the figures of merit of photometric redshifts.

    Parameters
    ----------
    scores : Scores
    objects : pandas.DataFrame
        From `samples.objects_of`.
    tables : dict of str to Table
        ``redshifts`` and ``assignments``.
    truth : pandas.DataFrame
    twins : list of str
    settings : dict

    Returns
    -------
    dict of str to pandas.DataFrame
        The samples, with ``z`` (estimate), ``redshift``, ``z_members``, ``dz`` and ``bin``: `lensing`.
    """
    frozen = Frozen.of(tables["redshifts"])
    objects = with_redshifts(objects, tables, truth, settings, frozen)
    found = lensing(objects, "estimated", twins, settings)
    for population, rows in found.items():
        for rung in ORDER:
            here = rows[rows["rung"] == rung]
            if len(here):
                _errors(scores, rung, here, population, frozen)
                _bins(scores, rung, here, population, frozen)
        _cells(scores, rows, population)
    add_paired(scores, "PZ-M1.added", found, "dz", DZ_EDGES, by_blend)
    _colours(scores, found, settings, frozen)
    return found


def with_redshifts(objects, tables, truth, settings, frozen):
    """Return objects with their estimates, the redshifts that they have in truth, and their blend outcome."""
    links = tables["assignments"].to_pandas()
    found = tables["redshifts"].to_pandas().drop(columns="n_bands")
    objects = objects.merge(found, on=["patch", "twin", "rung", "det_id"], how="left", validate="one_to_one")
    known = truth[[*KEY, "redshift"]].merge(links[[*KEY, "outcome"]], on=KEY, how="left")
    objects = objects.merge(known, on=KEY, how="left", validate="many_to_one")
    key = ["patch", "twin", "det_id"]
    mean = members_redshift(links, truth, settings["shape_band"])
    objects = objects.merge(mean.rename("z_members").reset_index(), on=key, how="left")
    objects["z_members"] = objects["z_members"].where(objects["rung"].isin(REAL), objects["redshift"])
    return with_errors(objects.assign(estimated=np.isfinite(objects[POINT_ESTIMATE])), frozen)


def with_errors(objects, frozen):
    """Return objects with ``z`` (estimate), ``dz``, and ``bin``, the tomographic one."""
    z = objects[POINT_ESTIMATE].to_numpy()
    return objects.assign(z=z, dz=(z - objects["redshift"]) / (1 + objects["redshift"]), bin=frozen.bins(z))


def members_redshift(links, truth, band):
    """Return the mean redshift of the members of each detection weighted by flux: a Series by patch, twin, det_id."""
    members = links.loc[links["det_id"] > 0, [*KEY, "det_id"]].merge(truth[[*KEY, "redshift", f"flux_{band}"]], on=KEY)
    members["moment"] = members["redshift"] * members[f"flux_{band}"]
    sums = members.groupby(["patch", "twin", "det_id"])[["moment", f"flux_{band}"]].sum()
    return sums["moment"] / sums[f"flux_{band}"]


def by_blend(rows):
    """Return the strata of objects: of blendedness, magnitude and blend outcome, "all" and what the SRD is about."""
    magnitude = rows["true_mag"].to_numpy()
    return [
        *strata("blendedness", blendedness(rows["mean_purity"]), BLENDEDNESS_EDGES),
        *strata("magnitude", magnitude, MAGNITUDE_EDGES, whole=False),
        *classes("outcome", rows["outcome"].to_numpy(), CLASSES),
        ("srd:i < 25", magnitude < LIMIT_SRD),
    ]


def outlier(dz):
    """Return which errors are those of outliers."""
    return np.abs(dz) > OUTLIER


def _errors(scores, rung, rows, population, frozen):
    """PZ-M1: errors of the estimates."""
    block, by, dz = rows["block"], by_blend(rows), rows["dz"].to_numpy()
    scores.add_fractions("PZ-M1.outliers", rung, block, outlier(dz), by, population)
    limit = max(FROZEN_LEAST, FROZEN_SIGMAS * frozen.scatter)
    scores.add_fractions("PZ-M1.frozen", rung, block, np.abs(dz) > limit, by, population)
    scores.add_histogram("PZ-M1.dz", rung, block, dz, DZ_EDGES, by, population)
    scores.add_mean("PZ-M1.mean", rung, block, dz, DZ_BOUND, by, population)
    low, high = (rows[QUANTILES[k]].to_numpy() for k in (1, -2))
    inside = (rows["redshift"] >= low) & (rows["redshift"] <= high)
    scores.add_fractions("PZ-M1.covered", rung, block, inside, by, population)


def _bins(scores, rung, rows, population, frozen):
    """PZ-M2: redshifts of tomographic bins."""
    number = rows["bin"].to_numpy()
    right = number == frozen.bins(rows["redshift"].to_numpy())
    scores.add_fractions("PZ-M2.accuracy", rung, rows["block"], right, by_blend(rows), population)
    for fom, column in (("PZ-M2", "redshift"), ("PZ-M2.members", "z_members")):
        add_bins(scores, fom, rung, rows, column, population, frozen)


def add_bins(scores, fom, rung, rows, column, population, frozen):
    """Add the mean of a redshift over 1 + that of the bin, in each tomographic bin: strata "bin:1" and on."""
    number = rows["bin"].to_numpy()
    scaled = rows[column].to_numpy() / (1 + np.asarray(frozen.mean)[number])
    by = classes("bin", number + 1, range(1, N_BINS + 1))
    scores.add_mean(fom, rung, rows["block"], scaled, REDSHIFT_BOUND, by, population)


def _cells(scores, rows, population):
    """PZ-M1.cells: how many objects there are in cells of true and estimated redshift."""
    if population != "kept":
        return
    true, found = (np.floor(rows[name] / CELL).astype(int) for name in ("redshift", "z"))
    counts = rows.groupby(["rung", "block", true.rename("i"), found.rename("j")]).size()
    for (rung, block, i, j), number in counts.items():
        cell = f"{CELLS}{CELL * i:.1f} {CELL * j:.1f}"
        scores.add("PZ-M1.cells", rung, block, [number / scores.copies], population, cell, copies=1)


def _colours(scores, samples, settings, frozen):
    """PZ-B1: colours against those of the same source isolated."""
    bands = settings["bands"]
    names = [f"colour_{a}-{b}" for a, b in pairwise(bands)]
    blue = "g" if "g" in bands else bands[0]
    changed = {
        population: colour_changes(rows, settings, frozen, names, blue)
        for population, rows in samples.items()
        if "isolated" in set(rows["rung"])
    }
    for population, rows in changed.items():
        for rung, here in rows.groupby("rung"):
            scores.add_mean("PZ-B1", rung, here["block"], here["wide"], COLOUR_BOUND, by_blend(here), population)
            for name in names:
                by = [(name.replace("_", ":"), np.ones(len(here), bool))]
                scores.add_mean("PZ-B1", rung, here["block"], here[name], COLOUR_BOUND, by, population)
    add_paired(scores, "PZ-B1.scatter", changed, "wide", COLOUR_EDGES, by_blend)


def colour_changes(rows, settings, frozen, names, blue):
    """Return rows with the changes of neighbouring colours, ``names``, and of ``wide``, blue minus shape band."""
    bands, fluxes = settings["bands"], settings["photo_z"]["fluxes"]
    columns = flux_columns(bands, fluxes)
    light = Photometry(
        tuple(bands),
        rows[columns[::2]].to_numpy(),
        rows[columns[1::2]].to_numpy(),
        np.asarray(frozen.softening),
        settings["shape_band"],
    )
    magnitudes = light.magnitudes()
    red, first = bands.index(settings["shape_band"]), bands.index(blue)
    colours = {name: magnitudes[:, k] - magnitudes[:, k + 1] for k, name in enumerate(names)}
    colours["wide"] = magnitudes[:, first] - magnitudes[:, red]
    rows = rows.assign(**colours)
    alone = rows.loc[rows["rung"] == "isolated", [*KEY, *colours]]
    rows = rows.merge(alone, on=KEY, suffixes=("", "_alone"))
    return rows.assign(**{name: rows[name] - rows[f"{name}_alone"] for name in colours})
