"""Figures of difference imaging: panels side by side, spurious candidates, places, detection curves."""

import numpy as np
from matplotlib.figure import Figure

from ...data.catalogues import rows_of
from ...ladder.rungs import COLOURS, REAL
from ...report.figures import MARKERS, bin_labels, errors, legend, plain, points, strata_of, without_interval
from ...stats.detection_statistics import FALSE_POSITIVES

LINEAR = 0.02  # of a symmetric logarithmic axis: linear within


def side_by_side(foms, panels, stratum, rungs, xlabel, scale="linear"):
    """Draw figures of merit against the bins of a stratum, a panel each and a curve per rung.

    Parameters
    ----------
    foms : blendimpact.report.figures.CaseFoms
    panels : sequence of dict
        ``fom``, ``title``, ``ylabel``; ``population`` where there are several.
    stratum : str
    rungs : sequence of str
    xlabel : str
    scale : str
        Of the vertical axes: "linear", "log" or "symlog".

    Returns
    -------
    matplotlib.figure.Figure or None
        None when no panel has such strata.
    """
    table = foms.here(kind="value")
    drawn = []
    for panel in panels:
        here = {"population": panel["population"]} if "population" in panel else {}
        rows, bins = strata_of(rows_of(table, fom=panel["fom"], **here), stratum)
        if len(rows):
            drawn.append((panel, rows, bins))
    if not drawn:
        return None
    figure = Figure(figsize=(1.6 + 4.6 * len(drawn), 4.2), layout="constrained")
    axes = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axis, (panel, rows, bins) in zip(axes, drawn):
        for k, rung in enumerate(rungs):
            here = rows_of(rows, term=rung)
            if not len(here):
                continue
            where = np.array([bins.index(str(s)) for s in here["stratum"]])
            order = np.argsort(where)
            x = where[order] + 0.08 * (k - (len(rungs) - 1) / 2)
            points(axis, x, here[order], k, rung, "-", COLOURS.get(rung))
        axis.set_xticks(range(len(bins)), bin_labels(bins, rows), rotation=35, ha="right", fontsize=8)
        axis.set_yscale(scale, **({"linthresh": LINEAR} if scale == "symlog" else {}))
        axis.set_title(f"{panel['title']} ({panel['fom']})", fontsize=10)
        axis.set_ylabel(panel["ylabel"])
        axis.set_xlabel(f"{xlabel}, N below")
        plain(axis, "y")
        if scale != "log":
            axis.axhline(0, color="#222222", lw=0.8)
    legend(figure, axes)
    _headed(figure, foms, drawn[0][1])
    return figure


def _headed(figure, foms, rows):
    figure.suptitle(
        f"{foms.case}, {foms.scenario}: {int(rows['n_blocks'][0])} patches, 95 % intervals" + without_interval(rows),
        fontsize=11,
    )


def spurious(foms, fom, floor, rungs):
    """Draw the density of spurious candidates against the threshold, with the curve of noise alone for each rung.

    Parameters
    ----------
    fom, floor : str
        Densities with strata ``threshold:<sigma>``: of candidates, and of peaks of noise.
    rungs : sequence of str

    Returns
    -------
    matplotlib.figure.Figure or None
    """
    rows, _ = strata_of(foms.here(kind="value", fom=fom), "threshold")
    if not len(rows):
        return None
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axis = figure.subplots()
    least = np.inf
    for k, rung in enumerate(rungs):
        here = rows_of(rows, term=rung)
        if not len(here):
            continue
        x = np.array([float(str(s).split(":")[1]) for s in here["stratum"]]) + 0.03 * (k - (len(rungs) - 1) / 2)
        value, error = errors(here)
        none = value <= 0  # only an upper limit
        style = {"color": COLOURS.get(rung), "ms": 5, "capsize": 2}
        axis.errorbar(
            x[~none], value[~none], error[:, ~none], fmt=MARKERS[k], label=rung, **style
        )  # Poisson: all have one
        top = value[none] + error[1, none]
        axis.plot(x[none], top, "v", mfc="none", color=style["color"], ms=6)
        noise, _ = strata_of(foms.here(kind="value", fom=floor, term=rung), "threshold")
        if len(noise):
            x = np.array([float(str(s).split(":")[1]) for s in noise["stratum"]])
            order = np.argsort(x)
            floor_value = np.asarray(noise["value"], float)
            axis.plot(x[order], floor_value[order], "-", lw=1, color=style["color"], alpha=0.6)
            least = min(least, floor_value.min())
    axis.plot([], [], "-", color="0.5", lw=1, label="Kaiser, noise of the same difference")
    axis.plot([], [], "v", mfc="none", color="0.5", label="none seen: upper end of the interval")
    axis.set_yscale("log")
    if np.isfinite(least):
        axis.set_ylim(bottom=least / 3)
    axis.set_xlabel("threshold [sigma], both signs")
    axis.set_ylabel("spurious candidates per deg²")
    legend(figure, axis)
    plain(axis)
    _headed(figure, foms, rows)
    return figure


def by_place(foms, panels, places, rungs):
    """Draw figures of merit of supernovae by where they lie, a panel each and a marker per rung.

    Parameters
    ----------
    panels : sequence of dict
        ``fom``, ``title``; optional ``line``: where it should be.
    places : sequence of str
        Strata ``place:<name>``.
    rungs : sequence of str

    Returns
    -------
    matplotlib.figure.Figure or None
    """
    table = foms.here(kind="value")
    names = [f"place:{p}" for p in places]
    table = table[np.isin(np.asarray(table["stratum"]).astype(str), names)]
    if not any(str(f) == p["fom"] for p in panels for f in table["fom"]):
        return None
    figure = Figure(figsize=(1.4 + 4.2 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, panel in zip(axes, panels):
        rows = rows_of(table, fom=panel["fom"])
        for k, rung in enumerate(rungs):
            here = rows_of(rows, term=rung)
            if not len(here):
                continue
            where = np.array([names.index(str(s)) for s in here["stratum"]])
            points(axis, where + 0.09 * (k - (len(rungs) - 1) / 2), here, k, rung, colour=COLOURS.get(rung))
        if "line" in panel:
            axis.axhline(panel["line"], color="#222222", lw=0.8)
        present = [name for name in names if name in set(map(str, rows["stratum"]))]
        labels = dict(zip(present, bin_labels(present, rows)))
        axis.set_xticks(range(len(names)), [labels.get(name, name.split(":")[1]) for name in names], fontsize=8)
        axis.set_xlim(-0.6, len(names) - 0.4)
        axis.set_title(f"{panel['title']} ({panel['fom']})", fontsize=10)
        plain(axis, "y")
    legend(figure, axes)
    _headed(figure, foms, table)
    return figure


def detection_curve(foms, fom, rungs, xlabel, ylabel, stratum="all"):
    """Draw the share of positives found against that of negatives taken for them.

    Parameters
    ----------
    fom : str
        ``<fom>.fpr<per cent>`` are its points: of the sample "kept" where there is a search, else "centres".
    rungs : sequence of str
    xlabel, ylabel, stratum : str

    Returns
    -------
    matplotlib.figure.Figure or None
    """
    rows = foms.here(kind="value", stratum=stratum)
    names = [f"{fom}.fpr{round(100 * share)}" for share in FALSE_POSITIVES]
    rows = rows[np.isin(np.asarray(rows["fom"]).astype(str), names)]
    if not len(rows):
        return None
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    axis = figure.subplots()
    for k, rung in enumerate(rungs):
        here = rows_of(rows, term=rung, population="kept" if rung in REAL else "centres")
        if not len(here):
            continue
        x = np.array([FALSE_POSITIVES[names.index(str(f))] for f in here["fom"]])
        order = np.argsort(x)
        spread = 1.03 ** (k - (len(rungs) - 1) / 2)
        points(axis, x[order] * spread, here[order], k, rung, "-", COLOURS.get(rung))
    chance = np.geomspace(FALSE_POSITIVES[0], FALSE_POSITIVES[-1], 50)
    axis.plot(chance, chance, ":", color="0.5", label="by chance")
    axis.set_xscale("log")
    axis.set_ylim(0, 1.02)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    legend(figure, axis)
    plain(axis)
    _headed(figure, foms, rows)
    return figure
