"""Draw the patches of one chunk."""

import json

from ..config.settings import block_of
from ..config.surveys import load_survey
from ..data import catalogues
from ..data.facts import DEPTH_META, FWHM_META, PATCHES_META
from ..data.images import PatchWriter
from ..data.progress import progress
from ..data.psf import psf_fwhm
from ..populations import read_tables
from ..sky.epochs import add_template, template_survey, to_meta, visit_survey
from ..sky.patches import measure_depth, simulate_patch


def run(settings, patches, seed, tables, survey, images_out, truth_out, cards=None, meta=None, visits=None):
    """Simulate ``patches`` and write their images and truth.

    Parameters
    ----------
    settings : dict
        Settings of one case and scenario.
    patches : list of int
        Indices of the patches of this chunk.
    seed : int
        Seed of the study.
    tables : sequence of path-like
        What is drawn from: files that have the names of populations (`populations.drawn_tables`).
    survey : path-like
        Its definition.
    images_out, truth_out : path-like
        FITS file of patches, Parquet table of truth. The table's meta holds the 5-sigma depth
        measured on each patch, ``{patch: {band: magnitude}}``, and every [patch, block, twin] as JSON: a
        patch without a source has no row.
    cards, meta : dict, optional
        Provenance for the FITS header and the table.
    visits : path-like, optional
        Table of `epochs.build_visits`, where ``epochs`` draws from it. The truth's meta then also holds what
        `epochs.add_template` says of each patch.
    """
    survey = load_survey(survey)
    epochs, template = settings.get("epochs"), None
    if epochs:
        survey, template = _epochs(survey, epochs)
        visits = catalogues.read(visits) if visits else None
    tables = read_tables(tables)
    truths, depth, made, facts = [], {}, [], {}
    with PatchWriter(images_out, cards) as writer:
        for index in progress(patches, "simulate"):
            visit = visit_survey(survey, epochs, seed, settings["case"], index, visits) if epochs else survey
            for patch, truth in simulate_patch(
                settings, index, seed, settings["case"], settings["scenario"], visit, tables
            ):
                if epochs:
                    patch, truth, facts[index] = add_template(patch, truth, template, epochs, seed, settings["case"])
                writer.write(patch)
                truths.append(truth)
                made.append((index, block_of(settings, index)[0], patch.twin))
            depth[index] = {band: round(value, 5) for band, (value, _) in measure_depth(patch).items()}
    catalogues.write(
        catalogues.stack(truths),
        truth_out,
        {
            **(meta or {}),
            **image_facts(patch),
            DEPTH_META: json.dumps(depth),
            PATCHES_META: json.dumps(made),
            **(to_meta(facts) if epochs else {}),
        },
    )


def _epochs(survey, epochs):
    """Return the survey of the visits and that of the template."""
    options = epochs["template"]
    if "survey" in options:
        options = {**options, "survey": load_survey(options["survey"])}
    return survey, template_survey(survey, {**epochs, "template": options})


def image_facts(patch):
    """Return what the scoring must know of the images, for the truth's meta."""
    image = patch.reference
    fwhm = {band: round(psf_fwhm(image), 5) for band, image in patch.bands.items()}
    return {"pixel_scale": image.pixel_scale, "zero_point": image.zero_point, FWHM_META: json.dumps(fwhm)}
