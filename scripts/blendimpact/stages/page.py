"""From the board, its tables and all figures to the page that holds them."""

import json
import os

from ..data import catalogues
from ..data.provenance import read_meta
from ..report.page import write_page
from ..report.study import TITLE, board_of, describe_study
from .figures import figure_list

AGGREGATED_FROM = ()
PAGES = {"comparison": "Deblenders side by side", "engines": "Subtraction engines side by side"}
"""Pages of comparisons by the names of their files."""


def run(
    config,
    foms,
    cells,
    checks,
    image,
    slide,
    pdf,
    foms_csv,
    checks_csv,
    scenarios,
    scenarios_csv,
    figures,
    panels,
    html_out,
    pages=(),
):
    """Write the page.

    Parameters
    ----------
    config : dict
        The checked configuration.
    foms, cells, checks, scenarios, image, slide, pdf, foms_csv, checks_csv, scenarios_csv : path-like
        From `blendimpact.stages.matrix.run`.
    figures : list of path-like
        Folders of figures, named as their cases.
    panels : list of path-like
        Pictures, named as their cases.
    html_out : path-like
        Output.
    pages : list of path-like, optional
        Pages of the comparisons that were made.
    """
    table = catalogues.read(foms)
    folders = {os.path.basename(os.path.normpath(path)): path for path in figures}
    shown = {os.path.splitext(os.path.basename(path))[0]: path for path in panels}
    measured = sorted(set(map(str, table["case"])) & folders.keys())
    with open(cells, encoding="utf-8") as stream:
        board = json.load(stream)
    write_page(
        html_out,
        board,
        board_of(config, {}),
        table,
        catalogues.read(checks),
        {"name": config["study"], "title": TITLE, "subtitle": describe_study(config, table)},
        image,
        figures=[
            {"path": path, "title": name, "caption": caption}
            for path, name, caption in figure_list(measured, folders, shown)
        ],
        pages=[{"path": path, "name": name, "title": PAGES[name]} for name, path in _named(pages)],
        scenarios=catalogues.read(scenarios),
        provenance=read_meta(table.meta),
        downloads=[
            (slide, "the board, for a slide (PNG)"),
            (pdf, "the whole board (PDF)"),
            (cells, "its cells (JSON)"),
            (foms_csv, "all figures of merit (CSV)"),
            (checks_csv, "comparison with published values (CSV)"),
            (scenarios_csv, "scenarios side by side (CSV)"),
        ],
    )


def _named(paths):
    return [(os.path.splitext(os.path.basename(path))[0], path) for path in paths]
