"""One blend of a chunk through all rungs, and the middle of its patch if that is a star field."""

import numpy as np

from ..data.children import Children
from ..data.psf_shift import ShiftedPsf, unit_psf
from ..measure.objects import measure_children
from .base import stamp_size
from .example_blend import select_example_blend
from .panels import BlendPanel, NoPanel

FIELD = 75  # pixels: half a side of the cut of a star field


def blend_panel(ladder, chunk):
    """Return the `BlendPanel` of the brightest clear blend of the first patch of a chunk, or `NoPanel`.

    Parameters
    ----------
    ladder : ladder.image.ImageLadder
    chunk : Chunk
        With all its tables, its sky and its child images.
    """
    settings = ladder.settings
    chosen = select_example_blend(chunk.tables["truth"], settings, chunk.tables["assignments"])
    if chosen is None:
        return NoPanel(f"{settings['case']}: no target in the first patch, so no blend to draw")
    index, twin, source_id = chosen
    data = chunk.read(index, twin)
    links, patch = data.assignments, data.patch
    found = links["det_id"][links["source_id"] == source_id]
    det_id = int(found[0]) if len(found) else 0
    stored = {centres: Children.read(data.separated[centres]) for centres in ("truth", "real")}
    row = data.truth[data.truth["source_id"] == source_id][0]
    near = data.truth[np.asarray(data.truth["snr"], float) >= settings["truth_snr"]]
    size = stamp_size(settings, patch)
    x0, y0 = round(row["x"]) - size // 2, round(row["y"]) - size // 2
    field = None
    if psf := [one for one in ladder.measurements if one.name == "psf"]:
        field = star_field(data, near, stored["real"], psf, settings)
    return BlendPanel(
        children=_stamps(ladder.children(data, ladder.scene(data), stored), source_id, det_id),
        titles=_titles(settings["deblender"], int((links["det_id"] == det_id).sum()) if det_id else None),
        noise=[float(np.sqrt(np.median(image.variance))) for image in patch.bands.values()],
        caption=_caption(row, patch, settings),
        centres=np.c_[near["x"] - x0, near["y"] - y0],
        scale=patch.pixel_scale,
        field=field,
    )


def _stamps(made, source_id, det_id):
    """Return {rung: stamp} of a source, of the detection ``det_id`` (0: none) where centres are those of detections."""
    stamps = {}
    for rung, (make, centres) in made.items():
        wanted = det_id if centres == "real" else source_id
        children = make()
        where = np.flatnonzero(children.det_id == wanted)
        if len(where) and wanted:
            stamps[rung] = children.stamps[where[0]]
    return stamps


def _titles(deblender, members):
    """Return {rung: text}; ``members``: how many true sources the target's detection holds, None without one."""
    titles = {
        "undeblended": "+ true sources",
        "oracle": "neighbours removed exactly",
        "isolated": "own and sky noise",
        "deblended": f"{deblender}, true centres",
    }
    if members is not None:
        titles |= {"merged": f"{members} true source(s) in it", "pipeline": "as found and deblended"}
    return titles


def _caption(row, patch, settings):
    band = settings["shape_band"]
    return (
        f"{settings['case']}, patch {patch.index}, source {row['source_id']}\n"
        f"{band} = {row[f'mag_{band}']:.2f} mag, isolated S/N = {row['snr']:.0f}\n"
        f"blendedness = {1 - row[f'purity_{band}']:.2f}\n"
        f"bands {', '.join(patch.bands)}; stamp {settings['stamp']:g} arcsec\n"
        f"detector {settings['detector']}, deblender {settings['deblender']}"
    )


def star_field(data, known, children, psf, settings):
    """Return what `blendimpact.report.panel.draw_field` draws of the middle of a patch.

    The residual is the scene minus a point source for each measured detection of the pipeline.

    Parameters
    ----------
    data : PatchData
    known : Table
        Truth rows to mark.
    children : Children
        Of the detections.
    psf : list of Measurement
        PSF photometry.
    settings : dict
    """
    band, patch = settings["shape_band"], data.patch
    image = patch.bands[band]
    found = data.detections[np.asarray(data.detections["inside"], bool)]
    where = {int(d): (x, y) for d, x, y in zip(found["det_id"], found["x"], found["y"])}
    x, y = np.array([where[int(d)] for d in children.det_id]).reshape(-1, 2).T
    options = {**settings["measure"], "noise_correlation": 1.0}  # errors are not shown
    rows = measure_children(children, x, y, patch, psf, options, band)
    rows = rows[np.asarray(rows["band"]) == band]
    light = image.science - data.sky[band]
    residual = light - point_sources(image, rows)
    # What lies in the border is not measured, so it is not taken away either.
    half = min(FIELD, min(patch.shape) // 2 - patch.border)
    cy, cx = (n // 2 for n in patch.shape)
    cut = np.s_[cy - half : cy + half, cx - half : cx + half]

    def inside(table):
        xy = np.c_[table["x"], table["y"]] - (cx - half, cy - half)
        return xy[((xy >= -0.5) & (xy < 2 * half - 0.5)).all(axis=1)]

    return {
        "image": light[cut],
        "residual": residual[cut],
        "noise": float(np.sqrt(np.median(image.variance[cut]))),
        "true_xy": inside(known),
        "targets_xy": inside(known[np.asarray(known["role"]) == "target"]),
        "found_xy": inside(found),
        "title": f"{settings['case']}, patch {patch.index}, {band}: middle of the patch",
    }


def point_sources(image, rows):
    """Return the sum of the PSFs of measured objects, (ny, nx): ``flux_psf`` at the fitted or given place."""
    psf = unit_psf(image)
    half = len(psf) // 2
    out = np.zeros(np.add(image.science.shape, 2 * half))
    good = rows[np.isfinite(np.asarray(rows["flux_psf"], float))]
    x, y = (np.where(np.isfinite(good[f"{k}_psf"]), good[f"{k}_psf"], good[k]) for k in ("x", "y"))
    xi, yi = np.rint(x).astype(int), np.rint(y).astype(int)
    for flux, stamp, i, j in zip(good["flux_psf"], ShiftedPsf(psf, half).draw(x - xi, y - yi), xi, yi):
        out[j : j + 2 * half + 1, i : i + 2 * half + 1] += flux * stamp
    return out[half:-half, half:-half]
