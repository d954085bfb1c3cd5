"""From the figures of merit of all cases to the board."""

import os

from ..cases.external_checks import load_external_checks
from ..cases.requirements import load_requirements
from ..config.settings import skies
from ..data import catalogues
from ..data.catalogues import write_csv
from ..data.provenance import read_meta
from ..ladder.aggregate import FOM_COLUMNS
from ..report.cells import matrix_cells, write_cells
from ..report.external import external_checks, measured_values
from ..report.page import write_page
from ..report.pictures import write_board
from ..report.study import board_of, conditions, derived_values, describe_study, requirement_year
from .figures import figure_list
from .foms import ABSENT, no_foms

COMPARISON_PAGE = "comparison/page/comparison.html"  # in the study's folder; another rule makes it
COMPARISON = (
    (
        "comparison/page/frontier.png",
        "deblenders: accuracy against cost",
        "Scatter of the aperture flux of blended sources against CPU time per source, on the skies of the comparison.",
    ),
    (
        "comparison/page/blendedness.png",
        "deblenders: flux against blendedness",
        "Scatter and bias of the aperture flux of each deblender against blendedness, true centres.",
    ),
)
AGGREGATED_FROM = ("requirements", "sources")


def run(
    config,
    foms,
    foms_out,
    foms_csv_out,
    html_out,
    figure_out,
    slide_out,
    pdf_out,
    json_out,
    csv_out,
    parquet_out,
    checks_out,
    checks_csv_out,
    meta=None,
):
    """Stack the figures of merit of all cases and write the board.

    Parameters
    ----------
    config : dict
        The checked configuration.
    foms : list of path-like
        Figures of merit of each case, from `blendimpact.stages.foms.run`.
    foms_out, foms_csv_out, html_out, figure_out, slide_out, pdf_out, json_out, csv_out, parquet_out, checks_out,
    checks_csv_out : path-like
        Outputs. Those of the board share their stem.
    meta : dict, optional
        Provenance of the tables.
    """
    stem = os.path.splitext(json_out)[0]
    if {os.path.splitext(path)[0] for path in (figure_out, pdf_out, csv_out, parquet_out)} != {stem}:
        raise ValueError("the files of the board share their stem")
    all_foms, scored, missing = read_foms(foms)
    catalogues.write(all_foms, foms_out, meta)
    write_csv(all_foms, foms_csv_out)
    board = board_of(config, missing)
    cells = matrix_cells(all_foms, board, load_requirements(requirement_year(config)))
    write_cells(cells, stem, meta)
    title = "Impact of source blending on LSST science"
    subtitle = describe_study(config, all_foms)
    write_board(cells, board, stem, slide_out, title, subtitle)
    published = load_external_checks()
    found = measured_values(all_foms, published, derived_values(config, all_foms), conditions(config))
    table = external_checks(found, published)
    catalogues.write(table, checks_out, meta)
    write_csv(table, checks_csv_out)
    folder = os.path.dirname(html_out)
    compared = COMPARISON if skies(config) else ()
    write_page(
        html_out,
        cells,
        board,
        all_foms,
        table,
        {"name": config["study"], "title": title, "subtitle": subtitle},
        image=figure_out,
        figures=[
            {"path": os.path.join(folder, path), "title": name, "caption": caption}
            for path, name, caption in (*compared, *figure_list(scored))
        ],
        links=[(os.path.join(folder, COMPARISON_PAGE), "Deblenders side by side")] if compared else [],
        provenance=read_meta(all_foms.meta | (meta or {})),
        downloads=[
            (slide_out, "the board, for a slide (PNG)"),
            (pdf_out, "the whole board (PDF)"),
            (json_out, "its cells (JSON)"),
            (foms_csv_out, "all figures of merit (CSV)"),
            (checks_csv_out, "comparison with published values (CSV)"),
        ],
    )


def read_foms(paths):
    """Return the stacked tables of all cases, the cases of which there are scores, and {case: reason} of the absent.

    Cases are told apart by the path, ``.../<case>/foms.parquet``.
    """
    tables = {
        path.replace(os.sep, "/").split("/")[-2]: catalogues.read(path, FOM_COLUMNS) for path in sorted(map(str, paths))
    }
    missing = {case: table.meta[ABSENT] for case, table in tables.items() if ABSENT in table.meta}
    stacked = catalogues.stack(tables.values()) if tables else no_foms()
    stacked.meta.clear()  # what was said of one case is not true of all
    return stacked, {case for case, table in tables.items() if len(table) or case not in missing}, missing
