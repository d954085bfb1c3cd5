"""Turn the tables of one chunk into sufficient statistics per block of sky."""

import json

from ..cases.base import load_case
from ..data import catalogues
from ..data.transient_geometry import THRESHOLD_META
from ..data.truth_meta import DEPTH_META, EPOCHS_META, FWHM_META, PATCHES_META


def run(settings, truth, detections, assignments, measurements, scores_out, meta=None):
    """Score one chunk; the parameters are paths of its tables, ``measurements`` a folder."""
    tables = {name: catalogues.read(path) for name, path in
              (("truth", truth), ("detections", detections), ("assignments", assignments))}
    tables |= catalogues.read_folder(measurements)
    facts = facts_of(tables["truth"])
    for table in tables.values():
        if THRESHOLD_META in table.meta:
            facts["threshold"] = table.meta[THRESHOLD_META]
    scores = load_case(settings["case"]).score(tables, {**settings, **facts})
    catalogues.write(scores.table(), scores_out, meta)


def facts_of(truth):
    """Return what the scoring must know of the images, from the truth's metadata."""
    facts = {key: truth.meta[key] for key in ("pixel_scale", "zero_point")}
    facts["psf_fwhm"] = json.loads(truth.meta[FWHM_META])
    facts["depth"] = json.loads(truth.meta.get(DEPTH_META, "{}"))
    facts["epochs"] = json.loads(truth.meta.get(EPOCHS_META, "{}"))
    facts["patches"] = json.loads(truth.meta[PATCHES_META])
    return facts
