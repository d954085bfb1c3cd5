"""Drawing of photometric redshifts: diagrams, outliers by stage, and blends of catalogues beside those of pixels."""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from ...data.catalogues import rows_of
from ...ladder.budget import sample_of
from ...ladder.redshifts import FRIENDS
from ...ladder.rungs import COLOURS
from ...report.figures import STAGE_COLOURS, bin_labels, legend, plain, points, strata_of, without_interval
from ...stats.figures_of_merit import CELLS
from .photo_z import CELL
from .photo_z_foms import OUTLIER

MOST = 2.4
"""Redshift to which diagrams go."""


def diagrams(foms, fom, rungs):
    """Draw the estimated against the true redshift, one panel per rung; lines are the limits of outliers.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there are no redshifts.
    """
    rows = foms.here(fom=fom, kind="value")
    rungs = [rung for rung in rungs if rung in set(map(str, rows["term"]))]
    if not rungs:
        return None
    number = round(MOST / CELL)
    edges = CELL * np.arange(number + 1)
    counts = {rung: np.full((number, number), np.nan) for rung in rungs}
    for row in rows:
        i, j = (round(float(text) / CELL) for text in str(row["stratum"]).removeprefix(CELLS).split())
        if str(row["term"]) in counts and 0 <= i < number and 0 <= j < number:
            counts[str(row["term"])][j, i] = row["value"]
    figure = Figure(figsize=(3.6 * len(rungs) + 0.8, 4.2), layout="constrained")
    axes = np.ravel(figure.subplots(1, len(rungs), sharex=True, sharey=True))
    top = max(np.nanmax(table) for table in counts.values())
    for axis, rung in zip(axes, rungs):
        mesh = axis.pcolormesh(edges, edges, counts[rung], cmap=colormaps["viridis"], vmin=0, vmax=top)
        for sign in (-1, 0, 1):
            axis.plot(edges, edges + sign * OUTLIER * (1 + edges), "-" if sign == 0 else "--", color="#D55E00", lw=1)
        outliers = rows_of(foms.here(fom="PZ-M1.outliers", kind="value", term=rung, stratum="all"), population="kept")
        text = f"\n{100 * float(outliers['value'][0]):.1f} % outliers" if len(outliers) else ""
        axis.set(title=rung + text, xlabel="true redshift", xlim=(0, MOST), ylim=(0, MOST), aspect="equal")
        axis.title.set_fontsize(10)
    axes[0].set_ylabel("estimated redshift")
    figure.colorbar(mesh, ax=axes, label="galaxies per cell", shrink=0.8)
    figure.suptitle(
        f"{foms.case}, {foms.scenario}: the same galaxies on each rung; dashed: |dz| / (1 + z) = {OUTLIER}", fontsize=11
    )
    return figure


def terms_by_stratum(foms, fom, strata, terms, ylabel):
    """Draw what each stage adds to a figure of merit, against the bins of each stratum: {name: label of its axis}.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there is no such stratum.
    """
    impacts = foms.here(fom=fom, kind="impact")
    own = [str(r["population"]) == sample_of(str(r["term"])) and str(r["term"]) in terms for r in impacts]
    impacts = impacts[np.array(own, bool)]
    bins_of = {name: [b for b in dict.fromkeys(map(str, impacts["stratum"])) if b.startswith(name)] for name in strata}
    if not all(bins_of.values()):
        return None
    parts = {
        label: (impacts, sorted(bins_of[name], key=lambda b: float(b.split(":")[1].split("-")[0])))
        for name, label in strata.items()
    }
    figure = Figure(figsize=(5.5 * len(parts), 4.3), layout="constrained")
    axes = np.ravel(figure.subplots(1, len(parts), sharey=True))
    for axis, (label, (rows, bins)) in zip(axes, parts.items()):
        for number, term in enumerate(terms):
            here = rows_of(rows, term=term)
            here = here[np.isin(np.asarray(here["stratum"]).astype(str), bins)]
            x = np.array([bins.index(str(s)) for s in here["stratum"]]) + 0.1 * (number - (len(terms) - 1) / 2)
            points(axis, x, here, number, term, colour=STAGE_COLOURS.get(term))
        axis.axhline(0, color="#222222", lw=0.8)
        axis.set_xticks(range(len(bins)), bin_labels(bins, rows_of(rows, term=terms[0])), fontsize=8)
        axis.set_xlabel(f"{label}, N below")
        plain(axis, "y")
    axes[0].set_ylabel(ylabel)
    legend(figure, axes)
    figure.suptitle(
        f"{foms.case}, {foms.scenario}: {impacts['title'][0]}, {int(impacts['n_blocks'][0])} patches, 95 % intervals"
        + without_interval(impacts),
        fontsize=11,
    )
    return figure


def catalogue_blends(foms, rungs):
    """Draw blends by friends of friends beside those of the pixels: which there are, and what they do to redshifts.

    Left: galaxies that are blended by both accounts, only by the catalogue's, and only by the detector's. Then the
    outliers that blends add, and the shift of the mean redshift of tomographic bins, of all members weighted by flux.
    A table holds the numbers of the whole sample.

    Parameters
    ----------
    foms : blendimpact.report.figures.CaseFoms
    rungs : sequence of str
        Of the redshifts.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there are no catalogue blends.
    """
    if not len(foms.here(fom="PZ-D2")):
        return None
    figure = Figure(figsize=(14.5, 6.2), layout="constrained")
    axes = figure.subplot_mosaic([["blends", "outliers", "bins"], ["table", "table", "table"]], height_ratios=(3, 1.1))
    _which(axes["blends"], foms)
    for name, fom, stratum, label in (
        ("outliers", "PZ-D3", "magnitude", "magnitude of the brightest member"),
        ("bins", "PZ-D3.members", "bin", "tomographic bin of the estimate"),
    ):
        rows, bins = strata_of(foms.here(fom=fom, kind="value"), stratum)
        for number, rung in enumerate(rungs):
            here = rows_of(rows, term=rung)
            x = np.array([bins.index(str(s)) for s in here["stratum"]]) + 0.1 * (number - (len(rungs) - 1) / 2)
            points(axes[name], x, here, number, rung, colour=COLOURS.get(rung, "#222222"))
        axes[name].axhline(0, color="#222222", lw=0.8)
        axes[name].set_xticks(range(len(bins)), bin_labels(bins, rows_of(rows, term=FRIENDS)), fontsize=8)
        axes[name].set_xlabel(f"{label}, N below")
        plain(axes[name], "y")
    axes["outliers"].set_ylabel(f"added fraction with |dz'| > {OUTLIER}")
    axes["bins"].set_ylabel("shift of <z> of all members, / (1 + z)")
    axes["outliers"].legend(frameon=False, fontsize=8)
    _table(axes["table"], foms, rungs)
    figure.suptitle(
        f"{foms.case}, {foms.scenario}: blends of catalogues (friends within 1 arcsec) and of pixels, 95 % intervals",
        fontsize=11,
    )
    return figure


def _which(axis, foms):
    """Draw stacked bars: the part of galaxies that is blended by both accounts, or by one alone."""
    rows, bins = strata_of(foms.here(fom="PZ-D2", kind="value"), "magnitude")
    catalogue, invented, missed = (
        np.array([float(rows_of(foms.here(fom=fom, kind="value"), stratum=b)["value"][0]) for b in bins])
        for fom in ("PZ-D2", "PZ-D2.invented", "PZ-D2.missed")
    )
    x, floor = np.arange(len(bins)), np.zeros(len(bins))
    for part, label, colour in (
        (catalogue - invented, "both", "#999999"),
        (invented, "only the catalogue's: invented", "#56B4E9"),
        (missed, "only the pixels': missed", "#D55E00"),
    ):
        axis.bar(x, part, bottom=floor, width=0.65, color=colour, label=label, zorder=2)
        floor = floor + part
    axis.set_xticks(x, bin_labels(bins, rows), fontsize=8)
    axis.set(xlabel="true magnitude, N below", ylabel="fraction of galaxies")
    axis.legend(frameon=False, fontsize=8)
    plain(axis, "y")


def _table(axis, foms, rungs):
    """Write the numbers of the whole sample."""
    axis.axis("off")

    def said(**conditions):
        rows = foms.here(kind="value", **conditions)
        if not len(rows):
            return "–"
        value, low, high = (100 * float(rows[name][0]) for name in ("value", "ci_low", "ci_high"))
        return f"{value:.1f}" + (f" ({low:.1f} to {high:.1f})" if np.isfinite(low) else "")

    names = {
        "catalogue blends": "PZ-D2",
        "pixel blends": "PZ-D2.pixels",
        "invented": "PZ-D2.invented",
        "missed": "PZ-D2.missed",
    }
    columns = {f"{name} [%]": said(fom=fom, stratum="all") for name, fom in names.items()}
    columns |= {f"outliers added, {rung} [%]": said(fom="PZ-D3", stratum="all", term=rung) for rung in rungs}
    table = axis.table([[*columns.values()]], colLabels=[*columns], loc="center", cellLoc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    table.scale(1, 1.5)
