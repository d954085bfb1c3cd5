"""Science image, template and differences of a few transients through the rungs, as images."""

import numpy as np
from matplotlib.figure import Figure

IMAGES = ("science", "template")
LEVELS, CHANGES = (-3, 30), (-8, 8)
"""Range of grey and of colour, in standard deviations of the sky."""


def draw_triplets(rows, columns, caption, scale=0.2):
    """Draw one transient per row.

    Parameters
    ----------
    rows : list of dict
        ``title``; ``planes``: by column, (S, S) arrays in units of the standard deviation of their sky, absent where
        there is none; ``target``: (x, y) of the transient in pixels of the stamp; ``found``: by column, (N, 2) of
        detections.
    columns : dict of str to str
        Title by column; those of `IMAGES` are grey, the others differences.
    caption : str
    scale : float
        Arcsec per pixel.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(2.0 * len(columns) + 0.4, 2.0 * len(rows) + 0.6), layout="constrained")
    figure.suptitle(caption, fontsize=9)
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, row in zip(axes, rows):
        for axis, (name, title) in zip(line, columns.items()):
            axis.set_xticks([])
            axis.set_yticks([])
            if row is rows[0]:
                axis.set_title(title, fontsize=8)
            if name == next(iter(columns)):
                axis.set_ylabel(row["title"], fontsize=8)
            plane = row["planes"].get(name)
            if plane is None:
                axis.text(0.5, 0.5, "none", ha="center", va="center", fontsize=9, transform=axis.transAxes)
                continue
            low, high = LEVELS if name in IMAGES else CHANGES
            shown = axis.imshow(
                plane,
                origin="lower",
                vmin=low,
                vmax=high,
                interpolation="nearest",
                cmap="Greys" if name in IMAGES else "RdBu_r",
            )
            size = len(plane)
            if name == next(iter(columns)):
                axis.plot([0.06 * size, 0.06 * size + 2 / scale], [0.06 * size] * 2, color="#0072B2", lw=2)
                axis.text(0.06 * size, 0.09 * size, '2"', fontsize=7, color="#0072B2")
                axis.plot(*np.reshape(row["target"], (2, 1)), "+", color="#D55E00", ms=9, mew=0.9)
            places = np.reshape(row["found"].get(name, ()), (-1, 2))
            axis.plot(*places.T, "o", mec="#009E73", mfc="none", ms=11, mew=1.1, ls="none")
            axis.set_xlim(-0.5, size - 0.5)
            axis.set_ylim(-0.5, size - 0.5)
    figure.colorbar(shown, ax=axes, shrink=0.6, label="differences [sky sigma]")
    return figure
