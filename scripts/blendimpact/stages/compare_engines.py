"""Run one engine of difference imaging on the patches of one chunk, and measure what it leaves."""

import json

from ..data import catalogues, missing_inputs
from ..data.chunk import Chunk
from ..data.whole import opened
from ..errors import MissingPackage
from ..ladder.kinds import ladder_of
from ..report.comparison.engine_run import EngineRun


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
    ladder = ladder_of({**settings, "subtractor": engine}, seed, separating=options)
    try:
        done = EngineRun(ladder)
        with Chunk(images, truth, sky=sky) as chunk:
            for data in chunk.patches("compare engines", below=patches):
                done.add(data)
    except MissingPackage as error:
        print(error)
        missing_inputs.mark((rows_out, cost_out), error.what)
        return
    catalogues.write(catalogues.stack(done.tables), rows_out, meta)
    with opened(cost_out) as file:
        json.dump({"engine": engine, **done.cost()}, file, indent=1)
