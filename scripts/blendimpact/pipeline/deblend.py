"""Run the deblender that is under study on true and on detected centres."""

import os

import h5py
import numpy as np
from astropy.table import Table

from ..core import catalogues
from ..core.images import PatchFile
from ..deblend import DEBLENDERS
from .detect import detectable, stamp_size
from .progress import progress
from .sky import SkyFile


def group_name(index, twin, centres):
    """Return the HDF5 group of the children of a patch: ``centres`` is "truth" or "real"."""
    return f"{index:05d}/{twin}/{centres}"


def run(settings, images, truth, detections, sky, children_out, options=None, meta=None):
    """Deblend every patch of a chunk twice, write the children that will be measured (HDF5)."""
    deblender = DEBLENDERS.create(settings["deblender"], options)
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
    rows = truth[(truth["patch"] == index) & (truth["twin"] == twin)]
    rows = rows[detectable(rows, cut)]
    return Table({"det_id": np.asarray(rows["source_id"], np.int64), "x": np.asarray(rows["x"], float),
                  "y": np.asarray(rows["y"], float), "role": np.asarray(rows["role"])})


def wanted_centres(table, patch, centres):
    """Return which centres are measured: targets, or detections that lie inside the border."""
    if centres == "truth":
        return np.asarray(table["role"]) == "target"
    return patch.inside_unsheared(table["x"], table["y"])

