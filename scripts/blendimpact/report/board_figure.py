"""The matrix as one figure: rows are what is measured of each science case, columns where blending acts."""

import io
import os
from functools import lru_cache

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

from .cells import NOTHING_SAID, STAGES, cell_spec
from .verdicts import VERDICTS
from .words import LEVEL, TAGS, also_lines, limit_text, quote, requirement_sense, split_tag

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

WIDTH, MARGIN, LABEL, GAP = 14.0, 0.22, 1.3, 0.09
COLUMN = (WIDTH - 2 * MARGIN - LABEL - 3 * GAP) / 3
CASE, BUILT, UNBUILT, HEAD, FOOT = 0.5, 1.94, 1.0, 0.97, 0.66
ALSO, SUBTITLE, SUBTITLES = 0.14, 0.17, 6  # a line of further values, a line of the subtitle, their number
DPI = 200


def board_figure(cells, board, title="Impact of source blending on LSST science", subtitle=""):
    """Draw the matrix.

    Parameters
    ----------
    cells : list of dict
        From `blendimpact.report.cells.matrix_cells`.
    board : list of dict
        What they were made from: gives the order, titles, short names and who reads per cent.
    title : str
    subtitle : str
        Name of the study, area of sky, sample sizes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    by_place = {(c["case"], c["subrow"], c["stage"]): c for c in cells}
    lines = [
        (row, subrow, [by_place[row["case"], subrow["name"], stage] for stage in STAGES])
        for row in board
        for subrow in row["subrows"]
    ]
    heights = [_height(mine) for _, _, mine in lines]
    head = HEAD + SUBTITLE * len(wrap(subtitle, 9.5, WIDTH - 2 * MARGIN, SUBTITLES))
    height = head + sum(heights) + GAP * len(lines) + CASE * len(board) + FOOT
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    pen = _Pen(axes)
    pen.text(MARGIN, 0.42, title, 19, weight="bold")
    pen.paragraph(MARGIN, 0.71, subtitle, 9.5, WIDTH - 2 * MARGIN, SUBTITLES, GREY, step=SUBTITLE)
    for column, stage in enumerate(STAGES):
        pen.text(_left(column) + 0.04, head - 0.1, stage.upper(), 10.5, GREY, weight="bold")
    top = head
    for (row, subrow, mine), tall in zip(lines, heights, strict=True):
        if subrow is row["subrows"][0]:
            _case_head(pen, row, top)
            top += CASE
        _label(pen, subrow, mine, top)
        for column, cell in enumerate(mine):
            spec = cell_spec(subrow, cell["stage"])
            draw = _cell if cell["quantified"] == "yes" else _open_cell
            draw(pen, cell, spec, _left(column), top, tall)
        top += tall + GAP
    _legend(pen, cells, top + 0.12)
    return figure


def write_board(cells, board, stem, title="Impact of source blending on LSST science", subtitle=""):
    """Draw the matrix to ``stem``.png (200 dpi) and ``stem``.pdf; the same cells give the same bytes."""
    figure = board_figure(cells, board, title, subtitle)
    for suffix, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "Title": title})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=DPI, metadata=metadata)
        with open(f"{stem}.{suffix}.part", "wb") as stream:
            stream.write(buffer.getvalue())
        os.replace(f"{stem}.{suffix}.part", f"{stem}.{suffix}")


def _left(column):
    return MARGIN + LABEL + GAP + column * (COLUMN + GAP)


class _Pen:
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
        text = f"{SYMBOLS[verdict]} {verdict}" + ("" if tag == "none" else f" [{tag}]")
        width = measure(text, size, "bold") + 0.16
        self.box(right - width, y, width, 0.2, COLOURS[verdict], radius=0.06)
        self.text(right - width / 2, y + 0.142, text, size, "white", weight="bold", ha="center")
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


def _height(cells):
    """Return the height of three cells."""
    if all(cell["quantified"] != "yes" for cell in cells):
        return UNBUILT
    return BUILT + ALSO * max(len(also_lines(cell)) for cell in cells)


def _case_head(pen, row, top):
    """Write what a case stands for, or why nothing of it is measured, above its sub-rows."""
    pen.line([MARGIN, WIDTH - MARGIN], [top + 0.06] * 2, LINE, 0.8)
    (title,) = wrap(row["title"], 13, WIDTH / 2, 1, "bold")
    pen.text(MARGIN, top + 0.34, title, 13, weight="bold")
    start = MARGIN + measure(title, 13, "bold") + 0.2
    note = row.get("not_built") or row.get("science", "")
    pen.paragraph(start, top + 0.34, note, 8.5, WIDTH - MARGIN - start, 1, GREY)


def _label(pen, subrow, cells, top):
    """Write what a sub-row is about, and the data used."""
    size, room = 10.5, LABEL - 0.05
    y = top + 0.25
    y += 0.0175 * size * pen.paragraph(MARGIN, y, subrow["title"], size, room, 3, weight="bold")
    data = dict.fromkeys(c["data"] for c in cells if c["quantified"] == "yes")
    if data:
        pen.paragraph(MARGIN, y + 0.05, "Data: " + "; ".join(data), 8, room, 7, GREY)


def _frame(pen, cell, spec, left, top, tall):
    """Draw what every cell has: box, verdict, name."""
    pen.box(left, top, COLUMN, tall, TINTS[cell["verdict"]], LINE)
    pen.bar(left, top + 0.05, 0.06, tall - 0.1, COLOURS[cell["verdict"]])
    x, right = left + 0.17, left + COLUMN - 0.1
    room = right - pen.chip(right, top + 0.1, cell["verdict"], cell["tag"]) - x - 0.1
    name = spec.get("name") or spec.get("identified_text") or cell["fom"]
    size = next((s for s in (10, 9.5, 9, 8.5) if measure(name, s, "bold") <= room), 8)
    pen.paragraph(x, top + 0.25, name, size, room, 1, weight="bold")
    return x


def _open_cell(pen, cell, spec, left, top, tall):
    """Draw a cell without a number: why, and what is published."""
    x = _frame(pen, cell, spec, left, top, tall)
    reason, _, published = cell["reason"].partition(". Published: ")
    used = pen.paragraph(x, top + 0.46, reason, 8.5, COLUMN - 0.32, 2, INK)
    tag = " [M, not verified]" if spec.get("published_tag") == "M" else ""
    pen.paragraph(
        x,
        top + 0.46 + 0.15 * used,
        f"Published{tag}: {published or 'no number found'}",
        8,
        COLUMN - 0.32,
        3 - used,
        GREY,
    )
    pen.text(x, top + tall - 0.1, f"{cell['fom']}  ·  identified: {cell['identified']}", 8, GREY)


def _cell(pen, cell, spec, left, top, tall):
    x = _frame(pen, cell, spec, left, top, tall)
    colour = COLOURS[cell["verdict"]]
    percent = spec.get("percent", False)
    value, interval = quote(cell["value"], cell["ci_low"], cell["ci_high"], cell["unit"], percent)
    number, _, unit = value.partition(" ")
    pen.text(x, top + 0.69, number, 21, colour, weight="bold")
    end = x + measure(number, 21, "bold") + 0.1
    pen.text(end, top + 0.69, unit, 11, colour, weight="bold")
    end += measure(unit, 11, "bold") + 0.2
    pen.text(x, top + 0.91, interval, 8.5)
    start = max(left + COLUMN - 1.95, end)
    _strip(pen, cell, start, top + 0.48, left + COLUMN - 0.15 - start)
    y = top + 1.13
    lines = 2 if cell["verdict"] == "undetermined" else 4
    y += 0.14 * pen.paragraph(x, y, _required(cell, spec), 8, COLUMN - 0.32, lines)
    if cell["verdict"] == "undetermined":
        # The figure shows the line; what is worth saying is what would settle it.
        pen.paragraph(x, y + 0.03, cell["reason"].partition("; ")[2] or cell["reason"], 8, COLUMN - 0.32, 3, GREY)
    term = spec.get("headline_term", "")
    kind = f"{term} term" if spec.get("kind", "impact") == "impact" else f"{term} rung"
    further = also_lines(cell)
    for number, line in enumerate(further):
        size = next((s for s in (7.5, 7, 6.5) if measure(line, s) <= COLUMN - 0.24), 6.5)
        pen.paragraph(x, top + tall - 0.28 - ALSO * (len(further) - 1 - number), line, size, COLUMN - 0.24, 1)
    pen.text(x, top + tall - 0.11, f"{cell['fom']}  ·  {kind}  ·  N = {cell['n']:,}", 8, GREY)
    if cell["split"] != NOTHING_SAID:
        pen.text(left + COLUMN - 0.1, top + tall - 0.11, cell["split"], 8, weight="bold", ha="right")


def _required(cell, spec):
    source, tag = split_tag(cell["requirement_source"])
    if cell["requirement"] is None:
        return f"requirement: {source}"
    return f"required: {limit_text(cell, spec.get('percent', False))} {tag}, {source}"


def _strip(pen, cell, left, top, width):
    """Draw value and interval against zero and the requirement."""
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

    middle, half = top + 0.2, 0.16
    if limit is not None:
        start, stop = at(lines[-1]), at(lines[0])
        if sense == "at most":
            start = left
        elif sense == "at least":
            stop = left + width
        pen.bar(start, middle - half, stop - start, 2 * half, "#009E73", alpha=0.22)
        for line in lines:
            pen.line([at(line)] * 2, [middle - half, middle + half], "#00795A", 0.9)
    pen.line([left, left + width], [middle] * 2, LINE, 0.8)
    pen.line([at(0)] * 2, [middle - half, middle + half + 0.03], INK, 0.8)
    pen.text(at(0), middle + half + 0.135, "0", 7.5, GREY, ha="center")
    colour = COLOURS[cell["verdict"]]
    pen.line([at(low), at(high)], [middle] * 2, colour, 2.2)
    for end in (low, high):
        pen.line([at(end)] * 2, [middle - 0.05, middle + 0.05], colour, 1.4)
    pen.axes.plot(at(cell["value"]), middle, "o", ms=6, mfc=colour, mec="white", mew=0.8)


def _legend(pen, cells, top):
    x = MARGIN
    for verdict in VERDICTS:
        width = measure(f"{SYMBOLS[verdict]} {verdict}", 8.5, "bold") + 0.16
        pen.chip(x + width, top, verdict)
        number = sum(c["verdict"] == verdict for c in cells)
        pen.text(x + width + 0.06, top + 0.142, f"{number}", 8.5, GREY)
        x += width + 0.3
    sources = [c["requirement_source"] for c in cells if c["quantified"] == "yes"]
    used = [t for t in TAGS if any(f"[{t}:" in source or f"[{t}]" in source for source in sources)]
    tags = ";".join(f" [{t}] {TAGS[t]}" for t in used)
    bands = any(c["requirement"] is not None and c["quantified"] == "yes" for c in cells)
    note = (
        f"Point and bar: value, {LEVEL} interval"
        + ("; green band: requirement" if bands else "")
        + ". Impact: difference between two rungs of the ladder that differ in one component."
    )
    pen.text(MARGIN, top + 0.42, note + (f"   Requirements:{tags}." if tags else ""), 8, GREY)
