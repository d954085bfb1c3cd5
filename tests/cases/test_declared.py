"""What a case says of itself is checked before any job: measurements, figures of merit, row of the board."""

import sys

import blendimpact.cases
import pytest
from blendimpact.cases import files
from blendimpact.cases.base import case_names
from blendimpact.cases.declared import check_cases
from blendimpact.errors import StudyError

CODE = '''
"""A case."""
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.statistic import Fraction
from ..base import ScienceCase

FOMS = (F("TO-D1", "detection", "t", "d", "1", Fraction()), F("TO-M1", "measurement", "t", "d", "1", Fraction()))
CASE = ScienceCase("toy_case", "Toys", FOMS, None, measurements=("aperture", "moments"))
'''
ROW = """
order: 99
title: "toys"
science: "toys"
data: "toys"
subrows:
  - name: toys
    title: "toys"
    not_quantified: "no other"
    cells:
      detection:
        fom: TO-D1
        name: "toys lost"
        headline_term: detection
        foms: [TO-D1, TO-D9]
        also: [{data: "value", kind: value, headline_term: pipeline}]
        identified: partly
        identified_text: "toys"
        published: ""
        published_tag: none
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Return a function that checks a case of its own, whose files are changed."""

    def check(old="", new=""):
        folder = tmp_path / "toy_case"
        folder.mkdir()
        assert old in CODE + ROW
        (folder / "__init__.py").write_text(CODE.replace(old, new, 1) if old else CODE)
        (folder / "board.yaml").write_text(ROW.replace(old, new, 1) if old else ROW)
        monkeypatch.setattr(blendimpact.cases, "__path__", [*blendimpact.cases.__path__, str(tmp_path)])
        monkeypatch.setattr(files, "FOLDER", tmp_path)
        check_cases(["toy_case"])

    yield check
    sys.modules.pop("blendimpact.cases.toy_case", None)


def test_the_cases_of_the_study_are_as_they_should_be():
    check_cases(case_names())


def test_a_case_of_ones_own_is_too(toy):
    toy()


@pytest.mark.parametrize(
    "old, new, says",
    [
        (
            "headline_term: detection",
            "headline_term: detektion",
            r"board.yaml:14: .*detection.headline_term.*'detection'",
        ),
        ("headline_term: pipeline", "headline_term: total", r"board.yaml:16: .*also.0.headline_term.* is no rung"),
        ("fom: TO-D1", "fom: TO-D2", r"board.yaml:\d+: .*"),
        ("foms: [TO-D1, ", "foms: [TO-D7, ", r"board.yaml:15: .*foms.*begin with the headline"),
        (
            '"aperture", "moments"',
            '"aperture", "momnets"',
            r"toy_case/__init__.py: measurements: .*did you mean 'moments'",
        ),
        (
            '"TO-D1", "detection"',
            '"TO-D1", "detektion"',
            r"TO-D1 is of the stage 'detektion'.*did you mean 'detection'",
        ),
        ('F("TO-M1"', 'F("TO-D1"', "two figures of merit are called TO-D1"),
        ('ScienceCase("toy_case"', 'ScienceCase("toys"', "CASE is not the ScienceCase 'toy_case'"),
        ("import Fraction", "import Fractoin", r"toy_case/__init__.py:4: cannot be imported: ImportError"),
        ("FOMS = (", "FOMS = ((", r"toy_case/__init__.py:7: is no valid Python"),
        ("order: 99", "ordre: 99", r"board.yaml:2: ordre: unknown key.*did you mean 'order'"),
    ],
)
def test_a_mistake_in_the_files_of_a_case_is_refused_with_its_place(toy, old, new, says):
    with pytest.raises(StudyError, match=f"(?s){says}"):
        toy(old, new)
