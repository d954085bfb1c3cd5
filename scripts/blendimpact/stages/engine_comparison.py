"""From the tables of all jobs to the comparison of subtraction engines."""

import pandas as pd

from ..data import catalogues, missing_inputs
from ..report.comparison import engine_report
from ..report.comparison.cost import below
from .comparison import MOST_RESAMPLES

AGGREGATED_FROM = ()


def run(config, rows, comparison_out, comparison_csv_out, meta=None):
    """Aggregate.

    Parameters
    ----------
    config : dict
        The checked configuration.
    rows : list of path-like
        Outputs of `stages.compare_engines.run`, ``.../engines/<engine>.<chunk>.parquet``.
    comparison_out, comparison_csv_out : path-like
        Outputs: `blendimpact.report.comparison.engine_report.COLUMNS`.
    """
    chosen = config["subtraction_comparison"]
    here = {name: below(rows, f"/engines/{name}.") for name in chosen["engines"]}
    reasons = {name: reason for name, paths in here.items() if (reason := missing_inputs.reason(paths))}
    made = [path for name, paths in here.items() if name not in reasons for path in paths]
    frames = [catalogues.read(path).to_pandas() for path in made]
    table = engine_report.table(
        pd.concat(frames, ignore_index=True) if frames else None,
        chosen["engines"],
        reasons,
        chosen["case"],
        "fiducial",
        min(config["bootstrap"], MOST_RESAMPLES),
        config["seed"],
    )
    catalogues.write(table, comparison_out, meta)
    catalogues.write_csv(table, comparison_csv_out)
