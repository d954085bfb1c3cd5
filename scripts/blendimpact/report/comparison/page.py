"""The page of the comparison."""

import numpy as np

from . import pages
from .cost import COLUMNS as COST_COLUMNS
from .foms import BLENDED, FIGURES_OF_MERIT
from .pages import cell

HEADLINES = (
    ("ap.bias", "blended"),
    ("ap.nmad", "blended"),
    ("ap.outliers", "blended"),
    ("ap_true.bias", "blended"),
    ("ap_true.nmad", "blended"),
    ("total.nmad", "all"),
    ("colour.nmad", "all"),
    ("shape.slope", "all"),
    ("kappa", "blended"),
    ("failed", "all"),
    ("chi2", "all"),
)
OUTCOMES = ("isolated", "recognised", "unrecognised", "shredded")


def write_page(path, config, settings, table, board, costs, figures, downloads):
    """Write the page.

    Parameters
    ----------
    path : path-like
    config : dict
        The checked configuration.
    settings : dict of str to dict
        Settings by sky.
    table, board : Table
        `blendimpact.report.comparison.tables.COLUMNS` and `BOARD_COLUMNS`.
    costs : list of dict
        Rows of `blendimpact.report.comparison.cost.summary`.
    figures, downloads : sequence of path-like
    """
    names = config["comparison"]["deblenders"]
    index = {tuple(str(row[k]) for k in ("sky", "deblender", "population", "stratum", "fom")): row for row in table}
    notes = {(str(row["sky"]), str(row["deblender"])): str(row["note"]) for row in table if not str(row["fom"])}
    cost = {(row["sky"], row["deblender"]): row for row in costs}
    foms = {fom.id: fom for fom in FIGURES_OF_MERIT}
    parts = []
    for sky, chosen in settings.items():
        heads = [h for h in HEADLINES if any((sky, n, "true centres", h[1], h[0]) in index for n in names)]
        rows = [
            {
                "name": name,
                "note": notes.get((sky, name), ""),
                "cost": cost[sky, name],
                "cells": [cell(index.get((sky, name, "true centres", stratum, fom))) for fom, stratum in heads],
                "outcomes": [
                    [cell(index.get((sky, name, outcome, "all", fom))) for fom in ("ap_true.bias", "ap_true.nmad")]
                    for outcome in OUTCOMES
                ],
                "lost": cell(index.get((sky, name, "detected centres", "all", "lost"))),
            }
            for name in names
        ]
        parts.append(
            {
                "sky": sky,
                "about": _about(chosen),
                "rows": rows,
                "heads": [
                    (foms[fom].title, "blended" if s == "blended" else "all sources", foms[fom].definition)
                    for fom, s in heads
                ],
                "board": _board(board, sky, names),
            }
        )
    pages.write_page(
        path,
        "comparison.html",
        config["study"],
        names,
        config["deblenders"],
        figures,
        downloads,
        parts=parts,
        outcomes=OUTCOMES,
        blended=BLENDED,
        cost_columns=COST_COLUMNS,
    )


def _about(settings):
    patch = settings["patch"]
    side = patch["size"] * settings["pixel_scale"]
    knots = settings.get("population", {}).get("galaxies", {}).get("knots", 0)
    sky = settings.get("survey") if settings["sky"] == "simulate" else settings.get("image")
    text = (
        f"{patch['count']} patches of {side:.0f} arcsec, {sky}, bands {', '.join(settings['bands'])} (shapes and "
        f"fluxes in {settings['shape_band']}), detector {settings['detector']}"
    )
    if settings["sky"] == "adopt":
        return f"{text}; galaxies injected into a real image"
    return f"{text}; bulges and disks" + (f", {knots:.0%} of each disk's light in random knots" if knots else "")


def _board(board, sky, names):
    """Return [(figure of merit, title, term, [cell by deblender])] of the board's own figures on one sky."""
    rows = board[np.asarray(board["sky"]).astype(str) == sky]
    keys = list(dict.fromkeys((str(r["fom"]), str(r["title"]), str(r["term"])) for r in rows if str(r["fom"])))
    found = {(str(r["fom"]), str(r["term"]), str(r["deblender"])): r for r in rows}
    return [(*key, [cell(found.get((key[0], key[2], name))) for name in names]) for key in keys]
