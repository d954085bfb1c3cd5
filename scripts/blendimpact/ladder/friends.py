"""Blends as catalogues imitate them: friends of friends on the sky, with their fluxes summed."""

import numpy as np
import pandas as pd
from astropy.table import Table

from .base import detectable
from .outcomes import groups
from .redshifts import FRIENDS, plain_columns
from .rungs import REFERENCE

LINKING = 1.0
"""Arcsec, of RAIL's degrader for unrecognised blends and of the DESC n(z) challenge."""


def linked(truth, snr, scale):
    """Return the galaxies that can be detected with the group of each.

    Parameters
    ----------
    truth : Table
        Of several patches and twins.
    snr : float
        Isolated S/N from which a galaxy is in the catalogue.
    scale : float
        Arcsec per pixel.

    Returns
    -------
    pandas.DataFrame
        patch, twin, source_id, role, ``group`` (a number in the patch), ``n_friends`` (members of the group) and
        ``brightest`` (whether it is that member, by the column ``flux``).
    """
    rows = truth[detectable(truth, snr) & (np.asarray(truth["kind"]) == "galaxy")]
    frame = rows["patch", "twin", "source_id", "role", "x", "y", "flux"].to_pandas()
    parts = [
        here.assign(group=groups(here[["x", "y"]].to_numpy(), LINKING / scale))
        for _, here in frame.groupby(["patch", "twin"], sort=True)
    ]
    frame = pd.concat(parts, ignore_index=True) if parts else frame.assign(group=0)
    each = frame.groupby(["patch", "twin", "group"])
    frame["n_friends"] = each["source_id"].transform("size")
    frame["brightest"] = frame["flux"] == each["flux"].transform("max")
    return frame


def catalogue_blends(friends, objects, bands):
    """Return the photometry of catalogue blends, in the columns of `redshifts.objects_to_estimate`.

    The flux of a blend is the measured one of its brightest member alone, with its noise, and the noiseless ones of all
    others. Groups with a member that is no target are left out: nothing is measured of that one.

    Parameters
    ----------
    friends : pandas.DataFrame
        From `linked`.
    objects : Table
        From `redshifts.objects_to_estimate`, with the rungs truth and isolated.
    bands : list of str

    Returns
    -------
    Table
        A row for each group, singles too: rung `redshifts.FRIENDS`, det_id is the source_id of the brightest member.
    """
    group = ["patch", "twin", "group"]
    targets = (friends["role"] == "target").groupby([friends[name] for name in group]).transform("all")
    friends = friends[targets.astype(bool)]
    key = ["patch", "twin", "source_id"]
    frame = objects.to_pandas().rename(columns={"det_id": "source_id"})
    noiseless, alone = (frame[frame["rung"] == rung].drop(columns="rung") for rung in (REFERENCE, "isolated"))
    blends = friends.loc[friends["brightest"], [*key, "group"]].merge(alone, on=key)
    others = friends.loc[~friends["brightest"], [*key, "group"]].merge(noiseless, on=key)
    fluxes = [f"flux_{band}" for band in bands]
    added = others.groupby(group)[fluxes].sum(min_count=1).reset_index()
    blends = blends.merge(added, on=group, how="left", suffixes=("", "_added"))
    for name in fluxes:
        blends[name] += blends[f"{name}_added"].fillna(0)
    blends = blends.sort_values(key)
    columns = {name: blends[name].to_numpy() for name in plain_columns(bands)}
    return Table(
        {
            "patch": blends["patch"].to_numpy(),
            "twin": blends["twin"].to_numpy(str),
            "rung": np.full(len(blends), FRIENDS),
            "det_id": blends["source_id"].to_numpy(),
            **columns,
        }
    )
