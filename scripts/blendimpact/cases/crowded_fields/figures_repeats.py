"""Repeatability beside the scatter about the truth, against magnitude."""

import numpy as np
from matplotlib.figure import Figure

from ...report.figures import MARKERS, errors, plain, rows_of, strata_of

COLOURS = {"isolated": "#0072B2", "oracle": "#56B4E9", "deblended": "#E69F00", "pipeline": "#D55E00"}


def repeat_visits(table, case, density, panels, stratum, rungs, xlabel):
    """Draw repeatability (open, dashed) and scatter about the truth (filled) of the same stars, rung by rung.

    Of the scenarios with repeat visits the densest is drawn: there the two differ most.

    Parameters
    ----------
    density : dict of str to float
        Stars per deg2 by scenario.
    panels : list of dict
        Of each ``fom`` (repeatability), ``true`` (figure of merit of the scatter), ``ylabel``, and ``line`` and
        ``label`` of a published value.
    stratum, xlabel : str
    rungs : tuple of str

    Returns
    -------
    matplotlib.figure.Figure or None
        None when no scenario has repeat visits.
    """
    rows = rows_of(table, case=case, kind="value")
    names = set(map(str, rows_of(rows, fom=panels[0]["fom"])["scenario"])) & set(density)
    if not names:
        return None
    scenario = max(names, key=density.get)
    rows, bins = strata_of(rows_of(rows, scenario=scenario), stratum)
    bins = [b for b in bins if b in set(map(str, rows_of(rows, fom=panels[0]["fom"])["stratum"]))]
    if not bins:
        return None
    figure = Figure(figsize=(10, 4.3), layout="constrained")
    axes = figure.subplots(1, len(panels))
    for axis, panel in zip(axes, panels):
        for k, rung in enumerate(rungs):
            for fom, style in ((panel["true"], {"fmt": f"{MARKERS[k]}-", "label": f"{rung}, about the truth"}),
                               (panel["fom"], {"fmt": f"{MARKERS[k]}--", "mfc": "white",
                                               "label": f"{rung}, repeatability"})):
                here = rows_of(rows, fom=fom, term=rung)
                if not len(here):
                    continue
                where = np.array([bins.index(str(s)) for s in here["stratum"]])
                order = np.argsort(where)
                value, error = errors(here)
                axis.errorbar(where[order] + 0.08 * (k - (len(rungs) - 1) / 2), value[order], error[:, order],
                              capsize=3, ms=5, color=COLOURS[rung], **style)
        axis.axhline(panel["line"], color="0.5", lw=1, ls=":", label=panel["label"])
        axis.set_xticks(range(len(bins)), [b.split(":")[1].replace("-", "–") for b in bins])
        axis.set_yscale("log")
        axis.set_xlabel(xlabel)
        axis.set_ylabel(panel["ylabel"])
        plain(axis)
    axes[0].legend(frameon=False, fontsize=7, loc="upper left")
    blocks = int(rows_of(rows, fom=panels[0]["fom"])["n_blocks"].max())
    figure.suptitle(f"{case}, {scenario} ({density[scenario]:.2g} stars per deg²): the same stars in repeat visits, "
                    f"{blocks} blocks of sky, 95 % intervals", fontsize=10)
    return figure
