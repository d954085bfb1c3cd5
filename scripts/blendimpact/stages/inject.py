"""Add targets of known light to the patches of one chunk."""

import json
from dataclasses import replace

import numpy as np

from ..config.settings import block_of, injected_from
from ..data import catalogues
from ..data.facts import DEPTH_META, EPOCHS_META, PATCHES_META
from ..data.images import PatchFile, PatchWriter
from ..data.progress import progress
from ..populations.catalogue import on_patch, read_catalogue
from ..populations.real_comet import read_coma
from ..populations.targets import generate
from ..populations.transients import generate_transients
from ..sky.epochs import without_transients
from ..sky.injection import inject
from .simulate import image_facts


def run(settings, patches, seed, images, truth, sources, images_out, truth_out, cards=None, meta=None, coma=None):
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
    sources : path-like
        What `injected_from` names: galaxies, the isochrone, supernovae, or the user's injection catalogue.
    coma : path-like, optional
        Stamp of a real coma, for transients of that kind.
    """
    options, adopted = settings["inject"], settings["sky"] == "adopt"
    known = catalogues.read(truth)
    kind = injected_from(settings)
    galaxies = catalogues.read(sources) if kind == "galaxies" else None
    stars = catalogues.read(sources) if kind == "isochrone" else None
    supernovae = catalogues.read(sources) if kind == "supernovae" else None
    coma = read_coma(coma) if coma else None
    given = None
    tables, made = [], []
    with PatchFile(images) as file, PatchWriter(images_out, cards) as writer:
        twins = {}
        for index, twin in list(file.keys()):
            twins.setdefault(index, []).append(twin)
        # The file of a real image has its blocks, that of a simulated chunk its patches.
        held = {p: block_of(settings, p)[0] if adopted else p for p in patches}
        work = [(p, twin) for p in patches for twin in twins.get(held[p], [])]
        for index, twin in progress(work, "inject"):
            block, realisation = block_of(settings, index) if adopted else (block_of(settings, index)[0], 0)
            patch = replace(file.read(held[index], twin), index=index)
            truth = known[(known["patch"] == held[index]) & (known["twin"] == twin)]
            if options.get("catalogue"):
                if given is None:
                    scale = next(iter(patch.bands.values())).pixel_scale
                    given = read_catalogue(sources, settings["bands"], scale,
                                           **{k: options[k] for k in ("beta", "trail_mag") if k in options})
                drawn = on_patch(given, patch)
            elif options.get("population") == "transients":
                drawn = generate_transients(settings, patch, truth, seed, settings["case"], block, realisation,
                                            supernovae, coma)
            else:
                drawn = generate(settings, patch, seed, settings["case"], block, realisation, galaxies, stars)
            patch, truth = inject(patch, truth, drawn, seed, settings["case"], settings)
            truth["patch"][:] = index
            text = truth["scenario"].info.description
            truth["scenario"] = np.full(len(truth), settings["scenario"])  # of the image: another may have adopted it
            truth["scenario"].info.description = text
            without_transients(truth)
            writer.write(patch)
            tables.append(truth)
            made.append((index, block, twin))
        facts = image_facts(file.read(*next(iter(file.keys()))))
    depth = {name: known.meta[name] for name in (DEPTH_META, EPOCHS_META) if name in known.meta}
    if not tables:  # all blocks of this chunk were left out
        tables = [known[:0]]
    catalogues.write(catalogues.stack(tables), truth_out,
                     {**(meta or {}), **facts, **depth, PATCHES_META: json.dumps(made)})

