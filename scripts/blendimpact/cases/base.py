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
    draw : callable
        ``draw(foms, **options) -> matplotlib.figure.Figure or None``; ``foms`` is a
        `blendimpact.report.figures.CaseFoms`, None says that there is nothing to draw. Functions that several cases
        use are in `blendimpact.report.figures` and `blendimpact.report.figures_density`.
    options : dict
        Its arguments besides ``foms``.
    caption : str
    """

    name: str
    draw: Callable
    options: dict
    caption: str


@dataclass(frozen=True)
class ScienceCase:
    """Everything that only this case knows; its folder holds the rest (docs/add-a-case.md).

    Attributes
    ----------
    name, title : str
    figures_of_merit : tuple of FigureOfMerit
    score : callable
        ``score(tables, settings, facts) -> Scores``: ``tables`` are truth, detections, assignments of one chunk, and
        the tables of measurements of its ladder; ``facts`` those of its images (`data.facts.Facts`).
    derived : callable, optional
        ``derived(foms, settings, conditions) -> dict``: values that the external checks name by key, each a dict of
        ``value``, ``ci_low``, ``ci_high``, ``n``, and optionally ``reference`` (what takes the place of the published
        value) and ``conditions``. ``foms`` are the case's figures of merit, ``settings`` those of its fiducial
        scenario, ``conditions`` the run's by name. Asked of cases on simulated sky.
    """

    name: str
    title: str
    figures_of_merit: tuple
    score: Callable
    derived: Callable | None = None

    @property
    def figures(self):
        """Tuple of `FigureSpec`: ``FIGURES`` of the folder's ``figures.py``.

        Imported when asked for: figures need matplotlib, whose start scoring need not wait for.
        """
        return importlib.import_module(f"{__package__}.{self.name}.figures").FIGURES


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
