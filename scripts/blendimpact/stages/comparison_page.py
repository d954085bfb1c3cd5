"""Figures, costs and page of the comparison of deblenders."""

import os

import numpy as np

from ..config.settings import case_settings, compared_scenario, skies
from ..data import catalogues, missing_inputs
from ..report.comparison import figures
from ..report.comparison.cost import COLUMNS, below, summary, write
from ..report.comparison.page import write_page
from ..report.figures import save

AGGREGATED_FROM = ()


def run(config, comparison, column, costs, stamps, html_out, cost_out, frontier_out, blendedness_out, panels_out):
    """Draw and write; ``panels_out`` are in the order of the skies, the others paths of inputs and outputs."""
    table, board = catalogues.read(comparison), catalogues.read(column)
    names, where = config["comparison"]["deblenders"], skies(config)
    rows = [summary(sky, name, _of(costs, case, sky, f"cost/{name}.")) for sky, case in where.items() for name in names]
    write(cost_out, COLUMNS, rows)
    save(figures.frontier(table, rows, list(where), names), frontier_out)
    save(figures.against_blendedness(table, list(where), names), blendedness_out)
    for (sky, case), path in zip(where.items(), panels_out, strict=True):
        found = {name: _archive(_of(stamps, case, sky, f"compare/{name}.")) for name in names}
        save(figures.panel(sky, {name: arrays for name, arrays in found.items() if arrays}), path)
    settings = {sky: case_settings(config, case, compared_scenario(sky)) for sky, case in where.items()}
    write_page(
        html_out,
        config,
        settings,
        table,
        board,
        rows,
        [frontier_out, blendedness_out, *panels_out],
        [os.path.splitext(comparison)[0] + ".csv", os.path.splitext(column)[0] + ".csv", cost_out],
    )


def _of(paths, case, sky, start):
    return below(paths, f"/{case}/{compared_scenario(sky)}/{start}")


def _archive(paths):
    if not paths or missing_inputs.reason(paths[:1]):
        return {}
    with np.load(paths[0]) as archive:
        return {name: archive[name] for name in archive.files}
