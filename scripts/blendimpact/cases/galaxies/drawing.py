"""Figures of the galaxies row: the real image and the simulated sky side by side."""

import numpy as np
from matplotlib.figure import Figure

from ...data.catalogues import rows_of
from ...ladder.rungs import COLOURS
from ...report.figures import STAGE_COLOURS, bin_labels, legend, plain, points, strata_of, without_interval

SKIES = {"fiducial": "injected into a real image", "simulated": "simulated"}
"""Scenarios that are drawn, and what they are."""


def beside(foms, fom, stratum, terms, xlabel, ylabel, kind="impact"):
    """Draw a figure of merit against the bins of a stratum, a panel for each of `SKIES` that has it.

    Parameters
    ----------
    foms : CaseFoms
    fom, stratum : str
    terms : dict of str to str
        What each is called; rungs if ``kind`` is "value".

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there is no such stratum.
    """
    found = {name: strata_of(foms.rows(scenario=name, fom=fom, kind=kind), stratum) for name in SKIES}
    found = {name: (rows[np.isin(rows["term"], list(terms))], bins) for name, (rows, bins) in found.items()}
    found = {name: (rows, bins) for name, (rows, bins) in found.items() if len(rows)}
    if not found:
        return None
    figure = Figure(figsize=(5.2 * len(found) + 0.6, 4.2), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axis, (name, (rows, bins)) in zip(axes, found.items()):
        for k, (term, text) in enumerate(terms.items()):
            here = rows_of(rows, term=term)
            where = np.array([bins.index(str(s)) for s in here["stratum"]])
            known = {**COLOURS, **STAGE_COLOURS, "no_deblending": COLOURS["undeblended"], "alone": COLOURS["isolated"]}
            points(axis, where + 0.1 * (k - (len(terms) - 1) / 2), here, k, text, colour=known[term])
        axis.axhline(0, color="#222222", lw=0.8)
        axis.set_xticks(range(len(bins)), bin_labels(bins, rows), fontsize=8)
        axis.set_xlabel(f"{xlabel}, N below")
        axis.set_title(
            f"{SKIES[name]}: {fom}, {int(rows['n_blocks'][0])} patches, 95 % intervals" + without_interval(rows),
            fontsize=9,
        )
        plain(axis, "y")
    axes[0].set_ylabel(ylabel)
    legend(figure, axes)
    return figure
