"""Blends that mix redshifts, and blends as catalogues imitate them beside those of the pixels (PZ-D1 to PZ-D3)."""

import numpy as np
import pandas as pd

from ...ladder.friends import linked
from ...ladder.objects import KEY
from ...ladder.redshifts import FRIENDS, Frozen
from ...stats.figures_of_merit import strata
from .photo_z import MAGNITUDE_EDGES, add_bins, outlier, with_errors
from .photo_z_foms import MIXED_DZ, MIXED_SHARE
from .samples import CUTS

DETECTION = ["patch", "twin", "det_id"]
COMPARED = ("isolated", FRIENDS, "merged", "deblended", "pipeline")
"""What is held against the isolated galaxies in PZ-D3: friends and merged are two accounts of the same loss."""


def add_blends(scores, tables, truth, blocks, samples, settings, scale):
    """Add PZ-D1, PZ-D2 and PZ-D3.

    Parameters
    ----------
    scores : Scores
    tables : dict of str to Table
        ``truth``, ``detections``, ``assignments``, ``redshifts``.
    truth : pandas.DataFrame
    blocks : mapping
        Block of each patch.
    samples : dict of str to pandas.DataFrame
        From `photo_z.add_photo_z`.
    settings : dict
    scale : float
        Arcsec per pixel.
    """
    band = settings["shape_band"]
    links = tables["assignments"].to_pandas()
    members = links[links["det_id"] > 0].merge(truth[[*KEY, "kind", "redshift", f"flux_{band}", f"mag_{band}"]], on=KEY)
    members = members.rename(columns={f"flux_{band}": "flux", f"mag_{band}": "mag"})
    _mixed(scores, tables, members, blocks)
    table = tables["truth"].copy(copy_data=False)
    table["flux"] = table[f"flux_{band}"]
    friends = linked(table, settings["truth_snr"], scale)
    _compared(scores, friends, members, truth, blocks, band)
    if "kept" in samples:
        _shifts(scores, tables, friends, truth, samples["kept"], band)


def mixed(members):
    """Return which detections mix redshifts: a Series by patch, twin and det_id.

    Parameters
    ----------
    members : pandas.DataFrame
        A row per source that is assigned to a detection, with ``flux`` and ``redshift``.
    """
    ordered = members.sort_values([*DETECTION, "flux"], ascending=[True, True, True, False])
    each = ordered.groupby(DETECTION)
    share = ordered["flux"] / each["flux"].transform("sum")
    first = each["redshift"].transform("first")
    away = (ordered["redshift"] - first).abs() > MIXED_DZ * (1 + first)
    second = (each.cumcount() == 1) & (share >= MIXED_SHARE) & away
    return second.groupby([ordered[name] for name in DETECTION]).any()


def _mixed(scores, tables, members, blocks):
    """PZ-D1."""
    stars = members[members["dominant"] & (members["kind"] == "star")].set_index(DETECTION).index
    found = tables["detections"].to_pandas()
    found = found[found["inside"]].set_index(DETECTION)
    galaxies = members[members["kind"] == "galaxy"]
    light = pd.DataFrame({"mixed": mixed(galaxies), "flux": galaxies.groupby(DETECTION)["flux"].sum()})
    brightest = galaxies.groupby(DETECTION)["mag"].min()
    flux = galaxies.groupby(DETECTION)["flux"].max()
    light["mag"] = brightest - 2.5 * np.log10(light["flux"] / flux)
    found = found[~found.index.isin(stars)].join(light, how="inner").reset_index()
    found = found[found["mag"] < CUTS["mag"]]
    by = list(strata("magnitude", found["mag"], MAGNITUDE_EDGES))
    scores.add_fractions("PZ-D1", "pipeline", found["patch"].map(blocks), found["mixed"], by)


def partner(frame, keys):
    """Return the flux of the brightest other row of the same group over a row's own, (N,) array; 0 without another.

    Parameters
    ----------
    frame : pandas.DataFrame
        N rows with ``flux``.
    keys : list of str
        Columns that name the groups.
    """
    ordered = frame.sort_values("flux", ascending=False, kind="stable")
    each = ordered.groupby(keys)["flux"]
    rank, first = each.cumcount(), each.transform("max")
    second = ordered["flux"].where(rank == 1).groupby([ordered[key] for key in keys]).transform("max").fillna(0)
    other = second.where(rank == 0, first)
    return (other / ordered["flux"]).reindex(frame.index).to_numpy()


def _compared(scores, friends, members, truth, blocks, band):
    """PZ-D2: which galaxies are blended by the recipe of catalogues, and which by the detector."""
    galaxies = members[members["kind"] == "galaxy"]
    galaxies = galaxies.assign(pixels=partner(galaxies, DETECTION) >= MIXED_SHARE)
    friends = friends.assign(catalogue=partner(friends, ["patch", "twin", "group"]) >= MIXED_SHARE)
    rows = friends[friends["role"] == "target"].merge(truth[[*KEY, f"mag_{band}"]], on=KEY)
    rows = rows[rows[f"mag_{band}"] < CUTS["mag"]].merge(galaxies[[*KEY, "pixels"]], on=KEY, how="left")
    pixels, catalogue = rows["pixels"].eq(True).to_numpy(), rows["catalogue"].to_numpy()
    by = list(strata("magnitude", rows[f"mag_{band}"], MAGNITUDE_EDGES))
    for fom, these in (
        ("PZ-D2", catalogue),
        ("PZ-D2.pixels", pixels),
        ("PZ-D2.invented", catalogue & ~pixels),
        ("PZ-D2.missed", pixels & ~catalogue),
    ):
        scores.add_fractions(fom, "pipeline", rows["patch"].map(blocks), these, by)


def _shifts(scores, tables, friends, truth, kept, band):
    """PZ-D3: what both kinds of blends do to redshifts, of galaxies that are the brightest in both."""
    frozen = Frozen.of(tables["redshifts"])
    found = tables["redshifts"].to_pandas().rename(columns={"det_id": "source_id"})
    found = found[found["rung"] == FRIENDS]
    alone = kept.loc[kept["rung"] == "isolated", [*KEY, "block", "redshift", "true_mag"]]
    group = ["patch", "twin", "group"]
    flux = friends.merge(truth[[*KEY, "redshift"]], on=KEY)
    sums = flux.assign(moment=flux["flux"] * flux["redshift"]).groupby(group)[["moment", "flux"]].sum()
    mean = (sums["moment"] / sums["flux"]).rename("z_members").reset_index()
    friends = friends.loc[friends["brightest"], [*KEY, "group"]].merge(mean, on=group)
    blends = with_errors(alone.merge(found, on=KEY).merge(friends, on=KEY), frozen)
    both = pd.MultiIndex.from_frame(blends[KEY])
    rest = kept[pd.MultiIndex.from_frame(kept[KEY]).isin(both)]
    for rung in COMPARED:
        rows = blends if rung == FRIENDS else rest[rest["rung"] == rung]
        by = list(strata("magnitude", rows["true_mag"], MAGNITUDE_EDGES))
        scores.add_mean("PZ-D3", rung, rows["block"], outlier(rows["dz"]), 1.0, by, "brightest")
        for fom, column in (("PZ-D3.bin", "redshift"), ("PZ-D3.members", "z_members")):
            add_bins(scores, fom, rung, rows, column, "brightest", frozen)
