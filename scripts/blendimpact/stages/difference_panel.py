"""Draw a supernova, a trail and a comet through the rungs: science image, template and differences."""

import h5py
import numpy as np

from ..data import catalogues
from ..data.images import PatchFile
from ..data.sky_maps import SkyFile
from ..data.stamps import cut
from ..ladder.differences import Differences, injected
from ..report.figures import nothing, save
from ..report.triplets import draw_triplets
from ..sky.true_scene import TruthScene, injects_photons
from ..subtract.store import read
from .deblend import difference_name

WISHES = (
    ("supernova", lambda t: (t["transient"] == "supernova") | (t["transient"] == "nuclear"), "host_sb", 1),
    ("trail", lambda t: t["kind"] == "trail", "trail_length", -1),
    ("comet", lambda t: t["kind"] == "comet", "snr", -1),
)
"""Rows of the figure: name, which rows of the truth, and of what the least (1) or the largest (-1) is taken."""
CLEAR = 12.0
"""S/N from which a transient can be told by eye."""


def run(settings, seed, images, truth, detections, assignments, sky, children, figure_out):
    """Draw one transient of each sort of the chunk; parameters are paths as in `stages.measure`."""
    truth, detections = catalogues.read(truth), catalogues.read(detections)
    chosen = choose(truth, settings["shape_band"])
    if not chosen:
        save(nothing(f"{settings['case']}: no transient in the first patches to draw"), figure_out)
        return
    rows = []
    with PatchFile(images) as file, SkyFile(sky) as skies, h5py.File(children, "r") as store:
        for name, source in chosen.items():
            index, twin = int(source["patch"]), str(source["twin"])
            patch = file.read(index, twin)
            here, found = (t[(t["patch"] == index) & (t["twin"] == twin)] for t in (truth, detections))
            scene = TruthScene(patch, here, seed, settings["case"], photons=injects_photons(settings))
            differences = Differences(scene, skies.read(patch), settings, read(store[difference_name(index, twin)]))
            rows.append(triplet(name, source, differences, found, settings))
    columns = {"science": "science", "template": "template", "truth": "transient alone\nno noise",
               "isolated": "isolated\nown and sky noise", "oracle": "oracle (merged)\nexact subtraction",
               "undeblended": "undeblended\nno subtraction",
               "deblended": f"deblended (pipeline)\n{settings['subtractor']}"}
    scale = differences.image.pixel_scale
    save(draw_triplets(rows, columns, f"{settings['case']}, {settings['shape_band']}: cross = true place, circles = "
                       f"detections on the real difference ({settings['finder']}, {settings['subtractor']})", scale),
         figure_out)


def choose(truth, band):
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
    image, band = differences.image, differences.band
    size = 2 * round(settings["stamp"] / image.pixel_scale / 2) + 1
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
    return {"title": f"{name}, {band} = {source[f'mag_{band}']:.1f}\nS/N {source['snr']:.0f}\n{more}", "planes": planes,
            "target": (source["x"] - x0, source["y"] - y0), "found": {"deblended": places}}
