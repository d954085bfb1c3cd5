"""Adopt a real image and cut it into patches."""

import json

from ..config.real_image import load_image
from ..data import catalogues
from ..data.images import PatchWriter
from ..data.whole import opened
from ..sky.adopt.image import adopt
from ..sky.adopt.patches import adopt_patches


def run(settings, seed, image_spec, inputs_dir, images_out, truth_out, report_out, cards=None, meta=None):
    """Write the patches of a real image, its own sources, and what was measured on it (JSON)."""
    image = adopt(load_image(image_spec), inputs_dir, settings["bands"])
    for sentence in [*image.report["warnings"], *image.report.get("template", {}).get("warnings", [])]:
        print(f"Warning: {sentence}")
    tables = []
    with PatchWriter(images_out, cards) as writer:
        for patch, truth in adopt_patches(image, settings, seed, settings["case"], settings["scenario"]):
            writer.write(patch)
            tables.append(truth)
    catalogues.write(catalogues.stack(tables), truth_out, meta)
    with opened(report_out) as file:
        json.dump(image.report, file, indent=1, sort_keys=True)
        file.write("\n")
    print(f"{len(tables)} patches of {settings['image']}")
