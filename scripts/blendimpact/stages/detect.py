"""Find objects in the patches of one chunk and say which truth each one holds."""

import numpy as np
from astropy.table import Table

from ..data import catalogues
from ..data.images import PatchFile
from ..data.matching import assign
from ..data.progress import progress
from ..data.sky_maps import ALONE, SkyWriter
from ..detect import DETECTORS
from ..detect.base import detect_on_stamps
from ..ladder import outcomes
from ..ladder.differences import Differences, injected
from ..measure.sky import estimate_sky
from ..search import FINDERS
from ..sky.true_scene import TruthScene, injects_photons
from ..subtract import SUBTRACTORS

FIRST_TWINS = ("plus", "zero")
PURE = 0.99  # below this purity a source counts as overlapped (foreign light over 1 %)

DETECTION_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "patch": (None, "index of the patch"),
    "twin": (None, "plus, minus: scene sheared by +g, -g; zero: not sheared"),
    "detector": (None, "detector"),
    "det_id": (None, "number of the detection in patch, twin and detector, from 1"),
    "x": ("pix", "centroid along axis 1, first pixel is 0"),
    "y": ("pix", "centroid along axis 2, first pixel is 0"),
    "npix": (None, "pixels above threshold"),
    "a": ("pix", "rms along the major axis above threshold"),
    "b": ("pix", "rms along the minor axis above threshold"),
    "theta": ("rad", "position angle of the major axis, from x towards y"),
    "peak_snr": (None, "peak of the filtered detection image in units of its noise; of a change with its sign"),
    "flag": (None, "flags of the detector"),
    "inside": (None, "inside the border once the scene's shear is undone: it is measured"),
    "n_members": (None, "truth sources assigned to the detection, |A(d)|"),
    "outcome": (None, "blend outcome of the detection"),
    "blend": (None, "number of the blend in the patch: connected sources and detections"),
}
ASSIGNMENT_COLUMNS = {
    **{k: DETECTION_COLUMNS[k] for k in ("case", "scenario", "patch", "twin", "detector")},
    "source_id": (None, "truth source; every source above the truth-side S/N cut has one row"),
    "det_id": (None, "detection that holds the source, 0 if none"),
    "distance": ("arcsec", "from the source to that detection"),
    "how": (None, "nearest: within the match radius; owner: by the footprint's pixel; none"),
    "dominant": (None, "the source is the brightest of its detection"),
    "found_alone": (None, "1 if the detector finds the source on empty sky with the same noise, else 0; -1: not "
                          "tried (no target, or not the first twin of a patch)"),
    "outcome": (None, "blend outcome of the source"),
    "blend": (None, "number of the blend in the patch: connected sources and detections"),
}


def run(settings, seed, images, truth, detections_out, assignments_out, sky_out, options=None, meta=None,
        engine_options=None):
    """Detect, assign and classify; see `run` of the other stages for the parameters.

    ``engine_options`` are those of the subtractor, if the case has one: then what is searched is the difference.
    """
    differs = settings.get("subtractor")
    detector = (FINDERS.create(settings["finder"], options) if differs
                else DETECTORS.create(settings["detector"], options))
    engine = SUBTRACTORS.create(settings["subtractor"], engine_options) if differs else None
    truth = catalogues.read(truth, columns=("source_id", "snr", "role"))
    found, assigned = [], []
    with PatchFile(images) as file, SkyWriter(sky_out) as skies:
        for index, twin in progress(file.keys(), "detect"):
            patch = file.read(index, twin)
            rows = truth[(truth["patch"] == index) & (truth["twin"] == twin)]
            ids = {"case": settings["case"], "scenario": settings["scenario"], "patch": index,
                   "twin": twin, "detector": detector.name}
            sky = estimate_sky(patch, settings["measure"].get("sky"))
            skies.write(patch, sky)
            if engine:
                detections, assignments, alone = detect_changes(detector, engine, patch, sky, rows, settings, seed)
                skies.add(patch, ALONE, alone)
            else:
                detections, assignments = detect_patch(detector, patch, sky, rows, settings, seed)
            found.append(catalogues.with_ids(detections, ids, DETECTION_COLUMNS))
            assigned.append(catalogues.with_ids(assignments, ids, ASSIGNMENT_COLUMNS))
    catalogues.write(catalogues.join(found, DETECTION_COLUMNS), detections_out, meta)
    catalogues.write(catalogues.join(assigned, ASSIGNMENT_COLUMNS), assignments_out, meta)


def detect_patch(detector, patch, sky, truth, settings, seed):
    """Return the detections of a patch and the assignment of its truth sources to them.

    Parameters
    ----------
    detector : member of DETECTORS
    patch : Patch
    sky : dict of str to (ny, nx) array
    truth : Table
        Truth of this patch and twin.
    settings : dict
        ``truth_snr``, ``match_radius`` (arcsec), ``stamp`` (arcsec), ``shape_band``, ``case``.
    seed : int

    Returns
    -------
    detections, assignments : Table
        Columns of `DETECTION_COLUMNS` and `ASSIGNMENT_COLUMNS` without the ids.
    """
    detection = detector.detect(patch, sky, truth)
    table = detection.table
    scale = next(iter(patch.bands.values())).pixel_scale
    radius = settings["match_radius"] / scale
    kept = truth[detectable(truth, settings["truth_snr"])]
    band = settings["shape_band"]
    true_xy, found_xy = np.c_[kept["x"], kept["y"]], np.c_[table["x"], table["y"]]
    pairs = assign(true_xy, np.asarray(kept[f"flux_{band}"], float), found_xy, detection.segmentation, radius,
                   det_id=np.asarray(table["det_id"]))
    # A source is on its footprint out to twice its half-light radius: there a second detection is a piece.
    reach = np.maximum(radius, 2 * np.nan_to_num(np.asarray(kept["hlr"], float)) / scale)
    alone = found_alone(detector, patch, kept, settings, seed)
    return _tables(patch, detection, kept, pairs, reach, alone, settings)


def _tables(patch, detection, kept, pairs, reach, alone, settings):
    """Return the detections and the assignments that follow from the ``pairs`` of the ``kept`` truth and detections."""
    table, det = detection.table, np.asarray(pairs["det"])
    scale = next(iter(patch.bands.values())).pixel_scale
    purity = np.asarray(kept[f"purity_{settings['shape_band']}"], float)
    outcome = outcomes.classify(np.c_[kept["x"], kept["y"]], np.c_[table["x"], table["y"]], det, reach, purity < PURE)
    det_ids = np.append(np.asarray(table["det_id"], np.int64), 0)  # index -1: not detected
    assignments = Table({
        "source_id": np.asarray(kept["source_id"], np.int64), "det_id": det_ids[det],
        "distance": np.asarray(pairs["distance"], float) * scale, "how": np.asarray(pairs["how"]),
        "dominant": np.asarray(pairs["dominant"]), "found_alone": alone, "outcome": outcome.truth,
        "blend": outcome.blend})
    table = table.copy()
    table["n_members"] = np.bincount(det[det >= 0], minlength=len(table)).astype(np.int32)
    table["outcome"] = outcome.detection
    table["blend"] = outcome.detection_blend
    table["inside"] = patch.inside_unsheared(table["x"], table["y"])
    return table, assignments


def detect_changes(detector, engine, patch, sky, truth, settings, seed):
    """Return the detections on the difference of a patch, the assignment of what changes to them, and those alone.

    What changes is every transient, and the variable stars whose change has a S/N of ``truth_snr`` alone. Each belongs
    to a detection of the sign of its change, within the match radius or, for trails, on its line. The other
    parameters are those of `detect_patch`; ``engine`` is a member of SUBTRACTORS.
    """
    scene = TruthScene(patch, truth, seed, settings["case"], photons=injects_photons(settings))
    differences = Differences(scene, sky, settings, engine)
    scale, band = differences.image.pixel_scale, settings["shape_band"]
    radius = settings["match_radius"] / scale
    kept, change = changing(truth, band, settings["truth_snr"])
    detection = detector.find(differences.real, scale, scene.real)
    pairs = assign_changes(kept, change, detection, radius)
    own = [np.asarray(kept[n], float) * f for n, f in (("trail_length", 0.5), ("coma_radius", 1), ("tail_length", 1))
           if n in kept.colnames]
    reach = np.maximum.reduce([np.zeros(len(kept)), *map(np.nan_to_num, own)]) / scale
    target = np.asarray(kept["role"]) == "target"
    alone = np.full(len(kept), -1, np.int8)
    empty_sky = detector.find(differences.isolated, scale, scene.real)
    if patch.twin in FIRST_TWINS and target.any():
        found = assign_changes(kept, change, empty_sky, radius)
        alone[target] = np.asarray(found["det"])[target] >= 0
    return *_tables(patch, detection, kept, pairs, radius + reach, alone, settings), empty_sky.table


def changing(truth, band, cut):
    """Return the truth rows that differ between visit and template, and by what flux.

    Every injected source whose light is in the visit; of the others those whose change has an isolated S/N of ``cut``.
    """
    flux = np.asarray(truth[f"flux_{band}"], float)
    before = np.asarray(truth[f"template_flux_{band}"], float) if f"template_flux_{band}" in truth.colnames else flux
    new = injected(truth, band)
    change = np.where(new, flux, flux - before)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.abs(change) / flux * np.asarray(truth["snr"], float) >= cut
    rows = new | (seen & (change != 0))
    return truth[rows], change[rows]


def assign_changes(kept, change, detection, radius):
    """Return `data.matching.assign` of changes and detections, each sign for itself."""
    table = detection.table
    out = None
    height, ids = np.asarray(table["peak_snr"], float), np.asarray(table["det_id"])
    xy, found_xy = np.c_[kept["x"], kept["y"]], np.c_[table["x"], table["y"]]
    for sign in (1, -1):
        mine = np.where(sign * height > 0)[0]
        pairs = assign(xy, np.abs(change), found_xy[mine], detection.segmentation, radius, det_id=ids[mine])
        pairs["det"] = np.append(mine, -1)[np.asarray(pairs["det"])]
        if out is None:
            out = pairs
        else:
            falls = np.asarray(change) < 0
            out[falls] = pairs[falls]
    return out


def detectable(truth, cut):
    """Return the truth sources that the ladder counts: isolated S/N at the cut, or real context."""
    return (np.asarray(truth["snr"], float) >= cut) | (np.asarray(truth["role"]) == "context")


def found_alone(detector, patch, kept, settings, seed):
    """Return whether the real detector finds each target on empty sky, with the same noise (1, 0; -1: not tried)."""
    if patch.twin not in FIRST_TWINS:
        return np.full(len(kept), -1, np.int8)
    if detector.name == "truth":
        return np.where(np.asarray(kept["role"]) == "target", 1, -1).astype(np.int8)
    scene = TruthScene(patch, kept, seed, settings["case"], photons=injects_photons(settings))
    size = stamp_size(settings, patch)
    targets = kept[np.asarray(kept["role"]) == "target"]
    children = scene.isolated([int(i) for i in targets["source_id"]], size)
    radius = settings["match_radius"] / next(iter(patch.bands.values())).pixel_scale
    sky_variance = {band: np.full((size, size), np.median(image.variance - image.planes["MODEL"] / image.gain),
                                  np.float32) for band, image in patch.bands.items()}
    stamps = {band: children.stamps[:, b] for b, band in enumerate(patch.bands)}
    alone = detect_on_stamps(detector, patch, stamps, children.x0, children.y0, targets["x"], targets["y"], radius,
                             sky_variance)
    found = {int(i): int(yes) for i, yes in zip(targets["source_id"], alone)}
    return np.array([found.get(int(i), -1) for i in kept["source_id"]], np.int8)


def stamp_size(settings, patch):
    """Return the odd side in pixels of a stamp of ``settings["stamp"]`` arcsec."""
    scale = next(iter(patch.bands.values())).pixel_scale
    return 2 * round(settings["stamp"] / scale / 2) + 1
