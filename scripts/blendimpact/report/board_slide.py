"""The matrix as one slide: of each cell a number, a bar and a verdict, to be read from the back of a room."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .cells import STAGES, cell_spec
from .pen import COLOURS, GREY, INK, LINE, SYMBOLS, TINTS, Pen, measure, strip, wrap
from .verdicts import VERDICTS
from .words import LEVEL, quote

WIDTH, HEIGHT, DPI = 19.2, 10.8, 100
"""Inches, and pixels per inch: 1920 x 1080."""
MARGIN, CASE, LABEL, GAP = 0.3, 0.5, 2.15, 0.07
HEAD, FOOT = 0.98, 0.42
COLUMN = (WIDTH - 2 * MARGIN - CASE - LABEL - 3 * GAP) / 3
SHARE = {True: 1.0, False: 0.42}
"""Relative height of a sub-row with a number, and of one without any."""
LEAST = 12.0
"""Size of the smallest letters in points: 17 pixels."""


def board_slide(cells, board, title):
    """Draw the slide.

    Parameters
    ----------
    cells, board : list of dict
        As for `blendimpact.report.board_figure.board_figure`.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        1920 x 1080 pixels at `DPI`.
    """
    by_place = {(c["case"], c["subrow"], c["stage"]): c for c in cells}
    lines = [
        (row, subrow, [by_place[row["case"], subrow["name"], stage] for stage in STAGES])
        for row in board
        for subrow in row["subrows"]
    ]
    shares = [SHARE[any(c["quantified"] == "yes" for c in mine)] for _, _, mine in lines]
    room = HEIGHT - HEAD - FOOT - GAP * (len(lines) + len(board))
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.axis("off")
    pen = Pen(axes)
    pen.text(MARGIN, 0.5, title, 24, weight="bold")
    for column, stage in enumerate(STAGES):
        pen.text(_left(column) + 0.05, HEAD - 0.1, stage, 15, GREY, weight="bold")
    top = HEAD
    for row in board:
        mine = [k for k, line in enumerate(lines) if line[0] is row]
        start = top
        for k in mine:
            _, subrow, three = lines[k]
            tall = room * shares[k] / sum(shares)
            _label(pen, subrow["title"], top, tall)
            for column, cell in enumerate(three):
                _cell(pen, cell, cell_spec(subrow, cell["stage"]), _left(column), top, tall)
            top += tall + GAP
        _case(pen, row["title"], start, top - GAP)
        top += GAP
    _legend(pen, cells)
    return figure


def _left(column):
    return MARGIN + CASE + LABEL + GAP + column * (COLUMN + GAP)


def _case(pen, title, top, bottom):
    """Write the title of a case upright beside its sub-rows."""
    pen.box(MARGIN, top, CASE - 0.1, bottom - top, "#E9ECEF")
    lines = wrap(title, LEAST, bottom - top - 0.1, 1 if bottom - top < 1 else 2, "bold")
    for number, line in enumerate(lines):
        x = MARGIN + (CASE - 0.1) / 2 + 0.19 * (number - (len(lines) - 1) / 2)
        pen.axes.text(
            x, (top + bottom) / 2, line, fontsize=LEAST, color=INK, rotation=90, ha="center", va="center", weight="bold"
        )


def _label(pen, title, top, tall):
    size = next((s for s in (14, 13) if measure(title, s, "bold") <= LABEL - 0.1), LEAST)
    lines = wrap(title, size, LABEL - 0.1, 2, "bold")
    for number, line in enumerate(lines):
        y = top + tall / 2 + 0.07 + 0.0165 * size * (number - (len(lines) - 1) / 2)
        pen.text(MARGIN + CASE, y, line, size, weight="bold")


def _cell(pen, cell, spec, left, top, tall):
    pen.box(left, top, COLUMN, tall, TINTS[cell["verdict"]], LINE)
    right, x = left + COLUMN - 0.1, left + 0.15
    if cell["quantified"] != "yes":
        middle = top + tall / 2
        room = right - x - 0.15 - pen.chip(right, middle - 0.15, cell["verdict"], size=LEAST)
        pen.paragraph(x, middle + 0.06, cell["reason"].partition(". Published: ")[0], LEAST, room, 1, GREY)
        return
    name = spec.get("name") or cell["fom"]
    room = right - x - 0.15 - pen.chip(right, top + 0.07, cell["verdict"], cell["tag"], size=LEAST)
    pen.paragraph(x, top + 0.28, name, LEAST + 0.5, room, 1)
    value, _ = quote(cell["value"], cell["ci_low"], cell["ci_high"], cell["unit"], spec.get("percent", False))
    number, _, unit = value.partition(" ")
    base, colour = top + 0.38 + 0.62 * (tall - 0.38), COLOURS[cell["verdict"]]
    pen.text(x, base, number, 24, colour, weight="bold")
    pen.text(x + measure(number, 24, "bold") + 0.1, base, unit, 15, colour, weight="bold")
    start = left + 0.48 * COLUMN
    size = min(1.6, (tall - 0.42) / 0.36)
    strip(pen, cell, start, top + 0.4, right - 0.1 - start, size, zero=False)


def _legend(pen, cells):
    x, y = MARGIN, HEIGHT - FOOT + 0.02
    for verdict in (v for v in VERDICTS if any(c["verdict"] == v for c in cells)):
        text = f"{SYMBOLS[verdict]} {verdict}: {sum(c['verdict'] == verdict for c in cells)}"
        pen.text(x, y + 0.2, text, LEAST, COLOURS[verdict], weight="bold")
        x += measure(text, LEAST, "bold") + 0.3
    note = f"bar: {LEVEL} interval, open: none; line: 0; band: requirement; letter: its tag"
    pen.text(WIDTH - MARGIN, y + 0.2, note, LEAST, GREY, ha="right")
