"""The page of the matrix: one HTML file with every number of the study."""

from pathlib import Path

import numpy as np

from ..ladder.budget import DESCRIPTIONS, INTERACTION_LIMIT, TERMS, split_meaningful
from ..ladder.rungs import REFERENCE, RUNGS
from .cells import NOTHING_SAID, STAGES, cell_spec
from .html import download, picture, write
from .pen import COLOURS, SYMBOLS, TINTS
from .verdicts import VERDICTS
from .words import LEVEL, SAMPLES, TAGS, also_lines, limit_text, quote, split_tag

RUNG_TEXTS = {REFERENCE: "truth: noiseless isolated sources", **{r.name: r.text for r in RUNGS.values()}}
TERM_TEXTS = {**DESCRIPTIONS, "selection": "own selection minus common sample; part of detection"}
LADDER = ("oracle", "deblended", "merged", "pipeline")


def write_page(
    path, cells, board, foms, checks, study, image, figures=(), pages=(), scenarios=(), provenance=None, downloads=()
):
    """Write the page: one file, which holds its pictures, the pages of the comparisons, and its downloads.

    Parameters
    ----------
    path : path-like
        The HTML file.
    cells, board : list of dict
        As for `blendimpact.report.board_figure.board_figure`.
    foms : astropy.table.Table
        All figures of merit (`blendimpact.ladder.aggregate.FOM_COLUMNS`); those of subsets are in the figures and in
        the table that is saved with the page.
    checks : astropy.table.Table
        From `blendimpact.report.external.external_checks`; may be empty.
    study : dict
        ``name``, ``title`` and ``subtitle``.
    image : path-like
        The matrix as PNG.
    figures : sequence of dict
        ``path``, ``title``, ``caption``.
    pages : sequence of dict
        ``path`` of a page that needs no other file, ``name`` (an id) and ``title``.
    scenarios : astropy.table.Table
        From `blendimpact.report.scenarios.side_by_side`; may be empty.
    provenance : dict, optional
        What made the page; values are texts, lists or dicts.
    downloads : sequence of (path, str)
        Files to be saved, and what they are.
    """
    whole = foms[np.asarray(foms["stratum"]).astype(str) == "all"] if len(foms) else foms
    write(
        path,
        "matrix.html",
        study=study,
        level=LEVEL,
        stages=STAGES,
        verdicts=VERDICTS,
        tags=TAGS,
        colours=COLOURS,
        tints=TINTS,
        symbols=SYMBOLS,
        rows=_board_rows(cells, board),
        image=picture(image),
        foms=[_quoted(row) for row in whole],
        subsets=len(foms) - len(whole),
        budgets=budgets(whole),
        selection=[_quoted(row) for row in whole if row["term"] == "selection"],
        checks=[_check_row(row) for row in checks],
        figures=[{**f, "source": picture(f["path"])} for f in figures],
        pages=[{**p, "text": Path(p["path"]).read_text(encoding="utf-8")} for p in pages],
        scenarios=[_quoted(row) for row in scenarios],
        downloads=[(*download(p), text) for p, text in downloads],
        provenance=_flat(provenance or {}),
    )


def _board_rows(cells, board):
    by_place = {(c["case"], c["subrow"], c["stage"]): c for c in cells}
    return [
        {
            "title": row["title"],
            "science": row.get("science", ""),
            "not_covered": row.get("not_covered"),
            "subrows": [
                {
                    "title": subrow["title"],
                    "cells": [
                        _board_cell(by_place[row["case"], subrow["name"], stage], cell_spec(subrow, stage))
                        for stage in STAGES
                    ],
                }
                for subrow in row["subrows"]
            ],
        }
        for row in board
    ]


def _board_cell(cell, spec):
    percent = spec.get("percent", False)
    number, interval = quote(cell["value"], cell["ci_low"], cell["ci_high"], cell["unit"], percent)
    source, number_tag = split_tag(cell["requirement_source"])
    return {
        **cell,
        "name": spec.get("name") or spec.get("identified_text") or cell["fom"],
        "number": number,
        "interval": interval,
        "limit": limit_text(cell, percent),
        "lines": also_lines(cell),
        "doubt": "" if cell["split"] == NOTHING_SAID else cell["split"],
        "source": source,
        "number_tag": number_tag,
        "published": spec.get("published", ""),
        "published_tag": spec.get("published_tag", "none"),
    }


def _quoted(row):
    """Return a row with plain values, and its value and interval as people read them."""
    plain = {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in row.colnames}
    number, interval = quote(plain["value"], plain["ci_low"], plain["ci_high"], plain["unit"])
    return {**plain, "number": number, "interval": interval}


def _check_row(row):
    published, tag = split_tag(str(row["published"]))
    return {**_quoted(row), "published": f"{published} {tag}"}


def budgets(foms):
    """Return the budgets of all figures of merit that have one.

    Returns
    -------
    list of dict
        ``case``, ``scenario``, ``fom``, ``title``, ``population``, ``stratum``, ``rungs`` and ``terms`` (rows
        with their texts), ``split`` (is the split between detection and deblending meaningful?).
    """
    groups = {}
    for row in foms:
        case, scenario, fom, stratum, population = (
            str(row[k]) for k in ("case", "scenario", "fom", "stratum", "population")
        )
        ladder = " and ".join(SAMPLES[:2]) if population in SAMPLES else population
        groups.setdefault((case, scenario, fom, ladder, stratum), []).append(row)
    found = []
    for (case, scenario, fom, population, stratum), rows in groups.items():
        values = {(str(r["population"]), str(r["term"])): r for r in rows if r["kind"] == "value"}
        impacts = {str(r["term"]): r for r in rows if r["kind"] == "impact"}
        if not {"measurement", "deblending"} <= impacts.keys():
            continue
        found.append(
            {
                "case": case,
                "scenario": scenario,
                "fom": fom,
                "population": population,
                "stratum": stratum,
                "title": str(rows[0]["title"]),
                "split": _split(values, impacts),
                "rungs": [
                    {**_quoted(values[sample, rung]), "text": RUNG_TEXTS[rung]}
                    for rung in RUNG_TEXTS
                    for sample in dict.fromkeys(sample for sample, _ in values)
                    if (sample, rung) in values
                ],
                "terms": [
                    {**_quoted(impacts[t]), "text": TERM_TEXTS[t]} for t in (*TERMS, "selection") if t in impacts
                ],
            }
        )
    return found


def _split(values, impacts):
    """Return what is to be said of the split: the run's note, which knows the resamples, else the value's."""
    note = next(
        (
            str(impacts[t]["note"])
            for t in ("interaction", "detection")
            if t in impacts and "split" in str(impacts[t]["note"])
        ),
        "",
    )
    if note:
        return note
    late = {rung: float(row["value"]) for (sample, rung), row in values.items() if sample != SAMPLES[0]}
    if not late.keys() >= set(LADDER):
        return ""
    side, answer = ("below", "is") if split_meaningful({rung: late[rung] for rung in LADDER}) else ("over", "is not")
    return (
        f"interaction {side} {100 * INTERACTION_LIMIT:g} % of |F(pipeline) - F(oracle)|: the split "
        f"between detection and deblending {answer} meaningful"
    )


def _flat(value, prefix=""):
    """Return nested provenance as (dotted name, text) pairs."""
    if isinstance(value, dict):
        return [pair for key, entry in value.items() for pair in _flat(entry, f"{prefix}.{key}".strip("."))]
    if isinstance(value, (list, tuple)):
        return [(prefix, ", ".join(map(str, value)))]
    return [(prefix, str(value))]
