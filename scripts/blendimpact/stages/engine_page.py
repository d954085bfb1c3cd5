"""Figure, costs and page of the comparison of subtraction engines."""

import os

from ..config.settings import case_settings
from ..data import catalogues
from ..report.comparison import engine_report
from ..report.comparison.cost import below, write
from ..report.figures import save

AGGREGATED_FROM = ()


def run(config, comparison, costs, html_out, cost_out, figure_out):
    """Draw and write.

    Parameters
    ----------
    config : dict
        The checked configuration.
    comparison : path-like
        From `stages.engine_comparison.run`.
    costs : list of path-like
        Cost files of all jobs.
    html_out, cost_out, figure_out : path-like
        Outputs: page, table of costs (CSV), figure.
    """
    chosen, found = config["subtraction_comparison"], catalogues.read(comparison)
    rows = [engine_report.costs(name, below(costs, f"/engines/{name}.")) for name in chosen["engines"]]
    write(cost_out, engine_report.COST_COLUMNS, rows)
    save(engine_report.figure(found, chosen["engines"]), figure_out)
    settings = case_settings(config, chosen["case"])
    number = min(chosen["patches"], settings["patch"]["count"])
    side = settings["patch"]["size"] * settings["pixel_scale"]
    about = (
        f"{number} patches of {side:.0f} arcsec of the case {chosen['case']}, survey {settings['survey']}, "
        f"band {settings['shape_band']}"
    )
    engine_report.write_page(
        html_out, config, about, found, rows, [figure_out], [os.path.splitext(comparison)[0] + ".csv", cost_out]
    )
