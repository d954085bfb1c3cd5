"""What both pictures of the board are drawn with: text and boxes in inches, verdicts, strips of values."""

from functools import lru_cache

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

from .words import requirement_sense

# Okabe and Ito's palette, darkened for white text; each verdict also has its word and symbol.
COLOURS = {
    "meets": "#00795A",
    "exceeds": "#B84A00",
    "negligible": "#3E7A1E",
    "needs calibration": "#8A3A78",
    "undetermined": "#7D6608",
    "no requirement": "#0064A0",
    "not quantified": "#7A7F85",
}
TINTS = {
    "meets": "#E3F4EE",
    "exceeds": "#FBEADF",
    "negligible": "#EBF4E4",
    "needs calibration": "#F6E9F3",
    "undetermined": "#FBF3D5",
    "no requirement": "#E4EFF8",
    "not quantified": "#F1F2F4",
}
SYMBOLS = {
    "meets": "✓",
    "exceeds": "✗",
    "negligible": "≈",
    "needs calibration": "▲",
    "undetermined": "?",
    "no requirement": "•",
    "not quantified": "○",
}
INK, GREY, LINE = "#16202A", "#55606B", "#C9CED4"


class Pen:
    """Text and boxes in inches from the top left corner."""

    def __init__(self, axes):
        self.axes = axes

    def text(self, x, y, text, size, colour=INK, **kwargs):
        self.axes.text(x, y, text, fontsize=size, color=colour, va="baseline", **kwargs)

    def box(self, x, y, width, height, face, edge="none", radius=0.05):
        style = f"round,pad=0,rounding_size={radius}"
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, fc=face, ec=edge, lw=0.8))

    def bar(self, x, y, width, height, face, **kwargs):
        self.axes.add_patch(Rectangle((x, y), width, height, fc=face, ec="none", **kwargs))

    def line(self, x, y, colour, width=1.0, **kwargs):
        self.axes.plot(x, y, color=colour, lw=width, solid_capstyle="butt", **kwargs)

    def chip(self, right, y, verdict, tag="none", size=8.5):
        """Draw a verdict and its tag as a label that ends at ``right``; return its width."""
        text, tall = f"{SYMBOLS[verdict]} {verdict}" + ("" if tag == "none" else f" [{tag}]"), 0.0235 * size
        width = measure(text, size, "bold") + 0.8 * tall
        self.box(right - width, y, width, tall, COLOURS[verdict], radius=0.3 * tall)
        self.text(right - width / 2, y + 0.71 * tall, text, size, "white", weight="bold", ha="center")
        return width

    def paragraph(self, x, y, text, size, width, lines, colour=INK, step=None, **kwargs):
        """Write at most ``lines`` lines, the last one shortened if there is more; return their number."""
        wrapped = wrap(text, size, width, lines, kwargs.get("weight", "normal"))
        for number, line in enumerate(wrapped):
            self.text(x, y + number * (step or 0.0175 * size), line, size, colour, **kwargs)
        return len(wrapped)


@lru_cache(maxsize=4096)
def measure(text, size, weight="normal"):
    """Return the width of a text in inches."""
    if not text.strip():
        return 0.0
    # The control points bound the outline, which is close enough, and much faster than its extent.
    return np.ptp(TextPath((0, 0), text, size, prop=FontProperties(weight=weight)).vertices[:, 0]) / 72


def wrap(text, size, width, lines, weight="normal"):
    """Break a text into lines of at most ``width`` inches; what does not fit ends in "…"."""
    done, words = [], str(text).split()
    while words and len(done) < lines:
        taken = 1
        while taken < len(words) and measure(" ".join(words[: taken + 1]), size, weight) <= width:
            taken += 1
        done.append(" ".join(words[:taken]))
        words = words[taken:]
    if words and done:
        line = done[-1]
        while line and measure(line + "…", size, weight) > width:
            line = line[:-1].rstrip()
        done[-1] = line + "…"
    return done


def strip(pen, cell, left, top, width, size=1.0, zero=True):
    """Draw value and interval against zero and the requirement; a value without an interval is open.

    Parameters
    ----------
    pen : Pen
    cell : dict
        Of the board, with a value.
    left, top, width : float
        Inches.
    size : float
        Factor on all heights, widths of lines and letters.
    zero : bool
        Whether the line at 0 is labelled.
    """
    low = cell["value"] if cell["ci_low"] is None else cell["ci_low"]
    high = cell["value"] if cell["ci_high"] is None else cell["ci_high"]
    limit, sense = cell["requirement"], requirement_sense(cell)
    lines = [] if limit is None else [limit]
    if lines and sense in ("within", "known to"):
        middle = cell["value"] if sense == "known to" else 0
        lines = [middle + limit, middle - limit]
    least, most = min([low, 0, *lines]), max([high, 0, *lines])
    pad = 0.12 * ((most - least) or 1)
    least, most = least - pad, most + pad

    def at(x):
        return left + width * (x - least) / (most - least)

    middle, half = top + 0.2 * size, 0.16 * size
    if limit is not None:
        start, stop = at(lines[-1]), at(lines[0])
        if sense == "at most":
            start = left
        elif sense == "at least":
            stop = left + width
        pen.bar(start, middle - half, stop - start, 2 * half, "#009E73", alpha=0.22)
        for line in lines:
            pen.line([at(line)] * 2, [middle - half, middle + half], "#00795A", 0.9 * size)
    pen.line([left, left + width], [middle] * 2, LINE, 0.8 * size)
    pen.line([at(0)] * 2, [middle - half, middle + half + 0.03], INK, 0.8)
    if zero:
        pen.text(at(0), middle + half + 0.135 * size, "0", 7.5 * size, GREY, ha="center")
    colour = COLOURS[cell["verdict"]]
    known = cell["ci_low"] is not None and cell["ci_high"] is not None
    if known:
        pen.line([at(low), at(high)], [middle] * 2, colour, 2.2 * size)
        for end in (low, high):
            pen.line([at(end)] * 2, [middle - 0.05 * size, middle + 0.05 * size], colour, 1.4 * size)
    face, edge = (colour, "white") if known else ("white", colour)
    pen.axes.plot(at(cell["value"]), middle, "o", ms=6 * size, mfc=face, mec=edge, mew=(0.8 if known else 1.4) * size)
