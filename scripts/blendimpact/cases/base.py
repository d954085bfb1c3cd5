"""What a science case offers to the rest of the study."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import StudyError


@dataclass(frozen=True)
class FigureSpec:
    """One figure made of the table of figures of merit.

    Attributes
    ----------
    name : str
        File name without the ending, in the folder of the case.
    kind : str
        "ladder", "stratum", "density", "scenarios", "stages", "repeats", "diagram", "side_by_side", "spurious",
        "places" or "curve": which function draws it (`blendimpact.stages.figures.draw`).
    options : dict
        Its arguments besides table, case and scenario. Kinds that go against density name the figure of merit
        that holds it as ``density``.
    caption : str
    """

    name: str
    kind: str
    options: dict
    caption: str


@dataclass(frozen=True)
class ScienceCase:
    """A room of the house: everything that only this case knows.

    Attributes
    ----------
    name, title : str
    figures_of_merit : tuple of FigureOfMerit
    score : callable
        ``score(tables, settings) -> Scores``; ``tables`` holds truth, detections, assignments
        and measurements of one chunk.
    figures : tuple of FigureSpec
    """

    name: str
    title: str
    figures_of_merit: tuple
    score: Callable
    figures: tuple = ()


def case_names():
    """Return the names of the rooms: sub-packages of ``blendimpact.cases``."""
    from .. import cases

    return sorted(m.name for m in pkgutil.iter_modules(cases.__path__) if m.ispkg)


def load_case(name):
    """Return the `ScienceCase` of a room.

    Raises
    ------
    StudyError
        If there is no such room.
    """
    if name not in case_names():
        raise StudyError(f"there is no science case {name!r}", "cases",
                         f"choose one of {', '.join(case_names())}, or add a package to blendimpact/cases")
    return importlib.import_module(f"blendimpact.cases.{name}").CASE
