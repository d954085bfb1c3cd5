"""Figures against the density of sources, one point or curve per scenario; and colour-magnitude diagrams."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..ladder.rungs import REFERENCE
from ..stats.figures_of_merit import CELLS
from .figures import bin_labels, legend, plain, points, rows_of, strata_of, without_interval


def by_scenario(foms, fom, stratum, rung, density, xlabel, ylabel, unit):
    """Draw a figure of merit on one rung against the bins of a stratum, one curve per scenario.

    Parameters
    ----------
    density : str
        Figure of merit that holds the density in ``unit``: the curves' order and labels.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when no scenario has it.
    """
    density = foms.density(density)
    rows = foms.rows(fom=fom, kind="value", term=rung)
    rows, bins = strata_of(rows[np.isin(np.asarray(rows["scenario"]).astype(str), [*density])], stratum)
    scenarios = sorted((s for s in density if s in set(map(str, rows["scenario"]))), key=density.get)
    if not scenarios:
        return None
    figure, axis = _one()
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(scenarios)))
    for k, (scenario, colour) in enumerate(zip(scenarios, colours)):
        here = rows_of(rows, scenario=scenario)
        where = np.array([bins.index(str(s)) for s in here["stratum"]])
        order = np.argsort(where)
        x = where[order] + 0.04 * (k - (len(scenarios) - 1) / 2)
        points(axis, x, here[order], k, f"{density[scenario]:.3g} {unit}", "-", colour)
    axis.set_xticks(range(len(bins)), bin_labels(bins, rows), fontsize=8)
    axis.set_xlabel(f"{xlabel}, N below")
    axis.set_ylabel(ylabel)
    legend(figure, axis)
    axis.set_title(f"{foms.case}, {rung}: {fom}, 95 % intervals{without_interval(rows)}", fontsize=10)
    return figure


def colour_magnitude(foms, fom, colour, ylabel):
    """Draw the colour-magnitude diagrams whose cells are strata: truth, pipeline, and their ratio.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there are no cells.
    """
    rows = foms.here(fom=fom, kind="value")
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
        axis.set_title(
            {REFERENCE: "true stars", "pipeline": "detections, as measured"}[term]
            + f" (N = {int(maps[term].sum()):,})",
            fontsize=10,
        )
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
    figure.suptitle(f"{foms.case}, {foms.scenario}: {rows['title'][0]}", fontsize=11)
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
