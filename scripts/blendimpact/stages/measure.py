"""Measure every rung of the ladder on the patches of one chunk."""

import h5py
import numpy as np

from ..config.settings import searcher, separator
from ..data import catalogues
from ..data.children import Children
from ..data.images import PatchFile
from ..data.progress import progress
from ..data.sky_maps import ALONE, SkyFile
from ..data.transient_geometry import THRESHOLD_META
from ..deblend import DEBLENDERS
from ..ladder.difference_rows import CHANGE_COLUMNS, measure_differences, search_threshold
from ..ladder.differences import Differences
from ..ladder.rungs import REFERENCE, RUNGS
from ..measure.correlated import noise_of
from ..measure.objects import MEASUREMENT_COLUMNS, measure_arrays
from ..sky.true_scene import TruthScene, injects_photons
from ..subtract.store import read
from .deblend import difference_name, group_name, true_centres, wanted_centres
from .detect import stamp_size

ID_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "patch": (None, "index of the patch"),
    "twin": (None, "plus, minus: scene sheared by +g, -g; zero: not sheared"),
    "rung": (None, "rung of the ladder; truth: noiseless isolated image"),
    "detector": (None, "detector of the rung"),
    "deblender": (None, "deblender of the rung, or engine of its subtraction"),
    "det_id": (None, "detection; the source_id where the centres are true"),
}


def run(settings, seed, images, truth, detections, assignments, sky, children, measurements_out, meta=None,
        options=None):
    """Measure all rungs and write one row per rung, object and band.

    ``options`` of the detector or finder: in a case with a subtractor it searches the differences of other rungs too.
    """
    truth = catalogues.read(truth, columns=("source_id", "role", "snr"))
    detections = catalogues.read(detections, columns=("det_id", "x", "y"))
    assignments = catalogues.read(assignments, columns=("source_id", "det_id"))
    tables = []
    with PatchFile(images) as file, SkyFile(sky) as skies, h5py.File(children, "r") as store:
        stamps, references = {}, {}
        for index, twin in progress(file.keys(), "measure"):
            patch = file.read(index, twin)
            changes = settings.get("subtractor")

            def here(table, index=index, twin=twin):
                return table[(table["patch"] == index) & (table["twin"] == twin)]

            if changes:
                scene = TruthScene(patch, here(truth), seed, settings["case"], photons=injects_photons(settings))
                differences = Differences(scene, skies.read(patch), settings, read(store[difference_name(index, twin)]))
                alone = skies.table(patch, ALONE)
                for rung, rows in measure_differences(differences, here(detections), alone, settings, options):
                    tables.append(with_ids(rows, settings, patch, rung, CHANGE_COLUMNS))
                continue
            stored = {c: Children.read(store[group_name(index, twin, c)]) for c in ("truth", "real")}
            if (index, patch.shear) not in stamps:  # twins of opposite noise have the same light
                stamps, references = {(index, patch.shear): {}}, {}
            scene = TruthScene(patch, here(truth), seed, settings["case"], stamps[index, patch.shear],
                               injects_photons(settings))
            for rung, objects in measure_patch(scene, skies.read(patch), here(detections), here(assignments), stored,
                                               settings, references=references):
                tables.append(with_ids(objects, settings, patch, rung))
    if settings.get("subtractor") and (threshold := search_threshold(settings, options)) is not None:
        meta = {**(meta or {}), THRESHOLD_META: threshold}
    columns = {**ID_COLUMNS, **(CHANGE_COLUMNS if settings.get("subtractor") else MEASUREMENT_COLUMNS)}
    catalogues.write(catalogues.join(tables, columns), measurements_out, meta)


def with_ids(objects, settings, patch, rung, columns=MEASUREMENT_COLUMNS):
    """Return measurements of one patch and rung, {name: array}: `ID_COLUMNS`, then their own ``columns``."""
    kind = RUNGS.get(rung)
    names = {"truth": "truth", "none": "none", "real": None}
    ids = {"case": settings["case"], "scenario": settings["scenario"], "patch": patch.index,
           "twin": patch.twin, "rung": rung,
           "detector": "truth" if kind is None else names[kind.detector] or searcher(settings),
           "deblender": "none" if kind is None else names[kind.deblender] or separator(settings)}
    return catalogues.with_ids(objects, ids, (*ID_COLUMNS, *columns))


def rung_children(scene, sky, detections, assignments, stored, settings):
    """Return how the child images of every rung are made.

    Parameters
    ----------
    scene : TruthScene
        The patch and its true sources.
    sky : dict of str to (ny, nx) array
    detections, assignments : Table
        Rows of this patch and twin.
    stored : dict of str to Children
        Children of the real deblender on "truth" and "real" centres.
    settings : dict

    Returns
    -------
    dict of str to (callable, str)
        By rung: a function without arguments that returns `Children`, and whose centres they have,
        "truth" or "real".
    """
    patch, size = scene.patch, stamp_size(settings, scene.patch)
    centres = measured_centres(scene, detections, settings)
    true, found = centres["truth"], centres["real"]
    targets = [int(i) for i in true["det_id"]]
    members = {}
    for source_id, det_id in zip(assignments["source_id"], assignments["det_id"]):
        members.setdefault(int(det_id), []).append(int(source_id))
    return {
        REFERENCE: (lambda: scene.noiseless(targets, size), "truth"),
        "isolated": (lambda: scene.isolated(targets, size), "truth"),
        "oracle": (lambda: scene.deblended(targets, true["x"], true["y"], [[i] for i in targets], size, sky),
                   "truth"),
        "undeblended": (lambda: DEBLENDERS.create("none").deblend(patch, sky, true["det_id", "x", "y"], size),
                        "truth"),
        "deblended": (lambda: stored["truth"], "truth"),
        "merged": (lambda: scene.deblended(found["det_id"], found["x"], found["y"],
                                           [members.get(int(d), []) for d in found["det_id"]], size, sky),
                   "real"),
        "pipeline": (lambda: stored["real"], "real"),
    }


def measured_centres(scene, detections, settings):
    """Return the centres that are measured, {"truth": targets, "real": detections in the border}."""
    patch = scene.patch
    true = true_centres(scene.truth, patch.index, patch.twin, settings["truth_snr"])
    return {"truth": true[wanted_centres(true, patch, "truth")],
            "real": detections[wanted_centres(detections, patch, "real")]}


def measure_patch(scene, sky, detections, assignments, stored, settings, rungs=None, references=None):
    """Yield (rung, {column: array}) for all rungs of one patch and twin, or for the ``rungs`` that are named.

    The other parameters are those of `rung_children`; the columns are `MEASUREMENT_COLUMNS` and
    det_id. ``references`` keeps those of the noiseless sources, which is the same in twins of opposite noise.
    """
    references = {} if references is None else references
    options = {**settings["measure"],
               "noise_correlation": noise_of(settings["measure"].get("noise_correlation", 1.0), scene.truth.meta,
                                             scene.patch.bands)}
    positions = measured_centres(scene, detections, settings)
    where = {name: {int(d): (float(x), float(y)) for d, x, y in zip(t["det_id"], t["x"], t["y"])}
             for name, t in positions.items()}
    for rung, (make, centres) in rung_children(scene, sky, detections, assignments, stored, settings).items():
        if rungs is not None and rung not in rungs:
            continue
        if rung in references:
            yield rung, references[rung]
            continue
        children = make()
        x, y = np.array([where[centres][int(d)] for d in children.det_id]).reshape(-1, 2).T
        objects = measure_arrays(children, x, y, scene.patch, options, settings["shape_band"],
                                 noiseless=rung == REFERENCE)
        if rung == REFERENCE:
            references[rung] = objects
            for values in objects.values():
                values.flags.writeable = False  # twins share them
        yield rung, objects
