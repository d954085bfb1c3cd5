"""Drawing of this case: stages against the density of stars, and repeatability against magnitude."""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from ...data.catalogues import rows_of
from ...ladder.rungs import COLOURS, REFERENCE
from ...report.figures import MARKERS, STAGE_COLOURS, bin_labels, errors, plain, points, strata_of
from ...stats.figures_of_merit import CROWDED


def crowding_stages(foms, density, stages, xlabel, log=True):
    """Draw against the density of stars what each stage does, how deep the field can be used, and how far errors hold.

    Above: the part of the stars that each stage loses (terms of CF-D1), the scatter that it adds to fluxes (CF-B1; on
    raw pixels the standard deviation beside that of the analytic curve) and its bias (CF-M1). Below: the magnitude of
    50 % completeness and that at which the analytic error reaches its limit, the width of pulls, and false discoveries.
    Where the intervals of two stages part, one dominates.

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
    figure = Figure(figsize=(14, 9), layout="constrained")
    axes = figure.subplots(2, 3)
    for axis, (title, ylabel, curves) in zip(axes.flat, _panels(stages)):
        for number, (label, colour, line, conditions) in enumerate(curves):
            _against(axis, foms, density, number, label, colour, line, conditions)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel)
        axis.set_ylabel(ylabel)
        axis.set_xscale("log" if log else "linear")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
        plain(axis)
        if ylabel == "magnitude":
            axis.invert_yaxis()
        else:
            axis.axhline(1 if ylabel.startswith("width") else 0, color="#222222", lw=0.8)
    for axis in axes[0, 1:]:
        axis.set_yscale("symlog", linthresh=0.001)
    axes[0, 1].set_ylim(bottom=0)
    figure.suptitle(f"{foms.case}: stages against the density of stars, 95 % intervals", fontsize=11)
    return figure


def _panels(stages):
    """Return (title, label of y, curves) of each panel; a curve is its label, colour, line and the rows that it has."""

    def terms(fom, names=stages, **conditions):
        return [(n, STAGE_COLOURS[n], "-", {"fom": fom, "term": n, "kind": "impact", **conditions}) for n in names]

    def rungs(fom, names, text="{}", **conditions):
        colour = {**COLOURS, "alone": COLOURS["isolated"]}
        return [(text.format(n), colour[n], "-", {"fom": fom, "term": n, "kind": "value", **conditions}) for n in names]

    def reference(fom, term, label, line="--"):
        return label, "#333333", line, {"fom": fom, "term": term, "kind": "value"}

    curves = [
        reference("CF-B1.rms", "undeblended", "raw pixels, standard deviation", ":"),
        reference("CF-B1.rms", "analytic", "the same by the analytic curve"),
    ]
    limit = [reference("CF-D1.limit", REFERENCE, f"analytic error = {CROWDED:g}")]
    depth = rungs("CF-D1.m50", ("alone", "deblended", "pipeline"), "50 % recovered, {}") + limit
    widths = rungs("CF-M1.pull_width", ("isolated", "oracle", "deblended"), population="centres")
    widths += rungs("CF-M1.pull_width", ("pipeline",), population="kept")
    return (
        ("stars lost, S/N > 10", "part of the stars", terms("CF-D1", stages[1:])),
        ("scatter added to fluxes, S/N > 10", "scatter of differences [mag]", terms("CF-B1") + curves),
        ("bias added to magnitudes, S/N > 10", "mean difference [mag]", terms("CF-M1")),
        ("depth", "magnitude", depth),
        ("pulls of the flux, S/N > 10", "width (1: errors are right)", widths),
        ("false discoveries", "part of the detections", rungs("CF-D1.false", ("pipeline",))),
    )


def _against(axis, foms, density, number, label, colour, line, conditions):
    """Draw the rows that fit against density."""
    rows = foms.rows(stratum="all", **conditions)
    rows = rows[[str(s) in density for s in rows["scenario"]]]
    x = np.array([density[str(s)] for s in rows["scenario"]])
    order = np.argsort(x)
    if len(rows):
        points(axis, x[order], rows[order], number, label, line, colour)


def false_discoveries(foms, fom, stratum, rung, density, panels, unit):
    """Draw the part of false detections against measured magnitude: simulated fields by density, and real ones.

    Parameters
    ----------
    foms : blendimpact.report.figures.CaseFoms
    fom, stratum, rung : str
    density : str
        Figure of merit that holds the stars per area, in ``unit``; scenarios without it are real images.
    panels : (str, str)
        Labels of the magnitudes of simulated and of real fields.
    unit : str

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there are no such rows.
    """
    density = foms.density(density)
    rows, _ = strata_of(foms.rows(fom=fom, kind="value", term=rung), stratum)
    simulated = np.isin(np.asarray(rows["scenario"]).astype(str), [*density])
    parts = [(part, label) for part, label in zip((rows[simulated], rows[~simulated]), panels) if len(part)]
    if not parts:
        return None
    figure = Figure(figsize=(6 * len(parts), 4.3), layout="constrained")
    for axis, (part, label) in zip(np.ravel(figure.subplots(1, len(parts), sharey=True)), parts):
        part, bins = strata_of(part, stratum)
        scenarios = sorted(set(map(str, part["scenario"])), key=lambda name: density.get(name, 0))
        colours = colormaps["viridis"](np.linspace(0, 0.85, len(scenarios)))
        for k, (scenario, colour) in enumerate(zip(scenarios, colours)):
            here = rows_of(part, scenario=scenario)
            x = np.array([bins.index(str(s)) for s in here["stratum"]])
            order = np.argsort(x)
            known = f"{density[scenario]:.2g} {unit}" if scenario in density else scenario
            points(axis, x[order] + 0.05 * (k - (len(scenarios) - 1) / 2), here[order], k, known, "-", colour)
        axis.set_xticks(range(len(bins)), bin_labels(bins, part), fontsize=8)
        axis.set_xlabel(label)
        axis.set_yscale("symlog", linthresh=0.01)  # from no false detection in thousands to faint bins of two or three
        axis.set_ylim(0, 1.1)
        axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
        plain(axis)
    figure.axes[0].set_ylabel("part of the detections")
    figure.suptitle(f"{foms.case}: {rows['title'][0]}, {rung}, 95 % intervals, N below the bins", fontsize=11)
    return figure


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
