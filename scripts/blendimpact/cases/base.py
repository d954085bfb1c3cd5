"""What a science case offers to the rest of the study."""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    scenario : str, optional
        The scenario that it shows; default the fiducial one, as in a run in which this one has nothing of it.
    """

    name: str
    draw: Callable
    options: dict
    caption: str
    scenario: str | None = None


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
    measurements : tuple of str
        Measurements (`blendimpact.measure`) of child images that the case cannot do without, written as a tuple of
        names.
    """

    name: str
    title: str
    figures_of_merit: tuple
    score: Callable
    derived: Callable | None = None
    measurements: tuple = ("aperture", "kron", "moments", "weighted")

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
        raise StudyError(
            f"there is no science case {name!r}",
            "cases",
            f"choose one of {', '.join(case_names())}, or add a package to blendimpact/cases",
        )
    return importlib.import_module(f"blendimpact.cases.{name}").CASE


def needed_measurements(name):
    """Return the measurements of child images that a case cannot do without: `ScienceCase.measurements`.

    They are read from the source of the case, so that to plan a study, or to measure, imports no case.

    Raises
    ------
    StudyError
        If they are not written there as a tuple of names.
    """
    path = importlib.util.find_spec(f"{__package__}.{name}").origin
    try:
        tree = ast.parse(Path(path).read_bytes())
    except SyntaxError as error:
        raise StudyError(f"is no valid Python: {error.msg}", f"{path}:{error.lineno}", "mend the file") from None
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) == ScienceCase.__name__:
            for keyword in call.keywords:
                if keyword.arg == "measurements":
                    try:
                        return ast.literal_eval(keyword.value)
                    except ValueError as error:
                        raise StudyError(
                            "measurements of a case must be a tuple of names",
                            path,
                            'write e.g. measurements=("aperture", "psf")',
                        ) from error
    return ScienceCase.measurements


def with_needs(settings, added=True):
    """Return settings of a case and scenario in which ``measurements`` are complete, {name: options}.

    Parameters
    ----------
    settings : dict
    added : bool
        With those that only the configuration asks for.
    """
    chosen, names = settings["measure"]["measurements"], ()
    if not settings["subtractor"]:  # else differences are measured
        names = dict.fromkeys([*needed_measurements(settings["case"]), *(chosen if added else ())])
    return {**settings, "measure": {**settings["measure"], "measurements": {n: chosen.get(n, {}) for n in names}}}
