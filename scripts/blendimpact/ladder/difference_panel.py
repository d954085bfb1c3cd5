"""A supernova, a trail and a comet of a chunk through the rungs: science image, template and differences."""

import numpy as np

from ..data.stamps import cut
from .base import stamp_size
from .differences import injected
from .example_blend import first_patch
from .panels import NoPanel, TransientPanel

WISHES = (
    ("supernova", lambda t: (t["transient"] == "supernova") | (t["transient"] == "nuclear"), "host_sb", 1),
    ("trail", lambda t: t["kind"] == "trail", "trail_length", -1),
    ("comet", lambda t: t["kind"] == "comet", "snr", -1),
)
"""Rows of the figure: name, which rows of the truth, and of what the least (1) or the largest (-1) is taken."""
CLEAR = 12.0
"""S/N from which a transient can be told by eye."""


def transient_panel(ladder, chunk):
    """Return the `TransientPanel` of one transient of each sort of the first patch of a chunk, or `NoPanel`.

    Parameters
    ----------
    ladder : ladder.difference.DifferenceLadder
    chunk : Chunk
        With its truth, its detections, its sky and its differences.
    """
    settings = ladder.settings
    chosen = select_transients(first_patch(chunk.tables["truth"]), settings["shape_band"])
    if not chosen:
        return NoPanel(f"{settings['case']}: no transient in the first patch to draw")
    rows = []
    for name, source in chosen.items():
        data = chunk.read(int(source["patch"]), str(source["twin"]))
        differences = ladder.differences(data)
        rows.append(triplet(name, source, differences, data.detections, settings))
    columns = {
        "science": "science",
        "template": "template",
        "truth": "transient alone\nno noise",
        "isolated": "isolated\nown and sky noise",
        "oracle": "oracle (merged)\nexact subtraction",
        "undeblended": "undeblended\nno subtraction",
        "deblended": f"deblended (pipeline)\n{settings['subtractor']}",
    }
    return TransientPanel(
        rows,
        columns,
        f"{settings['case']}, {settings['shape_band']}: cross = true place, circles = "
        f"detections on the real difference ({settings['finder']}, {settings['subtractor']})",
        differences.image.pixel_scale,
    )


def select_transients(truth, band):
    """Return {sort: truth row} of the transients to draw: clear ones if there are any."""
    out = {}
    rows = truth[injected(truth, band) & (np.asarray(truth["role"]) == "target")]
    for name, wanted, by, sign in WISHES:
        names = {"transient", "kind", by} <= set(rows.colnames)
        mine = rows[np.asarray(wanted(rows), bool)] if names else rows[:0]
        clear = mine[np.asarray(mine["snr"], float) >= CLEAR]
        mine = clear if len(clear) else mine
        if len(mine):
            value = sign * np.asarray(mine[by], float)
            out[name] = mine[int(np.argmin(np.where(np.isfinite(value), value, np.inf)))]
    return out


def triplet(name, source, differences, found, settings):
    """Return a row of `report.triplets.draw_triplets`."""
    band = differences.band
    size = stamp_size(settings, differences.scene.patch)
    x0, y0 = (round(float(source[c])) - size // 2 for c in ("x", "y"))

    def stamp(plane, variance):
        return cut(plane, [x0], [y0], size)[0] / np.sqrt(np.median(variance))

    science, template = differences.epochs
    planes = {"science": stamp(science.science, science.variance)}
    if template is not None:
        planes["template"] = stamp(template.science, template.variance)
    for rung in ("truth", "isolated", "oracle", "undeblended", "deblended"):
        difference = differences.of(rung)
        planes[rung] = stamp(difference.image, difference.variance[difference.good] if difference.good.any() else 1.0)
    places = np.c_[found["x"], found["y"]] - (x0, y0)
    places = places[((places >= 0) & (places < size)).all(axis=1)]
    more = ""
    if name == "supernova":
        more = f"{source['host_distance']:.2f} arcsec from its host"
    elif name == "trail":
        more = f"{source['trail_length']:.1f} arcsec long"
    return {
        "title": f"{name}, {band} = {source[f'mag_{band}']:.1f}\nS/N {source['snr']:.0f}\n{more}",
        "planes": planes,
        "target": (source["x"] - x0, source["y"] - y0),
        "found": {"deblended": places},
    }
