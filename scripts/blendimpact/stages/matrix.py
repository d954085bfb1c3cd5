"""From the figures of merit of all cases to the board."""

import os

from ..cases.board import headlines
from ..cases.external_checks import load_external_checks
from ..cases.requirements import load_requirements
from ..data import catalogues
from ..data.catalogues import write_csv
from ..ladder.aggregate import FOM_COLUMNS
from ..ladder.scenarios import no_pairs
from ..report.cells import matrix_cells, write_cells
from ..report.external import external_checks, measured_values
from ..report.pictures import write_board
from ..report.scenarios import side_by_side
from ..report.study import TITLE, board_of, conditions, derived_values, describe_study, requirement_year
from .foms import ABSENT, no_foms

AGGREGATED_FROM = ("requirements", "sources")


def run(
    config,
    foms,
    scenarios,
    foms_out,
    foms_csv_out,
    figure_out,
    slide_out,
    pdf_out,
    json_out,
    csv_out,
    parquet_out,
    checks_out,
    checks_csv_out,
    scenarios_out,
    scenarios_csv_out,
    meta=None,
):
    """Stack the figures of merit of all cases and write the board, as tables and pictures.

    Parameters
    ----------
    config : dict
        The checked configuration.
    foms : list of path-like
        Figures of merit of each case, from `blendimpact.stages.foms.run`.
    scenarios : list of path-like
        Differences between its scenarios, from the same.
    foms_out, foms_csv_out, figure_out, slide_out, pdf_out, json_out, csv_out, parquet_out, checks_out,
    checks_csv_out, scenarios_out, scenarios_csv_out : path-like
        Outputs. Those of the board share their stem.
    meta : dict, optional
        Provenance of the tables.
    """
    stem = os.path.splitext(json_out)[0]
    if {os.path.splitext(path)[0] for path in (figure_out, pdf_out, csv_out, parquet_out)} != {stem}:
        raise ValueError("the files of the board share their stem")
    all_foms, missing = read_foms(foms)
    catalogues.write(all_foms, foms_out, meta)
    write_csv(all_foms, foms_csv_out)
    cases = sorted(set(map(str, all_foms["case"])))
    board = board_of(config, missing, cases)
    cells = matrix_cells(all_foms, board, load_requirements(requirement_year(config)))
    write_cells(cells, stem, meta)
    write_board(cells, board, stem, slide_out, TITLE, describe_study(config, all_foms))
    published = load_external_checks()
    found = measured_values(all_foms, published, derived_values(config, all_foms), conditions(config))
    table = external_checks(found, published)
    catalogues.write(table, checks_out, meta)
    write_csv(table, checks_csv_out)
    paired = catalogues.stack([no_pairs(), *(catalogues.read(path) for path in sorted(map(str, scenarios)))])
    compared = side_by_side(all_foms, paired, {case: headlines(case) for case in cases})
    catalogues.write(compared, scenarios_out, meta)
    write_csv(compared, scenarios_csv_out)


def read_foms(paths):
    """Return the stacked tables of all cases, and {case: reason} of the absent.

    Cases are told apart by the path, ``.../<case>/foms.parquet``.
    """
    tables = {
        path.replace(os.sep, "/").split("/")[-2]: catalogues.read(path, FOM_COLUMNS) for path in sorted(map(str, paths))
    }
    missing = {case: table.meta[ABSENT] for case, table in tables.items() if ABSENT in table.meta}
    stacked = catalogues.stack(tables.values()) if tables else no_foms()
    stacked.meta.clear()  # what was said of one case is not true of all
    return stacked, missing
