"""The pictures of the board as files; the same cells give the same bytes."""

import os

from ..data.whole import opened
from .board_figure import board_figure
from .board_slide import board_slide

DPI = 200


def write_board(cells, board, stem, slide, title="Impact of source blending on LSST science", subtitle=""):
    """Draw the matrix to ``stem``.png (200 dpi) and ``stem``.pdf, and as a slide of 1920 x 1080 pixels.

    Parameters
    ----------
    cells, board : list of dict
        As for `blendimpact.report.board_figure.board_figure`.
    stem, slide : path-like
        The slide is a PNG.
    title, subtitle : str
    """
    figure = board_figure(cells, board, title, subtitle)
    _save(figure, f"{stem}.png", DPI, {"Software": None})
    _save(figure, f"{stem}.pdf", DPI, {"CreationDate": None, "Title": title})
    _save(board_slide(cells, board, title), slide, "figure", {"Software": None})


def _save(figure, path, dpi, metadata):
    with opened(path, "wb") as stream:
        figure.savefig(stream, format=os.path.splitext(path)[1][1:], dpi=dpi, metadata=metadata)
