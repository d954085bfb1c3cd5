"""The page of the comparison."""

import os
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..matrix.cells import LEVEL, quote
from .cost import COLUMNS as COST_COLUMNS
from .foms import BLENDED, FIGURES_OF_MERIT

HEADLINES = (("ap.bias", "blended"), ("ap.nmad", "blended"), ("ap.outliers", "blended"), ("ap_true.bias", "blended"),
             ("ap_true.nmad", "blended"), ("total.nmad", "all"), ("colour.nmad", "all"), ("shape.slope", "all"),
             ("kappa", "blended"), ("failed", "all"), ("chi2", "all"))
OUTCOMES = ("isolated", "recognised", "unrecognised", "shredded")


def write_page(path, config, settings, table, board, costs, figures, downloads):
    """Write the page.

    Parameters
    ----------
    path : path-like
        Links are relative to it.
    config : dict
        The checked configuration.
    settings : dict of str to dict
        Settings by sky.
    table, board : Table
        `blendimpact.compare.tables.COLUMNS` and `BOARD_COLUMNS`.
    costs : list of dict
        Rows of `blendimpact.compare.cost.summary`.
    figures, downloads : sequence of path-like
    """
    folder = Path(path).resolve().parent
    names = config["comparison"]["deblenders"]
    index = {tuple(str(row[k]) for k in ("sky", "deblender", "population", "stratum", "fom")): row for row in table}
    notes = {(str(row["sky"]), str(row["deblender"])): str(row["note"]) for row in table if not str(row["fom"])}
    cost = {(row["sky"], row["deblender"]): row for row in costs}
    foms = {fom.id: fom for fom in FIGURES_OF_MERIT}
    parts = []
    for sky, chosen in settings.items():
        heads = [h for h in HEADLINES if any((sky, n, "true centres", h[1], h[0]) in index for n in names)]
        rows = [{"name": name, "note": notes.get((sky, name), ""), "cost": cost[sky, name],
                 "cells": [_cell(index.get((sky, name, "true centres", stratum, fom))) for fom, stratum in heads],
                 "outcomes": [[_cell(index.get((sky, name, outcome, "all", fom)))
                               for fom in ("ap_true.bias", "ap_true.nmad")] for outcome in OUTCOMES],
                 "lost": _cell(index.get((sky, name, "detected centres", "all", "lost")))} for name in names]
        parts.append({"sky": sky, "about": _about(chosen), "rows": rows,
                      "heads": [(foms[fom].title, "blended" if s == "blended" else "all sources", foms[fom].definition)
                                for fom, s in heads], "board": _board(board, sky, names)})
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("comparison.html").render(
        study=config["study"], level=LEVEL, parts=parts, outcomes=OUTCOMES, blended=BLENDED, cost_columns=COST_COLUMNS,
        options={name: config["deblenders"].get(name, {}) for name in names},
        figures=[_relative(f, folder) for f in figures],
        downloads=[(_relative(d, folder), Path(d).name) for d in downloads],
        matrix=_relative(folder.parents[1] / "matrix.html", folder))
    Path(f"{path}.part").write_text(page, encoding="utf-8")
    os.replace(f"{path}.part", path)


def _relative(path, folder):
    return Path(os.path.relpath(Path(path).resolve(), folder)).as_posix()


def _cell(row):
    """Return a value as people read it: {number, interval, n}, or empty texts."""
    if row is None or not np.isfinite(row["value"]):
        return {"number": "", "interval": "", "n": 0}
    number, interval = quote(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]), str(row["unit"]))
    return {"number": number, "interval": interval, "n": int(row["n"])}


def _about(settings):
    patch = settings["patch"]
    side = patch["size"] * settings["pixel_scale"]
    knots = settings.get("population", {}).get("galaxies", {}).get("knots", 0)
    sky = settings.get("survey") if settings["sky"] == "simulate" else settings.get("image")
    text = (f"{patch['count']} patches of {side:.0f} arcsec, {sky}, bands {', '.join(settings['bands'])} (shapes and "
            f"fluxes in {settings['shape_band']}), detector {settings['detector']}")
    if settings["sky"] == "adopt":
        return f"{text}; galaxies injected into a real image"
    return f"{text}; bulges and disks" + (f", {knots:.0%} of each disk's light in random knots" if knots else "")


def _board(board, sky, names):
    """Return [(figure of merit, title, term, [cell by deblender])] of the board's own figures on one sky."""
    rows = board[np.asarray(board["sky"]).astype(str) == sky]
    keys = list(dict.fromkeys((str(r["fom"]), str(r["title"]), str(r["term"])) for r in rows if str(r["fom"])))
    found = {(str(r["fom"]), str(r["term"]), str(r["deblender"])): r for r in rows}
    return [(*key, [_cell(found.get((key[0], key[2], name))) for name in names]) for key in keys]
