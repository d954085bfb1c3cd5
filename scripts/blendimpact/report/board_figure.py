"""The matrix as one figure: rows are what is measured of each science case, columns where blending acts."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .cells import NOTHING_SAID, STAGES, cell_spec
from .pen import COLOURS, GREY, INK, LINE, SYMBOLS, TINTS, Pen, measure, strip, wrap
from .verdicts import VERDICTS
from .words import LEVEL, TAGS, also_lines, limit_text, quote, split_tag

WIDTH, MARGIN, LABEL, GAP = 14.0, 0.22, 1.3, 0.09
COLUMN = (WIDTH - 2 * MARGIN - LABEL - 3 * GAP) / 3
CASE, BUILT, UNBUILT, HEAD, FOOT = 0.5, 1.98, 1.0, 0.97, 0.84
ALSO, SUBTITLE, SUBTITLES = 0.14, 0.17, 6  # a line of further values, a line of the subtitle, their number


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
    pen = Pen(axes)
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


def _left(column):
    return MARGIN + LABEL + GAP + column * (COLUMN + GAP)


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
        pen.paragraph(MARGIN, y + 0.05, "Data: " + "; ".join(data), 8, room, int((top + BUILT - y) / 0.14), GREY)


def _frame(pen, cell, spec, left, top, tall):
    """Draw what every cell has: box, verdict, name."""
    pen.box(left, top, COLUMN, tall, TINTS[cell["verdict"]], LINE)
    pen.bar(left, top + 0.05, 0.06, tall - 0.1, COLOURS[cell["verdict"]])
    x, right = left + 0.17, left + COLUMN - 0.1
    room = right - pen.chip(right, top + 0.1, cell["verdict"], cell["tag"]) - x - 0.1
    name = spec.get("name") or cell["fom"]
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
    text = f"identified: {cell['identified']}; {spec.get('identified_text', 'no figure of merit')}"
    pen.paragraph(x, top + tall - 0.1, text, 8, COLUMN - 0.3, 1, GREY)


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
    strip(pen, cell, start, top + 0.48, left + COLUMN - 0.15 - start)
    y = top + 1.13
    lines = 2 if cell["verdict"] == "undetermined" else 4
    y += 0.14 * pen.paragraph(x, y, _required(cell, spec), 8, COLUMN - 0.32, lines)
    if cell["verdict"] == "undetermined":
        # The figure shows the line; what is worth saying is what would settle it.
        pen.paragraph(
            x, y + 0.03, cell["reason"].partition("; ")[2] or cell["reason"], 8, COLUMN - 0.32, 3, GREY, step=0.13
        )
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
        f"Point and bar: value, {LEVEL} interval (open point: none)"
        + ("; green band: requirement" if bands else "")
        + ". Impact: difference between two rungs of the ladder that differ in one component."
    )
    pen.text(MARGIN, top + 0.42, note, 8, GREY)
    if tags:
        pen.text(
            MARGIN, top + 0.57, f"In brackets, the weaker tag of a requirement and of its use here:{tags}.", 8, GREY
        )
