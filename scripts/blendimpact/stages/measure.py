"""Measure every rung of the ladder on the patches of one chunk."""

from ..data import catalogues
from ..data.chunk import Chunk
from ..ladder.kinds import ladder_of


def run(
    settings, seed, images, truth, detections, assignments, sky, separated, measurements_out, meta=None, options=None
):
    """Measure all rungs and write a folder of tables, each of one kind of row.

    Parameters
    ----------
    settings : dict
        Of the case and scenario.
    seed : int
    images, truth, detections, assignments, sky, separated : path-like
        ``separated``: child images or differences.
    measurements_out : path-like
        Folder.
    meta : dict, optional
        Provenance.
    options : dict, optional
        Of the detector or finder: differences of other rungs than the pipeline's are searched too.
    """
    ladder = ladder_of(settings, seed, finding=options)
    rows = {name: [] for name in ladder.tables}
    with Chunk(images, truth, detections, assignments, sky, separated) as chunk:
        for data in chunk.patches("measure"):
            for rung, table, values in ladder.measure(data):
                rows[table].append(ladder.with_ids(values, data.patch, rung, table))
    tables = {name: catalogues.join(parts, ladder.tables[name]) for name, parts in rows.items()}
    catalogues.write_folder(tables, measurements_out, {**(meta or {}), **ladder.notes()})
