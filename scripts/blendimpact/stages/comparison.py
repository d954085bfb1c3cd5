"""From the tables of all jobs of the comparison to its two tables."""

import pandas as pd

from ..cases.base import load_case
from ..config.settings import case_settings, compared_scenario, skies
from ..data import catalogues, missing_inputs
from ..report.comparison.cost import below
from ..report.comparison.tables import BOARD_COLUMNS, COLUMNS, board_rows, comparison_rows, not_made

MOST_RESAMPLES = 400  # so many intervals that more would cost more than the deblenders do
AGGREGATED_FROM = ()


def run(config, sources, scores, comparison_out, comparison_csv_out, column_out, column_csv_out, meta=None):
    """Aggregate.

    Parameters
    ----------
    config : dict
        The checked configuration.
    sources, scores : list of path-like
        Outputs of `stages.compare.run`, ``.../<scenario>/compare/<deblender>.<chunk>...``.
    comparison_out, comparison_csv_out, column_out, column_csv_out : path-like
        Outputs: `blendimpact.report.comparison.tables.COLUMNS` and `BOARD_COLUMNS`.
    """
    names, resamples = config["comparison"]["deblenders"], min(config["bootstrap"], MOST_RESAMPLES)
    tables, board = [], []
    for sky, case in skies(config).items():
        scenario = compared_scenario(sky)
        settings = case_settings(config, case, scenario)
        here = {name: (_of(sources, case, scenario, name), _of(scores, case, scenario, name)) for name in names}
        reasons = {name: missing_inputs.reason(paths[0]) for name, paths in here.items()}
        made = [name for name in names if not reasons[name]]
        frames = [catalogues.read(path).to_pandas() for name in made for path in here[name][0]]
        if made:
            aperture = settings["measure"]["aperture_diameter"]
            tables.append(
                comparison_rows(
                    sky,
                    case,
                    scenario,
                    pd.concat(frames, ignore_index=True),
                    made,
                    aperture,
                    resamples,
                    config["seed"],
                    settings["sky"] == "simulate",
                )
            )
        for name in names:
            if reasons[name]:
                known = {"sky": sky, "case": case, "scenario": scenario, "deblender": name}
                tables.append(not_made(COLUMNS, reasons[name], **known))
                board.append(not_made(BOARD_COLUMNS, reasons[name], **known))
                continue
            sums = catalogues.stack([catalogues.read(path) for path in here[name][1]])
            board.append(
                board_rows(sky, case, scenario, sums, name, load_case(case).figures_of_merit, resamples, config["seed"])
            )
    for parts, path, csv in ((tables, comparison_out, comparison_csv_out), (board, column_out, column_csv_out)):
        table = catalogues.stack(parts)
        catalogues.write(table, path, meta)
        catalogues.write_csv(table, csv)


def _of(paths, case, scenario, deblender):
    """Return the sorted paths of one deblender on one sky."""
    return below(paths, f"/{case}/{scenario}/compare/{deblender}.")
