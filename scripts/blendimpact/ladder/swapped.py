"""Swapped lists: detections on one twin are measured on it and, carried through the known shear, on the opposite one.

Pixels and estimator are the same, so what the mean shapes of both lists differ by is what the detector makes of the
shear. On each image two lists are measured: its own detections and those of the opposite twin.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from ..data.children import Children
from ..data.images import opposite_twin
from ..deblend import DEBLENDERS
from ..measure.objects import columns_of, made, measure_arrays
from .base import ID_COLUMNS, stamp_size

CARRIED = "carried"
"""Group of children of the real deblender on the centres of the opposite twin."""
ESTIMATOR = "weighted"
SWAPPED_COLUMNS = {
    **{name: ID_COLUMNS[name] for name in ("case", "scenario", "patch")},
    "twin": (None, "image that is measured"),
    "list": (None, "twin on whose image the centres were detected; carried through the shear if it is another"),
    "rung": (
        None,
        "merged: exact children, the scene minus what is assigned to other detections; oracle: of these the brightest "
        "source alone, at its true centre; undeblended: raw pixels; pipeline: children of the deblender",
    ),
    "det_id": (None, "detection of that list"),
}


class Swapped(NamedTuple):
    """A list of detections on the image of one twin.

    Attributes
    ----------
    twin : str
        On whose image they were detected.
    centres : Table
        ``det_id``, ``x``, ``y`` on this image, ``inside``: they lie inside the border of the unsheared sky.
    links : Table or None
        ``source_id``, ``det_id`` and ``dominant`` of the sources that are assigned to one of them, if they were read.
    """

    twin: str
    centres: Table
    links: Table | None


def lists_of(data):
    """Return the two lists of an image, its own and the carried one, of `Swapped`.

    Parameters
    ----------
    data : data.chunk.PatchData
        With the ``opposite`` tables. Centres that the shear carries off the image are left out; they lie far outside
        the border.
    """
    patch, (ny, nx) = data.patch, data.patch.shape
    found = []
    for twin, shear, tables in (
        (patch.twin, patch.shear, {"detections": data.detections, "assignments": data.assignments}),
        (opposite_twin(patch.twin), -patch.shear, data.opposite),
    ):
        table, links = tables["detections"], tables.get("assignments")
        x, y = replace(patch, shear=shear).carried(table["x"], table["y"], patch.shear)
        on = (x >= 0) & (x <= nx - 1) & (y >= 0) & (y <= ny - 1)
        centres = Table(
            {
                "det_id": np.asarray(table["det_id"], np.int64)[on],
                "x": x[on],
                "y": y[on],
                "inside": np.asarray(table["inside"], bool)[on],
            }
        )
        if links is not None:
            links = links["source_id", "det_id", "dominant"][np.isin(links["det_id"], centres["det_id"])]
        found.append(Swapped(twin, centres, links))
    return found


def swapped_rows(settings, data, scene_of):
    """Yield (rung, rows) of the shapes of both lists on an image, in the shape band.

    Parameters
    ----------
    settings : dict
        Of the case and scenario.
    data : data.chunk.PatchData
        With ``opposite`` and, for the rung ``pipeline``, children on "real" and `CARRIED` centres.
    scene_of : callable
        Returns the `TruthScene` of such data.

    Yields
    ------
    rung : str
    rows : dict of str to array
        Columns of `swapped_columns` without those of ids; only members inside the border.
    """
    band = settings["shape_band"]
    patch = replace(data.patch, bands={band: data.patch.bands[band]})
    measurement = made({ESTIMATOR: settings["measure"]["measurements"].get(ESTIMATOR, {})})
    for one in lists_of(data):
        here = one.centres[one.centres["inside"]]
        for rung, (children, x, y) in _children(settings, data, patch, one, here, scene_of).items():
            rows = measure_arrays(children, x, y, patch, measurement, settings["measure"], band)
            yield rung, {**rows, "list": np.full(len(children.det_id), one.twin)}


def swapped_columns(settings):
    """Return the columns of the table of swapped lists."""
    chosen = settings["measure"]["measurements"].get(ESTIMATOR, {})
    return {**SWAPPED_COLUMNS, **columns_of(made({ESTIMATOR: chosen}))}


def _children(settings, data, patch, one, here, scene_of):
    """Return {rung: (Children, x, y)} of one list, in the band of the patch."""
    size, band, rungs = stamp_size(settings, patch), settings["shape_band"], settings["swapped"]
    x, y = np.asarray(here["x"]), np.asarray(here["y"])
    out = {}
    if {"merged", "oracle"} & set(rungs):
        scene = scene_of(replace(data, patch=patch))
        out |= {rung: child for rung, child in _exact(scene, data.sky, one, here, size).items() if rung in rungs}
    if "undeblended" in rungs:
        raw = DEBLENDERS.create("none").deblend(patch, {band: data.sky[band]}, here["det_id", "x", "y"], size)
        out["undeblended"] = raw, x, y
    if "pipeline" in rungs:
        stored = Children.read(data.separated["real" if one.twin == data.patch.twin else CARRIED])
        out["pipeline"] = _of_band(stored, list(data.patch.bands).index(band), here)
    return out


def _exact(scene, sky, one, here, size):
    """Return the exact children of one list, and those of the brightest source of each."""
    x, y = np.asarray(here["x"]), np.asarray(here["y"])
    members = {int(d): [] for d in one.centres["det_id"]}
    for source_id, det_id in zip(one.links["source_id"], one.links["det_id"]):
        members[int(det_id)].append(int(source_id))
    # What is assigned to no detection stays in all children: nobody took it away.
    assigned = set(map(int, one.links["source_id"]))
    options = {"sky": sky, "faint": [i for i in scene.rows if i not in assigned]}
    each = [members[int(d)] for d in here["det_id"]]
    main = one.links[np.asarray(one.links["dominant"]) & np.isin(one.links["det_id"], here["det_id"])]
    sources = [int(i) for i in main["source_id"]]
    tx, ty = (np.array([scene.rows[i][name] for i in sources], float) for name in ("x", "y"))
    alone = scene.deblended(main["det_id"], tx, ty, [[i] for i in sources], size, **options)
    return {"merged": (scene.deblended(here["det_id"], x, y, each, size, **options), x, y), "oracle": (alone, tx, ty)}


def _of_band(children, band, here):
    """Return (Children, x, y) of one band, in the order of the children."""
    where = {int(d): k for k, d in enumerate(here["det_id"])}
    rows = [where[int(d)] for d in children.det_id]
    one = replace(children, stamps=children.stamps[:, band : band + 1])
    return one, np.asarray(here["x"])[rows], np.asarray(here["y"])[rows]
