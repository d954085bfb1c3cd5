"""Draw the patches of one chunk."""

import json

from ..core import catalogues
from ..core.images import PatchWriter
from ..core.psf import psf_fwhm
from ..core.surveys import load_survey
from ..simulate.patches import measure_depth, simulate_patch
from .progress import progress

DEPTH_META = "depth"
PATCHES_META = "patches"
FWHM_META = "psf_fwhm"


def run(settings, patches, seed, galaxies, stars, survey_path, images_out, truth_out, cards=None, meta=None):
    """Simulate ``patches`` and write their images and truth.

    Parameters
    ----------
    settings : dict
        Settings of one case and scenario.
    patches : list of int
        Indices of the patches of this chunk.
    seed : int
        Seed of the study.
    galaxies, stars, survey_path : path-like
        Population tables and survey definition.
    images_out, truth_out : path-like
        FITS file of patches, Parquet table of truth. The table's meta holds the 5-sigma depth
        measured on each patch, ``{patch: {band: magnitude}}``, and every [patch, block, twin] as JSON: a
        patch without a source has no row.
    cards, meta : dict, optional
        Provenance for the FITS header and the table.
    """
    survey = load_survey(survey_path)
    galaxies, stars = catalogues.read(galaxies), catalogues.read(stars)
    tables, depth, made = [], {}, []
    with PatchWriter(images_out, cards) as writer:
        for index in progress(patches, "simulate"):
            for patch, truth in simulate_patch(settings, index, seed, settings["case"],
                                               settings["scenario"], survey, galaxies, stars):
                writer.write(patch)
                tables.append(truth)
                made.append((index, index, patch.twin))
            depth[index] = {band: round(value, 5) for band, (value, _) in measure_depth(patch).items()}
    catalogues.write(catalogues.stack(tables), truth_out,
                     {**(meta or {}), **image_facts(patch), DEPTH_META: json.dumps(depth),
                      PATCHES_META: json.dumps(made)})


def image_facts(patch):
    """Return what the scoring must know of the images, for the truth's meta."""
    image = next(iter(patch.bands.values()))
    fwhm = {band: round(psf_fwhm(image), 5) for band, image in patch.bands.items()}
    return {"pixel_scale": image.pixel_scale, "zero_point": image.zero_point, FWHM_META: json.dumps(fwhm)}
