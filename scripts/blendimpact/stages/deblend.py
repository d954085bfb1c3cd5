"""Run the deblender that is under study on true and on detected centres."""

import os

import h5py
import numpy as np
from astropy.table import Table

from ..data import catalogues
from ..data.images import PatchFile
from ..data.progress import progress
from ..data.sky_maps import SkyFile
from ..deblend import DEBLENDERS
from ..ladder.differences import Differences
from ..sky.true_scene import TruthScene
from ..subtract import SUBTRACTORS
from ..subtract.store import write
from .detect import detectable, stamp_size


def group_name(index, twin, centres):
    """Return the HDF5 group of the children of a patch: ``centres`` is "truth" or "real"."""
    return f"{index:05d}/{twin}/{centres}"


def difference_name(index, twin):
    """Return the HDF5 group of the difference of a patch."""
    return f"{index:05d}/{twin}"


def run(settings, images, truth, detections, sky, children_out, options=None, meta=None):
    """Deblend every patch of a chunk twice, write the children that will be measured (HDF5).

    A case with a subtractor, whose ``options`` are given then: subtract, write the differences. The detector made the
    same ones to search them and kept none, so an engine must give the same result every time.
    """
    subtractor = SUBTRACTORS.create(settings["subtractor"], options) if settings.get("subtractor") else None
    deblender = None if subtractor else DEBLENDERS.create(settings["deblender"], options)
    truth = catalogues.read(truth, columns=("source_id", "snr", "role", "x", "y"))
    detections = catalogues.read(detections, columns=("det_id", "x", "y"))
    part = f"{children_out}.part"
    with (PatchFile(images) as file, SkyFile(sky) as skies,
          h5py.File(part, "w", libver=("v110", "v110")) as out):
        for key, value in (meta or {}).items():
            out.attrs[key] = str(value)
        for index, twin in progress(file.keys(), "deblend"):
            patch = file.read(index, twin)
            background = skies.read(patch)
            if subtractor:
                rows = truth[(truth["patch"] == index) & (truth["twin"] == twin)]
                scene = TruthScene(patch, rows, None, settings["case"])  # of which no random number is asked
                difference = Differences(scene, background, settings, subtractor).real
                write(difference, out.create_group(difference_name(index, twin)))
                continue
            size = stamp_size(settings, patch)
            for centres, table in (("truth", true_centres(truth, index, twin, settings["truth_snr"])),
                                   ("real", detections[(detections["patch"] == index)
                                                       & (detections["twin"] == twin)])):
                known = {}
                if getattr(deblender, "needs_truth", False):  # a bound, not a deblender for the sky
                    known["truth"] = truth[(truth["patch"] == index) & (truth["twin"] == twin)]
                children = deblender.deblend(patch, background, table["det_id", "x", "y"], size, **known)
                wanted = wanted_centres(table, patch, centres)
                children.select(wanted).write(out.create_group(group_name(index, twin, centres)))
    os.replace(part, children_out)


def true_centres(truth, index, twin, cut):
    """Return the centres of the truth detector in one patch; ``det_id`` is the source_id."""
    use = np.asarray((truth["patch"] == index) & (truth["twin"] == twin)) & detectable(truth, cut)
    return Table({"det_id": np.asarray(truth["source_id"], np.int64)[use], "x": np.asarray(truth["x"], float)[use],
                  "y": np.asarray(truth["y"], float)[use], "role": np.asarray(truth["role"])[use]}, copy=False)


def wanted_centres(table, patch, centres):
    """Return which centres are measured: targets, or detections that lie inside the border."""
    if centres == "truth":
        return np.asarray(table["role"]) == "target"
    return patch.inside_unsheared(table["x"], table["y"])

