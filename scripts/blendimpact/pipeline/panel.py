"""Draw one blend of a chunk through all rungs."""

import h5py
import numpy as np

from ..core import catalogues
from ..core.images import PatchFile
from ..deblend.children import Children
from ..deblend.truth import TruthScene, injects_photons
from ..matrix.figures import nothing, save
from ..matrix.panel import draw
from .clear_blend import choose
from .deblend import group_name
from .detect import stamp_size
from .measure import rung_children
from .sky import SkyFile


def run(settings, seed, images, truth, detections, assignments, sky, children, figure_out):
    """Draw the brightest clear blend of the chunk; parameters are paths as in `pipeline.measure`."""
    tables = {name: catalogues.read(path) for name, path in
              (("truth", truth), ("detections", detections), ("assignments", assignments))}
    chosen = choose(tables["truth"], settings)
    if chosen is None:
        save(nothing(f"{settings['case']}: no target in the first patches, so no blend to draw"), figure_out)
        return
    index, twin, source_id = chosen
    here = {name: t[(t["patch"] == index) & (t["twin"] == twin)] for name, t in tables.items()}
    with PatchFile(images) as file, SkyFile(sky) as skies, h5py.File(children, "r") as store:
        patch = file.read(index, twin)
        background = skies.read(patch)
        stored = {c: Children.read(store[group_name(index, twin, c)]) for c in ("truth", "real")}
    links = here["assignments"][here["assignments"]["source_id"] == source_id]
    det_id = int(links["det_id"][0]) if len(links) else 0
    stamps, titles = {}, {}
    scene = TruthScene(patch, here["truth"], seed, settings["case"], photons=injects_photons(settings))
    for rung, (made, centres) in rung_children(scene, background, here["detections"], here["assignments"], stored,
                                               settings).items():
        real = centres == "real"
        wanted = det_id if real else source_id
        children_of = made()
        where = np.flatnonzero(children_of.det_id == wanted)
        if len(where) and wanted:
            stamps[rung] = children_of.stamps[where[0]]
    row = here["truth"][here["truth"]["source_id"] == source_id][0]
    size = stamp_size(settings, patch)
    x0, y0 = round(row["x"]) - size // 2, round(row["y"]) - size // 2
    near = here["truth"]
    near = near[np.asarray(near["snr"], float) >= settings["truth_snr"]]
    members = here["assignments"]["source_id"][here["assignments"]["det_id"] == det_id] if det_id else []
    if det_id:
        titles = {"merged": f"{len(members)} true source(s) in it", "pipeline": "as found and deblended"}
    titles |= {"undeblended": "+ true sources", "oracle": "neighbours removed exactly",
               "isolated": "own and sky noise", "deblended": f"{settings['deblender']}, true centres"}
    band = settings["shape_band"]
    caption = (f"{settings['case']}, patch {index}, source {source_id}\n"
               f"{band} = {row[f'mag_{band}']:.2f} mag, isolated S/N = {row['snr']:.0f}\n"
               f"blendedness = {1 - row[f'purity_{band}']:.2f}\n"
               f"bands {', '.join(patch.bands)}; stamp {settings['stamp']:g} arcsec\n"
               f"detector {settings['detector']}, deblender {settings['deblender']}")
    noise = [float(np.sqrt(np.median(i.variance))) for i in patch.bands.values()]
    scale = next(iter(patch.bands.values())).pixel_scale
    save(draw(stamps, titles, noise, caption, np.c_[near["x"] - x0, near["y"] - y0], scale), figure_out)
