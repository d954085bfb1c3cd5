"""Drawing of this case: stages against the density of stars, and repeatability against magnitude."""

import numpy as np
from matplotlib.figure import Figure

from ...data.catalogues import rows_of
from ...ladder.rungs import COLOURS, REFERENCE
from ...report.figures import MARKERS, STAGE_COLOURS, errors, plain, strata_of
from ...stats.figures_of_merit import CROWDED


def crowding_stages(foms, density, stages, xlabel, log=True):
    """Draw completeness, crowding error and limiting magnitude against density, with the terms of each stage.

    Left: the part of the stars that each stage loses (terms of CF-D1 with the opposite sign). Middle: the crowding
    error that each stage adds (terms of CF-B1), and on raw pixels the standard deviation beside the analytic curve's.
    Right: the magnitude of 50 % completeness, and that at which the analytic error reaches its limit. Where the
    intervals of two stages part, one dominates.

    Parameters
    ----------
    foms : blendimpact.report.figures.CaseFoms
    density : str
        Figure of merit that holds the stars per area.
    stages : sequence of str
    xlabel : str
    log : bool

    Returns
    -------
    matplotlib.figure.Figure or None
        None with fewer than two scenarios.
    """
    density = foms.density(density)
    if len(density) < 2:
        return None
    figure = Figure(figsize=(13, 5), layout="constrained")
    loss, error, depth = axes = figure.subplots(1, 3)
    for k, stage in enumerate(stages):
        style = {"fmt": f"{MARKERS[k]}-", "color": STAGE_COLOURS[stage], "label": stage}
        _against(loss, foms, density, -1, style, fom="CF-D1", term=stage, population="all", kind="impact")
        _against(error, foms, density, 1, style, fom="CF-B1", term=stage, kind="impact")
    for term, style in (
        ("undeblended", {"fmt": "v:", "label": "raw pixels, standard deviation"}),
        ("analytic", {"fmt": "x--", "label": "analytic (Olsen et al. 2003)"}),
    ):
        _against(error, foms, density, 1, {**style, "color": "#333333"}, fom="CF-B1.rms", term=term, kind="value")
    for k, term in enumerate(("alone", "deblended", "pipeline")):  # alone: on the sky of the isolated rung
        colour = COLOURS["isolated" if term == "alone" else term]
        style = {"fmt": f"{MARKERS[k]}-", "color": colour, "label": f"50 % recovered, {term}"}
        _against(depth, foms, density, 1, style, fom="CF-D1.m50", term=term, kind="value")
    _against(
        depth,
        foms,
        density,
        1,
        {"fmt": "x--", "color": "#333333", "label": f"analytic error = {CROWDED:g}"},
        fom="CF-D1.limit",
        term=REFERENCE,
        kind="value",
    )
    loss.set_ylabel("part of the stars lost")
    error.set_ylabel("crowding error [mag]")
    error.set_yscale("symlog", linthresh=0.001)
    depth.set_ylabel("magnitude")
    depth.invert_yaxis()
    for axis, title in zip(axes, ("completeness: impact by stage", "error of the flux: impact by stage", "depth")):
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel)
        axis.set_xscale("log" if log else "linear")
        axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))
        plain(axis)
        if axis is not depth:
            axis.axhline(0, color="#222222", lw=0.8)
    figure.suptitle(f"{foms.case}: stages against the density of stars, 95 % intervals", fontsize=11)
    return figure


def _against(axis, foms, density, sign, style, **conditions):
    """Draw the rows that fit against density."""
    rows = foms.rows(stratum="all", **conditions)
    rows = rows[[str(s) in density for s in rows["scenario"]]]
    if not len(rows):
        return
    x = np.array([density[str(s)] for s in rows["scenario"]])
    order = np.argsort(x)
    value, error = errors(rows)
    if sign < 0:
        error = error[::-1]
    axis.errorbar(x[order], sign * value[order], error[:, order], capsize=3, ms=5, **style)


def repeat_visits(foms, density, panels, stratum, rungs, xlabel):
    """Draw repeatability (open, dashed) and scatter about the truth (filled) of the same stars, rung by rung.

    Of the scenarios with repeat visits the densest is drawn: there the two differ most.

    Parameters
    ----------
    foms : blendimpact.report.figures.CaseFoms
    density : str
        Figure of merit that holds the stars per deg2.
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
    density = foms.density(density)
    rows = foms.rows(kind="value")
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
            for fom, style in (
                (panel["true"], {"fmt": f"{MARKERS[k]}-", "label": f"{rung}, about the truth"}),
                (panel["fom"], {"fmt": f"{MARKERS[k]}--", "mfc": "white", "label": f"{rung}, repeatability"}),
            ):
                here = rows_of(rows, fom=fom, term=rung)
                if not len(here):
                    continue
                where = np.array([bins.index(str(s)) for s in here["stratum"]])
                order = np.argsort(where)
                value, error = errors(here)
                axis.errorbar(
                    where[order] + 0.08 * (k - (len(rungs) - 1) / 2),
                    value[order],
                    error[:, order],
                    capsize=3,
                    ms=5,
                    color=COLOURS[rung],
                    **style,
                )
        axis.axhline(panel["line"], color="0.5", lw=1, ls=":", label=panel["label"])
        axis.set_xticks(range(len(bins)), [b.split(":")[1].replace("-", "–") for b in bins])
        axis.set_yscale("log")
        axis.set_xlabel(xlabel)
        axis.set_ylabel(panel["ylabel"])
        plain(axis)
    axes[0].legend(frameon=False, fontsize=7, loc="upper left")
    blocks = int(rows_of(rows, fom=panels[0]["fom"])["n_blocks"].max())
    figure.suptitle(
        f"{foms.case}, {scenario} ({density[scenario]:.2g} stars per deg²): the same stars in repeat "
        f"visits, {blocks} blocks of sky, 95 % intervals",
        fontsize=10,
    )
    return figure
