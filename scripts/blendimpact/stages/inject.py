"""Add targets of known light to the patches of one chunk."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np

from ..config.settings import block_of
from ..data import catalogues
from ..data.facts import DEPTH_META, EPOCHS_META, PATCHES_META
from ..data.images import PatchFile, PatchWriter
from ..data.progress import progress
from ..populations import read_tables
from ..populations.base import injected
from ..populations.beside import WEIGHT
from ..populations.source_types import completed
from ..populations.user_catalogue import UserCatalogue
from ..sky.epochs import plant, without_transients
from ..sky.injection import inject
from ..sky.injection_flags import FLAG
from .simulate import image_facts


def run(
    settings, patches, seed, images, truth, images_out, truth_out, tables=(), catalogue=None, cards=None, meta=None
):
    """Inject into ``patches`` and write their images and truth.

    Parameters
    ----------
    settings : dict
        Settings of one case and scenario; ``inject`` says what is injected.
    patches : list of int
        Of this chunk. On a real image a patch is a block and a realisation
        (`blendimpact.config.settings.block_of`); blocks that were not adopted are passed over. Visits of a simulated
        block get the same targets.
    images, truth : path-like
        Patches of the simulation, or of the adopted image, and their truth.
    tables : sequence of path-like
        What the population is drawn from: files that have the names of populations (`populations.tables_of`).
    catalogue : path-like, optional
        The user's injection catalogue, in place of a population.
    """
    case, known = settings["case"], catalogues.read(truth)
    population = UserCatalogue(catalogue, settings) if catalogue else injected(settings)
    tables = read_tables(tables)
    rows, made, epochs = [], [], json.loads(known.meta.get(EPOCHS_META, "{}"))
    with PatchFile(images) as file, PatchWriter(images_out, cards) as writer:
        if catalogue:
            _say(population, file, settings)
        work = _work(file, patches, settings)
        for index, held, twin, block, realisation in progress(work, "inject"):
            patch = replace(file.read(held, twin), index=index)
            truth = known[(known["patch"] == held) & (known["twin"] == twin)]
            drawn = population.draw(settings, patch, truth, seed, case, block, realisation, tables)
            drawn = drawn if catalogue else completed(drawn, f"the population {settings['inject']['population']!r}")
            patch, truth = inject(patch, truth, drawn, seed, case, settings, WEIGHT | population.columns)
            patch = plant(patch, truth, epochs.get(str(held), {}), seed, case)
            writer.write(patch)
            rows.append(_of_this_scenario(truth, index, settings["scenario"]))
            made.append((index, block, twin))
        facts = image_facts(file.read(*next(iter(file.keys()))))
    _count_flags(rows)
    depth = {name: known.meta[name] for name in (DEPTH_META, EPOCHS_META) if name in known.meta}
    catalogues.write(
        catalogues.stack(rows or [known[:0]]),
        truth_out,  # all blocks of a chunk can be left out
        {**(meta or {}), **facts, **depth, PATCHES_META: json.dumps(made)},
    )


def _say(population, file, settings):
    """Print what of a user's catalogue is not used, and how many of its sources lie on the real image."""
    for key in file.keys()[:1]:
        scale = file.read(*key).pixel_scale
        for sentence in population.read(scale).meta["notes"]:
            print(sentence)
        if settings["sky"] == "adopt":
            number, of = population.number_on(file.places(), scale)
            print(f"{number} of the {of} sources of {population.path} lie on the image")


def _count_flags(tables):
    """Print how many sources were tried, and how many have each flag."""
    tried = [int(flag) for t in tables for flag, k in zip(t["injection_flag"], t["injection_id"]) if k >= 0]
    counts = Counter(name for flag in tried for name, _ in FLAG.decode(flag))
    print(f"{len(tried)} sources tried; flags: {', '.join(f'{n} {k}' for n, k in sorted(counts.items())) or 'none'}")


def _work(file, patches, settings):
    """Return [(patch, patch in the file, twin, block, realisation)].

    The file of a real image has its blocks, that of a simulated chunk its patches.
    """
    adopted = settings["sky"] == "adopt"
    twins = {}
    for index, twin in list(file.keys()):
        twins.setdefault(index, []).append(twin)
    found = []
    for patch in patches:
        block, realisation = block_of(settings, patch)
        held = block if adopted else patch
        found += [(patch, held, twin, block, realisation if adopted else 0) for twin in twins.get(held, [])]
    return found


def _of_this_scenario(truth, index, scenario):
    """Return the truth with this patch's number and scenario: another one may have adopted the image."""
    truth["patch"][:] = index
    text = truth["scenario"].info.description
    truth["scenario"] = np.full(len(truth), scenario)
    truth["scenario"].info.description = text
    without_transients(truth)
    return truth
