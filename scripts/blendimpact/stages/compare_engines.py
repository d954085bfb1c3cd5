"""Run one engine of difference imaging on the patches of one chunk, and measure what it leaves."""

import json
import os
import resource
import time

import numpy as np

from ..data import catalogues, missing_inputs
from ..data.images import PatchFile
from ..data.progress import progress
from ..data.sky_maps import SkyFile
from ..errors import MissingPackage
from ..ladder.difference_rows import static_sources
from ..ladder.differences import Differences, injected, to_nanojansky
from ..report.comparison import engines
from ..sky.true_scene import TruthScene, injects_photons
from ..subtract import SUBTRACTORS


def run(settings, seed, engine, patches, images, truth, sky, rows_out, cost_out, options=None, meta=None):
    """Subtract, measure and write.

    Parameters
    ----------
    settings : dict
        Of the case's fiducial scenario. Its own subtractor is not used.
    seed : int
    engine : str
        Member of SUBTRACTORS.
    patches : int
        Those with a lower number are compared.
    images, truth, sky : path-like
        As for `stages.measure.run`.
    rows_out, cost_out : path-like
        Table (`report.comparison.engines.ENGINE_COLUMNS`), and CPU seconds and memory (JSON): the only one that is not
        the same every time. Both say why if the engine's package is not installed.
    options : dict, optional
        Of the engine.
    """
    try:
        tables, cost = _run(settings, seed, engine, patches, images, truth, sky, options)
    except MissingPackage as error:
        print(error)
        missing_inputs.mark((rows_out, cost_out), error.what)
        return
    catalogues.write(catalogues.stack(tables), rows_out, meta)
    with open(f"{cost_out}.part", "w", encoding="utf-8") as file:
        json.dump({"engine": engine, **cost}, file, indent=1)
    os.replace(f"{cost_out}.part", cost_out)


def _run(settings, seed, name, patches, images, truth, sky, options):
    engine, band = SUBTRACTORS.create(name, options), settings["shape_band"]
    truth = catalogues.read(truth)
    tables, cpu, million = [], [], []
    with PatchFile(images) as file, SkyFile(sky) as skies:
        keys = [(index, twin) for index, twin in file.keys() if index < patches]  # noqa: SIM118 (a method of ours)
        for index, twin in progress(keys, "compare engines"):
            patch = file.read(index, twin)
            here = truth[(truth["patch"] == index) & (truth["twin"] == twin)]
            scene = TruthScene(patch, here, seed, settings["case"], photons=injects_photons(settings))
            differences = Differences(scene, skies.read(patch), settings)
            known = {"static": differences.static} if getattr(engine, "needs_truth", False) else {}
            epochs = differences.epochs
            begun = time.process_time()
            difference = engine.subtract(*epochs, **known)
            cpu.append(round(time.process_time() - begun, 4))
            million.append(difference.image.size / 1e6)
            new = injected(here, band)
            about = {
                "patch": patch, "image": differences.image, "light": differences.static,
                "unit": to_nanojansky(differences.image),
                "targets": here[new & (here["role"] == "target") & np.isin(here["transient"], engines.POINTS)],
                "static": static_sources(here, patch, band, differences.image.pixel_scale),
                "changed": here[new | np.asarray(here["variable"], bool)]}
            tables.append(engines.measure(difference, differences.noiseless, differences.exact, about, settings, name))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return tables, {"cpu": cpu, "megapixels": million, "peak_mb": round(peak, 1)}
