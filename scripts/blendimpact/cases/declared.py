"""What a case says of itself, checked before any job: its code, and the row of the board against its figures."""

import importlib.util
import traceback
from pathlib import Path

from ..config.files import Problem, load_yaml, nearest, raise_problems, shown
from ..config.models import read
from ..errors import StudyError, all_of
from ..ladder.budget import TERMS
from ..ladder.rungs import RUNGS
from ..measure import MEASUREMENTS
from .base import ScienceCase, load_case, needed_measurements
from .board import Cells, Row
from .files import BOARD, case_files
from .requirements import load_requirements


def check_cases(names):
    """Refuse cases whose code, figures of merit or row of the board cannot be used.

    Parameters
    ----------
    names : sequence of str

    Raises
    ------
    StudyError
        That names all of it, with file and key.
    """
    refused = []
    for check in [*(lambda name=name: _check(name) for name in names), lambda: load_requirements(None, names)]:
        try:
            check()
        except StudyError as error:
            refused.append(error)
    if refused:
        raise all_of(refused)


def _check(name):
    where = shown(importlib.util.find_spec(f"{__package__}.{name}").origin)
    for measurement in needed_measurements(name):
        if measurement not in (known := MEASUREMENTS.names()):
            what = f"measurements: there is no measurement {measurement!r}"
            raise StudyError(what, where, nearest(measurement, known))
    case = _loaded(name, where)
    if case is None:
        return
    ids = [fom.id for fom in case.figures_of_merit]
    for fom in case.figures_of_merit:
        if fom.stage not in Cells.model_fields:
            what = f"the figure of merit {fom.id} is of the stage {fom.stage!r}"
            raise StudyError(what, where, nearest(fom.stage, Cells.model_fields))
        if ids.count(fom.id) > 1:
            raise StudyError(f"two figures of merit are called {fom.id}", where, "give each its own id")
    for path in case_files(BOARD, [name]).values():
        source = load_yaml(path)
        row, found = read(source.data, Row)
        raise_problems(found or list(_board_problems(row, ids)), [source], source.path)


def _loaded(name, where):
    """Return the `ScienceCase` of a case, or None where it works with packages that are not installed here."""
    try:
        case = load_case(name)
    except StudyError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(__name__.split(".")[0]):
            return None
        last = next(f for f in reversed(traceback.extract_tb(error.__traceback__)) if Path(f.filename).is_file())
        what = f"cannot be imported: {type(error).__name__}: {error}"
        raise StudyError(what, f"{shown(last.filename)}:{last.lineno}", "mend it there") from None
    if not isinstance(case, ScienceCase) or case.name != name:
        raise StudyError(f"CASE is not the ScienceCase {name!r}", where, f'write CASE = ScienceCase("{name}", ...)')
    return case


def _board_problems(row, ids):
    """Yield what cells of a row ask for that the case has not."""
    for number, subrow in enumerate(row.subrows):
        for stage in Cells.model_fields:
            cell = getattr(subrow.cells, stage)
            key = ("subrows", number, "cells", stage)
            if cell is not None and cell.fom:
                yield from (problem.below(*key) for problem in _asked(cell, cell.kind, ids))
                for k, also in enumerate(cell.also or ()):
                    yield from (problem.below(*key, "also", k) for problem in _asked(also, also.kind or cell.kind, ids))


def _asked(part, kind, ids):
    if part.fom is not None and part.fom not in ids:
        yield Problem(("fom",), f"the case has no figure of merit {part.fom!r}", nearest(part.fom, ids))
    known = TERMS if kind == "impact" else RUNGS
    if part.headline_term is not None and part.headline_term not in known:
        what = "term of the budget" if kind == "impact" else "rung, which `kind: value` needs"
        yield Problem(("headline_term",), f"{part.headline_term!r} is no {what}", nearest(part.headline_term, known))
