"""Figures of the comparison: accuracy against cost, flux against blendedness, one blend through all deblenders."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...data.catalogues import rows_of
from ..figures import errors, nothing
from ..panel import to_rgb
from .foms import BLENDED

COLOURS = ("#000000", "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#7F7F7F")
MARKERS = "osD^v<>PX*"
LEAST_MS = 0.01  # CPU of a deblender that does nothing
LIMIT = 5.0  # sky sigmas: ends of the colours of a difference


def style(number):
    """Return colour and marker of the deblender of that number."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def point(axis, x, row, number, ms):
    """Draw the value of a row with its interval, open and faint without one; return what stands for it in a legend."""
    value, error = errors(row)
    look = style(number)
    if np.isnan(error).any():
        axis.plot(x, value, ls="", ms=ms, alpha=0.5, mfc="white", mec=look["color"], marker=look["marker"])
        return Line2D([], [], ls="", ms=ms, **look)
    return axis.errorbar(x, value, error, capsize=2, ls="", ms=ms, **look)


def _flux(table, sky):
    """Return the id of the flux residual of a sky, and its formula: against the truth on a real image."""
    rows = rows_of(table, sky=sky, fom="ap_true.nmad")
    real = any(str(stratum).startswith("blendedness:") for stratum in rows["stratum"])
    return ("ap_true", "(F - F_true) / F_true") if real else ("ap", "(F - F_exact) / F_true")


def legend(figure, drawn):
    """Put the legend below a figure; ``drawn`` has a handle by label."""
    figure.legend(
        drawn.values(), drawn, loc="outside lower center", ncols=min(len(drawn), 8), frameon=False, fontsize=8
    )


def frontier(table, costs, skies, deblenders):
    """Draw scatter of the aperture flux of blended sources against CPU per source, a panel per sky.

    Parameters
    ----------
    table : Table
        `blendimpact.report.comparison.tables.COLUMNS`.
    costs : list of dict
        From `blendimpact.report.comparison.cost.summary`.
    skies, deblenders : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(max(4.6 * len(skies), 9), 4.8), layout="constrained")
    axes = figure.subplots(1, len(skies), squeeze=False)[0]
    drawn = {}
    for axis, sky in zip(axes, skies):
        fom, formula = _flux(table, sky)
        rows = rows_of(table, sky=sky, fom=f"{fom}.nmad", stratum="blended", population="true centres")
        for number, name in enumerate(deblenders):
            row, cost = rows_of(rows, deblender=name), [c for c in costs if (c["sky"], c["deblender"]) == (sky, name)]
            if not len(row) or not cost or not np.isfinite(row["value"][0]):
                continue
            value, x = float(row["value"][0]), [max(cost[0][k], LEAST_MS) for k in ("ms_steady", "ms_all")]
            look = style(number)
            axis.plot(x, [value, value], "-", color=look["color"], lw=0.8, alpha=0.6)
            axis.plot(x[1], value, mfc="none", ls="", mec=look["color"], marker=look["marker"], ms=6)
            drawn[name] = point(axis, x[0], row, number, 7)
        n = int(max(rows["n"])) if len(rows) else 0
        axis.set_title(
            f"{sky}: N = {n}, {int(max(rows['n_blocks'])) if len(rows) else 0} patches\nNMAD of {formula}", fontsize=10
        )
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("CPU per source [ms]")
        axis.grid(color="0.92", which="both")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"NMAD of the aperture flux,\nblendedness ≥ {BLENDED:g}, true centres")
    if not drawn:
        return nothing("no deblender ran on these skies")
    legend(figure, drawn)
    figure.suptitle(
        "Accuracy against cost, both better to the lower left. Filled: steady; open: imports and compiling "
        "shared among the sources of one job. 95 % intervals (faint: too few patches for one); "
        "truth_profiles is a bound, but not on a real image",
        fontsize=9,
    )
    return figure


def against_blendedness(table, skies, deblenders):
    """Draw bias and scatter of the aperture flux against blendedness, a column per sky."""
    figure = Figure(figsize=(max(4.6 * len(skies), 9), 6.4), layout="constrained")
    axes = figure.subplots(2, len(skies), squeeze=False, sharex="col")
    drawn = {}
    for column, sky in enumerate(skies):
        flux, formula = _flux(table, sky)
        for axis, fom, text in ((axes[0, column], "nmad", "NMAD"), (axes[1, column], "bias", "median")):
            rows = rows_of(table, sky=sky, fom=f"{flux}.{fom}", population="true centres")
            rows = rows[[str(s).startswith("blendedness:") for s in rows["stratum"]]]
            bins = sorted({str(s) for s in rows["stratum"]}, key=lambda s: float(s.split(":")[1].split("-")[0]))
            for number, name in enumerate(deblenders):
                for k, stratum in enumerate(bins):
                    row = rows_of(rows, deblender=name, stratum=stratum)
                    if len(row) and np.isfinite(row["value"][0]):
                        place = k + 0.8 * ((number + 0.5) / len(deblenders) - 0.5)
                        drawn[name] = point(axis, place, row, number, 5)
            labels = [s.split(":")[1].replace("-", "–").replace("1.0001", "1") for s in bins]
            counts = [int(max(rows_of(rows, stratum=s)["n"])) for s in bins]
            axis.set_xticks(range(len(bins)), [f"{a}\nN = {n}" for a, n in zip(labels, counts)], fontsize=8)
            if column == 0:
                axis.set_ylabel(f"{text} of the aperture flux")
            # Scatter far below a per cent is none; raw pixels are far above the others.
            axis.set_yscale("symlog", linthresh=0.01)
            if text == "NMAD":
                axis.set_ylim(bottom=-1e-3)
            axis.axhline(0, color="#222222", lw=0.8)
            axis.grid(axis="y", color="0.92")
            axis.spines[["top", "right"]].set_visible(False)
        axes[0, column].set_title(f"{sky}, true centres\n{formula}", fontsize=10)
        axes[1, column].set_xlabel("blendedness (1 - purity)")
    if not drawn:
        return nothing("no deblender ran on these skies")
    legend(figure, drawn)
    return figure


def panel(sky, stamps):
    """Draw one blend: the scene, the exact child, and of each deblender its child and what is wrong with it.

    Parameters
    ----------
    sky : str
    stamps : dict of str to dict
        By deblender, arrays as `blendimpact.stages.compare` keeps them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    stamps = {name: made for name, made in stamps.items() if "child" in made}
    if not stamps:
        return nothing(f"{sky}: no blend to draw, or no deblender ran")
    first = next(iter(stamps.values()))
    band, noise, scale = int(first["shape_band"]), first["noise"], float(first["scale"])
    side = first["child"].shape[-1] * scale
    names = ["scene", "exact", *stamps]
    figure = Figure(figsize=(1.9 * len(names), 4.6), layout="constrained")
    axes = figure.subplots(2, len(names))
    for column, name in enumerate(names):
        image = first[name] if name in ("scene", "exact") else stamps[name]["child"]
        top, low = axes[:, column]
        top.imshow(to_rgb(image, noise), origin="lower", extent=(0, side, 0, side))
        difference = (image[band] - first["exact"][band]) / noise[band]
        if name == "exact":
            difference = (image[band] - first["truth"][band]) / noise[band]
        shown = low.imshow(
            difference, origin="lower", extent=(0, side, 0, side), cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT
        )
        titles = {"scene": "scene\n+ true centres", "exact": "exact child\nneighbours removed"}
        top.set_title(titles.get(name, name.replace("_", "\n", 1)), fontsize=8)
        low.set_title(
            "child - truth" if name == "exact" else f"{'scene' if name == 'scene' else 'child'} - exact", fontsize=8
        )
        for axis in (top, low):
            axis.set_axis_off()
    axes[0, 0].plot(*(np.asarray(first["centres"]).T + 0.5) * scale, "+", color="w", ms=6, mew=0.8)
    axes[0, 0].set_xlim(0, side)
    axes[0, 0].set_ylim(0, side)
    figure.colorbar(shown, ax=list(axes[1]), label="sky sigma", shrink=0.8)
    mag, snr, blended = first["facts"]
    bands = [str(b) for b in first["bands"]]
    figure.suptitle(
        f"{sky}: patch {int(first['patch'])}, source {int(first['source_id'])}; {bands[band]} = {mag:.2f} "
        f"mag, S/N = {snr:.0f}, blendedness {blended:.2f}; {side:.0f} arcsec, bands {', '.join(bands)}; "
        f"differences in {bands[band]}",
        fontsize=9,
    )
    return figure
