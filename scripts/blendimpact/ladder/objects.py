"""Join measurements, assignments and truth: one row per source on each rung."""

import numpy as np
import pandas as pd

from .rungs import BOUND, REAL, REFERENCE, RUNGS

KEY = ["patch", "twin", "source_id"]


def _frame(table):
    return table.to_pandas()


def wide(measurements, bands, shape_band):
    """Return measurements with one row per object: fluxes get the band as suffix.

    Parameters
    ----------
    measurements : Table
        Long, one row per object and band.
    bands : list of str
    shape_band : str
        Shapes and flags are taken from this band's row.

    Returns
    -------
    pandas.DataFrame
        Columns patch, twin, rung, det_id, x, y, what was measured in the shape band, and per band flux_ap_b and all
        other fluxes with errors.
    """
    frame = _frame(measurements)
    ids = ["patch", "twin", "rung", "det_id"]
    fluxes = [name for name in frame if name.startswith("flux_") and name not in ("flux_flag", "flux_hsm")]
    base = frame[frame["band"] == shape_band].drop(columns=[*fluxes, "band"])
    for band in bands:
        part = frame.loc[frame["band"] == band, ids + fluxes]
        base = base.merge(
            part.rename(columns={f: f"{f}_{band}" for f in fluxes}), on=ids, how="left", validate="one_to_one"
        )
    return base


def by_source(objects, assignments):
    """Give each object the ``source_id`` it stands for: the dominant member of A(d), or 0.

    Under true centres det_id is the source_id.

    Returns
    -------
    pandas.DataFrame
        ``objects`` with columns source_id and n_members.
    """
    links = _frame(assignments)
    links = links[links["det_id"] > 0]
    members = links.groupby(["patch", "twin", "det_id"]).size().rename("n_members").reset_index()
    dominant = links.loc[links["dominant"], ["patch", "twin", "det_id", "source_id"]]
    real = objects["rung"].isin(REAL)
    fixed = objects[~real].assign(source_id=lambda f: f["det_id"], n_members=1)
    found = objects[real].merge(dominant, on=["patch", "twin", "det_id"], how="left")
    found = found.merge(members, on=["patch", "twin", "det_id"], how="left")
    found["source_id"] = found["source_id"].fillna(0).astype(np.int64)
    found["n_members"] = found["n_members"].fillna(0).astype(np.int64)
    return pd.concat([fixed, found], ignore_index=True)


def common_sources(objects, good, twins, rungs):
    """Return the (patch, source_id) that are ``good`` on every rung and in every twin.

    Parameters
    ----------
    objects : pandas.DataFrame
        From `by_source`.
    good : (N,) bool array
    twins : list of str
    rungs : tuple of str

    Returns
    -------
    pandas.MultiIndex
    """
    rows = objects[np.asarray(good) & objects["rung"].isin(rungs) & (objects["source_id"] > 0)]
    counts = rows.groupby(["patch", "source_id"]).size()
    return counts[counts == len(rungs) * len(twins)].index


def samples(objects, good, twins, rungs=tuple(RUNGS)):
    """Return the rows of the two samples on which properties are measured.

    Conditioning on what detection keeps takes out the worst blends, so what acts before detection is measured on all
    sources. Raw pixels decide nothing: what cannot be measured on them stays in.

    Parameters
    ----------
    objects : pandas.DataFrame
        From `by_source`.
    good : (N,) bool array
        Whether a row is a measurement that counts.
    twins : list of str
        Of each patch: a source must be good in all.
    rungs : tuple of str
        That there are (`rungs.rungs_of`).

    Returns
    -------
    dict of str to pandas.DataFrame
        ``centres``: the sources that are good on all rungs of true centres, and their rows on these. ``kept``: those
        that are good on the rungs of the real detector as well, and all of their rows; without such a rung it is
        left out.
    """
    deciding = (REFERENCE, *(rung for rung in rungs if rung != BOUND))
    fixed = tuple(rung for rung in deciding if rung not in REAL)
    rows = select(objects, common_sources(objects, good, twins, fixed))
    out = {"centres": rows[~rows["rung"].isin(REAL)].copy()}
    if fixed != deciding:
        out["kept"] = select(objects, common_sources(objects, good, twins, deciding)).copy()
    return out


def select(objects, index):
    """Return the rows whose (patch, source_id) is in ``index``."""
    return objects[pd.MultiIndex.from_frame(objects[["patch", "source_id"]]).isin(index)]
