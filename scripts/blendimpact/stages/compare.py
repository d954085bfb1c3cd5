"""Run one deblender on the patches of one chunk and compare its children with the exact ones."""

import json
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy as np

from ..cases.base import load_case
from ..data import catalogues, missing_inputs
from ..data.chunk import Chunk
from ..data.facts import Facts
from ..data.lifetime import end_with, this_process
from ..data.whole import opened
from ..errors import MissingPackage, StudyError
from ..ladder.kinds import ladder_of
from ..report.comparison.deblender_run import SHARED, Clock, DeblenderRun
from ..report.comparison.sources import source_table


def reference(settings, seed, images, truth, detections, assignments, sky, measurements_out, meta=None):
    """Measure the rungs that no deblender changes; the parameters are those of `stages.measure.run`."""
    ladder, rows = ladder_of(settings, seed), []
    with Chunk(images, truth, detections, assignments, sky) as chunk:
        for data in chunk.patches("reference"):
            for rung, values in ladder.measured(data, None, SHARED):
                rows.append(ladder.with_ids(values, data.patch, rung, "measurements"))
    catalogues.write(catalogues.join(rows, ladder.tables["measurements"]), measurements_out, meta)


def run_each(
    deblenders,
    options,
    provenance,
    sources_out,
    scores_out,
    stamps_out,
    cost_out,
    settings,
    seed,
    images,
    truth,
    detections,
    assignments,
    sky,
    measured,
):
    """Do what `run` does for several deblenders, one after the other.

    Parameters
    ----------
    deblenders : list of str
    options : dict of str to dict
        Of each of them.
    provenance : callable
        ``provenance(options=...)`` gives the provenance of one's products, whatever runs beside it.
    sources_out, scores_out, stamps_out, cost_out : list of path-like
        Outputs of each of them.
    settings, seed, images, truth, detections, assignments, sky, measured
        As for `run`.
    """
    outputs = zip(sources_out, scores_out, stamps_out, cost_out, strict=True)
    for name, (sources, scores, stamps, cost) in zip(deblenders, outputs, strict=True):
        run_apart(
            settings=settings,
            seed=seed,
            deblender=name,
            images=images,
            truth=truth,
            detections=detections,
            assignments=assignments,
            sky=sky,
            measured=measured,
            sources_out=sources,
            scores_out=scores,
            stamps_out=stamps,
            cost_out=cost,
            options=options[name],
            meta=provenance(options=options[name]),
        )


def run_apart(**arguments):
    """Do what `run` does in a process of its own, so that memory and CPU time are one deblender's.

    It starts as a copy of this one, with all that is imported: what that took counts as each deblender's.

    Raises
    ------
    StudyError
        If that process is killed.
    """
    deblender = arguments["deblender"]
    print(f"deblender {deblender}", flush=True)
    try:
        with ProcessPoolExecutor(1, get_context("fork"), end_with, (this_process(),)) as pool:
            pool.submit(run, **arguments, cpu_before=time.process_time()).result()
    except BrokenProcessPool:
        raise StudyError(
            f"the process of the deblender {deblender} was killed, perhaps for want of memory",
            "comparison.deblenders",
            "raise memory_mb of its class, or make chunk_size smaller",
        ) from None


def run(
    settings,
    seed,
    deblender,
    images,
    truth,
    detections,
    assignments,
    sky,
    measured,
    sources_out,
    scores_out,
    stamps_out,
    cost_out,
    options=None,
    meta=None,
    cpu_before=0.0,
):
    """Deblend, measure and compare.

    Parameters
    ----------
    settings : dict
        Of a sky of the comparison.
    seed : int
    deblender : str
        Which one; the settings' own is not used.
    images, truth, detections, assignments, sky : path-like
        As for `stages.measure.run`.
    measured : path-like
        From `reference`.
    sources_out, scores_out, stamps_out, cost_out : path-like
        Table of sources (`report.comparison.sources.SOURCE_COLUMNS`), sufficient statistics of the case's own
        deblending figures of merit, stamps of one blend (NumPy archive), and CPU seconds and memory (JSON): the
        only one that is not the same every time. All say why if the deblender's package is not installed.
    options : dict, optional
        Of the deblender.
    cpu_before : float
        CPU seconds that another process spent on this one's imports.
    """
    outputs = {"sources": sources_out, "scores": scores_out, "stamps": stamps_out, "cost": cost_out}
    ladder = ladder_of({**settings, "deblender": deblender}, seed, separating=options)
    try:
        clock = Clock(ladder.separator, cpu_before)
        with Chunk(images, truth, detections, assignments, sky) as chunk:
            done = DeblenderRun(ladder, clock, chunk.tables["truth"])
            for data in chunk.patches("compare"):
                done.add(data)
        write(done, chunk.tables, catalogues.read(measured), outputs, meta)
    except MissingPackage as error:
        print(error)
        missing_inputs.mark(outputs.values(), error.what)


def write(done, tables, measured, outputs, meta):
    """Write what `run` makes: ``done`` is a `DeblenderRun`, ``measured`` what `reference` wrote."""
    settings, facts = done.ladder.settings, Facts.of(tables)
    columns = done.ladder.tables["measurements"]
    tables = {**tables, "measurements": catalogues.join([measured, *done.measured], columns)}
    ids = {name: settings[name] for name in ("case", "scenario", "deblender")}
    sources = source_table(
        tables["truth"], tables["assignments"], tables["measurements"], done.pixels, settings, facts, **ids
    )
    catalogues.write(sources, outputs["sources"], meta)
    catalogues.write(deblending_scores(tables, settings, facts), outputs["scores"], meta)
    with opened(outputs["stamps"], "wb") as file:
        np.savez(file, **done.stamps)
    with opened(outputs["cost"]) as file:
        json.dump({**ids, **done.clock.cost()}, file, indent=1)


def deblending_scores(tables, settings, facts):
    """Return the sums of the case's own figures of merit of deblending."""
    case = load_case(settings["case"])
    scores = case.score(tables, settings, facts).table()
    wanted = {fom.source for fom in case.figures_of_merit if fom.stage == "deblending"}
    return scores[np.isin(np.asarray(scores["fom"]), sorted(wanted))]
