"""WL-D2: what re-detection on sheared images does to the shear response, from swapped lists of centres."""

import numpy as np

from ...stats.figures_of_merit import parts

BOUND = 1.0
"""Shapes beyond it count as it: of light that is next to nothing the regularised shape can have any size."""
CHILDREN = {"WL-D2": "merged", "WL-D2.deblended": "pipeline", "WL-D2.raw": "undeblended"}
"""Figures of merit, and the rung whose children they are of."""
KEY = ["patch", "list", "rung", "det_id"]


def add_swapped(scores, tables, truth, blocks, settings, cuts):
    """Add the sums of WL-D2 and its variants.

    Parameters
    ----------
    scores : Scores
    tables : dict of str to Table
        ``swapped`` (`ladder.swapped`) and ``assignments``.
    truth : pandas.DataFrame
        With ``kind``, ``snr`` and the magnitude in the shape band.
    blocks : pandas.Series
        Block by patch.
    settings : dict
    cuts : dict of str to float
        Of the lensing sample: ``mag`` and ``snr``.
    """
    band, g = settings["shape_band"], settings["shear"]
    members = paired(tables["swapped"].to_pandas(), band)
    members["block"] = members["patch"].map(blocks)
    main = tables["assignments"].to_pandas()
    main = main[main["dominant"]].merge(truth, on=["patch", "twin", "source_id"])
    main = main.rename(columns={"twin": "list", f"mag_{band}": "true_mag", "snr": "true_snr"})
    names = ["patch", "list", "det_id"]
    members = members.merge(main[[*names, "kind", "true_mag", "true_snr"]], on=names, how="left", validate="m:1")
    galaxies = members[members["kind"] != "star"]
    for fom, rung in CHILDREN.items():
        _add_lists(scores, fom, galaxies[galaxies["rung"] == rung], g)
    exact = galaxies[galaxies["rung"] == "merged"]
    _add_lists(scores, "WL-D2.cuts", exact[exact["own_snr"] >= cuts["snr"]], g)
    lensing = (exact["true_mag"] < cuts["mag"]) & (exact["true_snr"] >= cuts["snr"])
    _add_lists(scores, "WL-D2.bright", exact[lensing], g)
    _add_merging(scores, exact, galaxies[galaxies["rung"] == "oracle"], g)


def paired(rows, band):
    """Return the members of all lists that are measured on both images, one row each.

    Parameters
    ----------
    rows : pandas.DataFrame
        The table of swapped lists.
    band : str
        Of the shapes.

    Returns
    -------
    pandas.DataFrame
        `KEY`, ``plus`` and ``minus``: e1 on the images of +g and of -g, within `BOUND`; ``own_snr``: S/N on the image
        of the list.
    """
    rows = rows[(rows["band"] == band) & np.isfinite(rows["e1_weighted"])]
    sheared = rows["twin"].str.startswith("plus")
    sides = {
        side: here.set_index(KEY)["e1_weighted"].clip(-BOUND, BOUND)
        for side, here in (("plus", rows[sheared]), ("minus", rows[~sheared]))
    }
    own = rows[rows["twin"] == rows["list"]].set_index(KEY)["snr_weighted"]
    # A member that one of the images lacks is left out on both: the list is the same on either.
    return (
        sides["plus"]
        .to_frame("plus")
        .join(sides["minus"].rename("minus"), how="inner")
        .join(own.rename("own_snr"))
        .reset_index()
    )


def _add_lists(scores, fom, members, g):
    plus, sums = members["list"].str.startswith("plus").to_numpy(), members[["plus", "minus"]].to_numpy() / (2 * g)
    for _, block, here in parts(members["block"]):
        lists = [x for own in (here[plus[here]], here[~plus[here]]) for x in (len(own), *sums[own].sum(axis=0))]
        scores.add(fom, "detection", block, lists)


def _add_merging(scores, members, alone, g):
    """Add the responses of detections, and of the brightest source of each alone at its true centre."""
    names = ["patch", "list", "det_id"]
    true = alone.set_index(names)
    true = ((true["plus"] - true["minus"]) / (2 * g)).rename("true")
    both = members.assign(response=(members["plus"] - members["minus"]) / (2 * g)).join(true, on=names, how="inner")
    plus = both["list"].str.startswith("plus").to_numpy()
    response, true = both["response"].to_numpy(), both["true"].to_numpy()
    for _, block, here in parts(both["block"]):
        lists = [x for own in (here[plus[here]], here[~plus[here]]) for x in (len(own), response[own].sum())]
        scores.add("WL-D2.merging", "detection", block, [*lists, len(here), true[here].sum()])
