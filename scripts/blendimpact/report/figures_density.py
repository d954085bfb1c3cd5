"""Figures against the density of sources, one point or curve per scenario; and colour-magnitude diagrams."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..ladder.rungs import REFERENCE
from ..stats.figures_of_merit import CELLS, CROWDED
from .figures import MARKERS, STAGE_COLOURS, errors, plain, rows_of, strata_of

RUNG_COLOURS = {"alone": "#009E73", "deblended": "#E69F00", "pipeline": "#D55E00", "undeblended": "#333333"}


def by_scenario(table, case, fom, stratum, rung, density, xlabel, ylabel, unit):
    """Draw a figure of merit on one rung against the bins of a stratum, one curve per scenario.

    Parameters
    ----------
    density : dict of str to float
        By scenario, in ``unit``: the curves' order and labels.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when no scenario has it.
    """
    rows = rows_of(table, case=case, fom=fom, kind="value", term=rung)
    rows, bins = strata_of(rows, stratum)
    scenarios = sorted((s for s in density if s in set(map(str, rows["scenario"]))), key=density.get)
    if not scenarios:
        return None
    figure, axis = _one()
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(scenarios)))
    for k, (scenario, colour) in enumerate(zip(scenarios, colours)):
        here = rows_of(rows, scenario=scenario)
        where = np.array([bins.index(str(s)) for s in here["stratum"]])
        order = np.argsort(where)
        value, error = errors(here)
        axis.errorbar(where[order] + 0.04 * (k - (len(scenarios) - 1) / 2), value[order], error[:, order], capsize=3,
                      ms=5, fmt=f"{MARKERS[k % len(MARKERS)]}-", color=colour,
                      label=f"{density[scenario]:.3g} {unit}")
    axis.set_xticks(range(len(bins)), [b.split(":")[1].replace("-", "–") for b in bins])
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.legend(frameon=False, fontsize=8)
    axis.set_title(f"{case}, {rung}: {fom}, 95 % intervals", fontsize=10)
    return figure


def crowding_stages(table, case, density, stages, xlabel, log=True):
    """Draw completeness, crowding error and limiting magnitude against density, with the terms of each stage.

    Left: the part of the stars that each stage loses (terms of CF-D1 with the opposite sign). Middle: the crowding
    error that each stage adds (terms of CF-B1), and on raw pixels the standard deviation beside the analytic curve's.
    Right: the magnitude of 50 % completeness, and that at which the analytic error reaches its limit. Where the
    intervals of two stages part, one dominates.

    Returns
    -------
    matplotlib.figure.Figure or None
        None with fewer than two scenarios.
    """
    if len(density) < 2:
        return None
    figure = Figure(figsize=(13, 5), layout="constrained")
    loss, error, depth = axes = figure.subplots(1, 3)
    for k, stage in enumerate(stages):
        style = {"fmt": f"{MARKERS[k]}-", "color": STAGE_COLOURS[stage], "label": stage}
        _against(loss, table, density, -1, style, case=case, fom="CF-D1", term=stage, population="all", kind="impact")
        _against(error, table, density, 1, style, case=case, fom="CF-B1", term=stage, kind="impact")
    for term, style in (("undeblended", {"fmt": "v:", "label": "raw pixels, standard deviation"}),
                        ("analytic", {"fmt": "x--", "label": "analytic (Olsen et al. 2003)"})):
        _against(error, table, density, 1, {**style, "color": "#333333"}, case=case, fom="CF-B1.rms", term=term,
                 kind="value")
    for k, term in enumerate(("alone", "deblended", "pipeline")):
        style = {"fmt": f"{MARKERS[k]}-", "color": RUNG_COLOURS[term], "label": f"50 % recovered, {term}"}
        _against(depth, table, density, 1, style, case=case, fom="CF-D1.m50", term=term, kind="value")
    _against(depth, table, density, 1, {"fmt": "x--", "color": "#333333", "label": f"analytic error = {CROWDED:g}"},
             case=case, fom="CF-D1.limit", term=REFERENCE, kind="value")
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
    figure.suptitle(f"{case}: stages against the density of stars, 95 % intervals", fontsize=11)
    return figure


def _against(axis, table, density, sign, style, **conditions):
    """Draw the rows that fit against density."""
    rows = rows_of(table, stratum="all", **conditions)
    rows = rows[[str(s) in density for s in rows["scenario"]]]
    if not len(rows):
        return
    x = np.array([density[str(s)] for s in rows["scenario"]])
    order = np.argsort(x)
    value, error = errors(rows)
    if sign < 0:
        error = error[::-1]
    axis.errorbar(x[order], sign * value[order], error[:, order], capsize=3, ms=5, **style)


def colour_magnitude(table, case, scenario, fom, colour, ylabel):
    """Draw the colour-magnitude diagrams whose cells are strata: truth, pipeline, and their ratio.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there are no cells.
    """
    rows = rows_of(table, case=case, scenario=scenario, fom=fom, kind="value")
    rows = rows[[str(s).startswith(CELLS) for s in rows["stratum"]]]
    if not len(rows):
        return None
    cells = np.array([[float(v) for v in str(s).removeprefix(CELLS).split(" ")] for s in rows["stratum"]])
    (x, dx), (y, dy) = (_axis(values) for values in cells.T)
    maps = {}
    for term in (REFERENCE, "pipeline"):
        counts = np.zeros((len(y), len(x)))
        here = np.asarray(rows["term"]) == term
        place = np.searchsorted(y, cells[here, 1] - dy / 2), np.searchsorted(x, cells[here, 0] - dx / 2)
        counts[place] = np.asarray(rows["value"], float)[here]
        maps[term] = counts
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    x_edges, y_edges = np.append(x, x[-1] + dx), np.append(y, y[-1] + dy)
    norm = LogNorm(1, max(2.0, max(m.max() for m in maps.values())))
    for axis, term in zip(axes, maps):
        drawn = axis.pcolormesh(x_edges, y_edges, np.ma.masked_equal(maps[term], 0), norm=norm, cmap="viridis")
        axis.set_title({REFERENCE: "true stars", "pipeline": "detections, as measured"}[term]
                       + f" (N = {int(maps[term].sum()):,})", fontsize=10)
    figure.colorbar(drawn, ax=axes[:2], label="stars per cell")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = maps["pipeline"] / maps[REFERENCE]
    known = np.ma.masked_where((maps[REFERENCE] == 0) | ~np.isfinite(ratio), ratio)
    drawn = axes[2].pcolormesh(x_edges, y_edges, known, vmin=0, vmax=2, cmap="RdBu_r")
    figure.colorbar(drawn, ax=axes[2], label="detections / true stars")
    axes[2].set_title("ratio (cells with true stars)", fontsize=10)
    for axis in axes:
        axis.set_xlabel(colour)
    axes[0].set_ylabel(ylabel)
    axes[0].invert_yaxis()
    figure.suptitle(f"{case}, {scenario}: {rows['title'][0]}", fontsize=11)
    return figure


def _axis(values):
    """Return the low edges of all cells of an axis between the outermost given, and the cell's width."""
    known = np.unique(values)
    step = float(np.diff(known).min()) if len(known) > 1 else 1.0
    return known[0] + step * np.arange(round((known[-1] - known[0]) / step) + 1), step


def _one():
    figure = Figure(figsize=(6.2, 4), layout="constrained")
    axis = figure.subplots()
    plain(axis)
    return figure, axis
