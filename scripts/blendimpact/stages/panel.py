"""Draw one blend of a chunk through all rungs."""

import h5py
import numpy as np

from ..data import catalogues
from ..data.children import Children
from ..data.images import PatchFile
from ..data.psf_shift import ShiftedPsf, unit_psf
from ..data.sky_maps import SkyFile
from ..measure.objects import measure_children
from ..report.example_blend import choose
from ..report.figures import nothing, save
from ..report.panel import draw
from ..sky.true_scene import TruthScene, injects_photons
from . import difference_panel
from .deblend import group_name
from .detect import stamp_size
from .measure import rung_children

FIELD = 75  # pixels: half a side of the cut of a star field


def run(settings, seed, images, truth, detections, assignments, sky, children, figure_out):
    """Draw the brightest clear blend of the chunk; parameters are paths as in `stages.measure`.

    Of a case with a subtractor: some transients, see `stages.difference_panel`.
    """
    if settings.get("subtractor"):
        difference_panel.run(settings, seed, images, truth, detections, assignments, sky, children, figure_out)
        return
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
    field = None
    if settings["measure"].get("psf"):
        field = star_field(patch, background, here, near, stored["real"], settings)
    save(draw(stamps, titles, noise, caption, np.c_[near["x"] - x0, near["y"] - y0], scale, field), figure_out)


def star_field(patch, sky, tables, known, children, settings):
    """Return what `blendimpact.report.panel.draw_field` draws of the middle of a patch.

    The residual is the scene minus a point source for each measured detection of the pipeline.
    """
    band = settings["shape_band"]
    image = patch.bands[band]
    found = tables["detections"][np.asarray(tables["detections"]["inside"], bool)]
    where = {int(d): (x, y) for d, x, y in zip(found["det_id"], found["x"], found["y"])}
    x, y = np.array([where[int(d)] for d in children.det_id]).reshape(-1, 2).T
    options = {**settings["measure"], "noise_correlation": 1.0}  # errors are not shown
    rows = measure_children(children, x, y, patch, options, band)
    rows = rows[np.asarray(rows["band"]) == band]
    light = image.science - sky[band]
    residual = light - point_sources(image, rows)
    # What lies in the border is not measured, so it is not taken away either.
    half = min(FIELD, min(patch.shape) // 2 - patch.border)
    cy, cx = (n // 2 for n in patch.shape)
    cut = np.s_[cy - half:cy + half, cx - half:cx + half]

    def inside(table):
        xy = np.c_[table["x"], table["y"]] - (cx - half, cy - half)
        return xy[((xy >= -0.5) & (xy < 2 * half - 0.5)).all(axis=1)]

    return {"image": light[cut], "residual": residual[cut], "noise": float(np.sqrt(np.median(image.variance[cut]))),
            "true_xy": inside(known), "targets_xy": inside(known[np.asarray(known["role"]) == "target"]),
            "found_xy": inside(found), "title": f"{settings['case']}, patch {patch.index}, {band}: middle of the patch"}


def point_sources(image, rows):
    """Return the sum of the PSFs of measured objects, (ny, nx): ``flux_psf`` at the fitted or given place."""
    psf = unit_psf(image)
    half = len(psf) // 2
    out = np.zeros(np.add(image.science.shape, 2 * half))
    good = rows[np.isfinite(np.asarray(rows["flux_psf"], float))]
    x, y = (np.where(np.isfinite(good[f"{k}_psf"]), good[f"{k}_psf"], good[k]) for k in ("x", "y"))
    xi, yi = np.rint(x).astype(int), np.rint(y).astype(int)
    for flux, stamp, i, j in zip(good["flux_psf"], ShiftedPsf(psf, half).draw(x - xi, y - yi), xi, yi):
        out[j:j + 2 * half + 1, i:i + 2 * half + 1] += flux * stamp
    return out[half:-half, half:-half]
