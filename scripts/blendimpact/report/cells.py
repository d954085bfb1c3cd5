"""Cells of the matrix: the headline figure of merit of each science case and stage, with its verdict."""

import csv
import json
import math

import numpy as np
from astropy.table import Table

from ..config.settings import FIDUCIAL
from ..data.catalogues import describe, rows_of, write
from ..data.whole import opened
from ..errors import StudyError
from ..ladder.aggregate import SPLIT_NOTES
from .verdicts import DECIDED, LEAST_BLOCKS, VERDICTS, reason, requirement_source, verdict, verdict_tag
from .words import DIMENSIONLESS, LEVEL, NOTHING_ELSE, quote

STAGES = ("detection", "deblending", "measurement")
SPLIT = {SPLIT_NOTES["no"]: "split not meaningful", SPLIT_NOTES["undetermined"]: "split undetermined"}
"""Notes on the split between detection and deblending, in the words of the board."""
NOTHING_SAID = "not in doubt"
PARTS = ("photons", "sky")
"""Terms of the budget that make up the measurement."""

CELL_COLUMNS = {
    "case": (None, "science case"),
    "subrow": (None, "sub-row of the case: what is measured"),
    "stage": (None, "stage whose impact the cell holds"),
    "fom": (None, "id of the headline figure of merit"),
    "value": (None, "its impact, in unit"),
    "ci_low": (None, f"lower end of the {LEVEL} interval"),
    "ci_high": (None, f"upper end of the {LEVEL} interval"),
    "n": (None, "number of objects behind the value"),
    "unit": (None, "unit of value and requirement"),
    "requirement": (None, "the requirement's limit"),
    "requirement_source": (None, "sense and origin of the requirement, with its provenance tag"),
    "verdict": (None, "; ".join(f"{k}: {v}" for k, v in VERDICTS.items())),
    "tag": (None, "of the verdict: the weaker of the requirement's tag and of that of its application here"),
    "split": (None, "whether the split between detection and deblending is meaningful, where that is in doubt"),
    "identified": (None, "is a figure of merit identified?"),
    "quantified": (None, "does this study quantify it?"),
    "data": (None, "what it was measured on"),
    "reason": (None, "why this verdict"),
    "also": (None, "further values of the stage, which decide nothing: other data, other figures of merit"),
}
"""Keys of a cell, in order, as columns: (unit, description)."""


def matrix_cells(foms, board, requirements):
    """Return the cells of the matrix.

    Parameters
    ----------
    foms : astropy.table.Table
        One row per case, scenario, fom, population, stratum, kind and term, with value, ci_low, ci_high, n,
        n_blocks and unit (`blendimpact.ladder.aggregate.FOM_COLUMNS`).
    board : list of dict
        One per row of the matrix, in order, from `blendimpact.cases.board.load_board`. A row that is not measured says
        why, as ``not_built``; why some of its scenarios are not, as ``missing``; what one is measured on is in
        ``data_used``, by scenario.
    requirements : dict of str to dict
        By id of the figure of merit (`blendimpact.cases.requirements.load_requirements`): ``value``, ``unit``,
        ``source``, ``tag``, optional ``sense``, ``about`` and ``application``. A ``value`` of None says that there is
        none, and ``source`` why.

    Returns
    -------
    list of dict
        Keys as `CELL_COLUMNS`. ``value``, its interval and ``requirement`` are None where there is none,
        and no text is empty; ``also`` has a line per value, or `NOTHING_ELSE`.

    Raises
    ------
    StudyError
        If a headline is ambiguous, or a requirement has another unit than its figure of merit.
    """
    return [_also(_cell(*place, foms, requirements), *place, foms) for place in places(board)]


def places(board):
    """Yield (row, sub-row, stage) of every cell of the board, in order."""
    for row in board:
        for subrow in row["subrows"]:
            for stage in STAGES:
                yield row, subrow, stage


def cell_spec(subrow, stage):
    """Return what the board says of a cell, {} where it says nothing."""
    return (subrow.get("cells") or {}).get(stage) or {}


def _required(fom, requirements):
    """Return the requirement of a figure of merit; a variant shares only the base's statement of none."""
    base = requirements.get(fom.partition(".")[0]) or {}
    return requirements.get(fom) or (base if base.get("value") is None else {})


def _cell(row, subrow, stage, foms, requirements):
    spec = cell_spec(subrow, stage)
    fom = spec.get("fom") or next(iter(spec.get("foms") or ()), "none chosen")
    found = _headline(foms, row["case"], stage, spec) if "fom" in spec and not row.get("not_built") else None
    required = _required(fom, requirements)
    limit, sense = required.get("value"), required.get("sense", "within")
    cell = {
        "case": row["case"],
        "subrow": subrow["name"],
        "stage": stage,
        "fom": fom,
        "value": None,
        "ci_low": None,
        "ci_high": None,
        "n": 0,
        "unit": required.get("unit") or "1",
        "requirement": limit,
        "requirement_source": requirement_source(required),
        "verdict": "not quantified",
        "tag": "none",
        "split": NOTHING_SAID,
        "identified": _yes_no(spec.get("identified", "no")),
        "quantified": "no",
        "data": "none",
        "reason": _why_not(row, subrow, stage, spec),
        "also": NOTHING_ELSE,
    }
    if found is None:
        return cell
    unit = str(found["unit"])
    if (
        limit is not None
        and (required.get("unit") not in DIMENSIONLESS or unit not in DIMENSIONLESS)
        and required.get("unit") != unit
    ):
        raise StudyError(
            f"the requirement is in {required.get('unit')!r}, the figure of merit in {unit!r}",
            f"requirements {fom}.unit",
            f"state the requirement in {unit!r}",
        )
    value, low, high = (_number(found[name]) for name in ("value", "ci_low", "ci_high"))
    cell.update(value=value, ci_low=low, ci_high=high, n=int(found["n"]), unit=unit or "1")
    decided = verdict(value, low, high, limit, sense, required.get("about", "value"))
    n_blocks = int(found["n_blocks"])
    few = n_blocks < LEAST_BLOCKS and decided in DECIDED
    cell["verdict"] = "undetermined" if few else decided
    cell["tag"] = verdict_tag(required)
    cell["split"] = next((short for note, short in SPLIT.items() if note in str(found["note"])), NOTHING_SAID)
    cell["quantified"] = "no" if value is None else "yes"
    cell["data"] = row.get("data_used", {}).get(spec.get("scenario", FIDUCIAL), "not stated")
    cell["reason"] = reason(cell, n_blocks, sense, few)
    return cell


def _also(cell, row, subrow, stage, foms):
    """Return the cell with its further values, or that they are missing; a measurement with its parts."""
    spec = cell_spec(subrow, stage)
    lines = []
    if cell["value"] is not None and spec["headline_term"] == "measurement":
        called = spec.get("parts") or {}
        parts = {
            called.get(name, name): _headline(foms, row["case"], stage, {**spec, "headline_term": name})
            for name in PARTS
        }
        lines = [_line(f"of which {name}", found, spec) for name, found in parts.items() if found is not None]
    for also in () if row.get("not_built") or "fom" not in spec else spec.get("also") or ():
        wanted = {**spec, **({"population": None} if "fom" in also else {}), **also}
        found = _headline(foms, row["case"], stage, wanted)
        name = also["data"] if wanted["fom"] == spec["fom"] else f"{also['data']}, {also['fom']}"
        lines.append(f"{name}: not in this run" if found is None else _line(name, found, wanted))
    return {**cell, "also": "\n".join(lines) or NOTHING_ELSE}


def _line(name, found, spec):
    """Return one row of figures of merit in words."""
    numbers = (_number(found[key]) for key in ("value", "ci_low", "ci_high"))
    number, interval = quote(*numbers, str(found["unit"]), spec.get("percent", False))
    return f"{name}: {number} ({interval}, N = {int(found['n']):,})"


def _yes_no(answer):
    """Return YAML's true and false as words; other words stay."""
    return {True: "yes", False: "no"}.get(answer, str(answer))


def _number(value):
    return float(value) if np.isfinite(value) else None


def _why_not(row, subrow, stage, spec):
    reason = row.get("not_built") or spec.get("not_quantified") or (not spec and subrow.get("not_quantified"))
    if not reason and "fom" not in spec:
        reason = f"no figure of merit of {stage} is chosen for this sub-row"
    elif not reason:
        reason = row.get("missing") or (
            f"the run has no {spec.get('headline_term')!r} of {spec['fom']} in scenario "
            f"{spec.get('scenario', FIDUCIAL)!r}"
        )
    return str(reason).rstrip(".") + (f". Published: {spec['published']}" if spec.get("published") else "")


def _headline(foms, case, stage, spec):
    """Return the one row of the table that a cell of the board asks for, or None."""
    wanted = {
        "case": case,
        "fom": spec["fom"],
        "term": spec["headline_term"],
        "kind": spec.get("kind", "impact"),
        "scenario": spec.get("scenario", FIDUCIAL),
    }
    wanted.update({key: spec[key] for key in ("population", "stratum") if spec.get(key)})
    rows = rows_of(foms, **wanted)
    if len(rows) > 1:
        choices = sorted({f"population {r['population']}, stratum {r['stratum']}" for r in rows})
        raise StudyError(
            f"{len(rows)} rows of figures of merit fit this cell: {'; '.join(choices)}",
            f"board {case}.cells.{stage}",
            "name the population and the stratum",
        )
    return rows[0] if len(rows) else None


def write_cells(cells, stem, meta=None):
    """Write the matrix as ``stem``.json (a list), .csv and .parquet; the same cells give the same bytes."""
    with opened(f"{stem}.json") as stream:
        stream.write(json.dumps(cells, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    with opened(f"{stem}.csv", newline="") as stream:
        writer = csv.DictWriter(stream, list(CELL_COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "nan" if v is None else v for k, v in cell.items()} for cell in cells)
    numbers = ("value", "ci_low", "ci_high", "requirement")
    table = Table(
        {
            key: np.array([math.nan if c[key] is None else c[key] for c in cells], dtype=float)
            if key in numbers
            else [c[key] for c in cells]
            for key in CELL_COLUMNS
        }
    )
    write(describe(table, CELL_COLUMNS), f"{stem}.parquet", meta)
