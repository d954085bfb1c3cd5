"""Plug-in families: members are found without being imported, and their options are typed."""

import sys
from typing import Annotated, Literal

import blendimpact.detect
import numpy as np
import pytest
from astropy.table import Table
from blendimpact.config import study
from blendimpact.config.plugins import Family
from blendimpact.data.children import DEBLEND_BITS, Children
from blendimpact.deblend import DEBLENDERS
from blendimpact.detect import DETECTORS
from blendimpact.detect.base import Detection, detection_table
from blendimpact.errors import StudyError
from blendimpact.stages.packages import require_packages, require_plain_python
from blendimpact.stages.plan import read_study
from patch_maker import make_patch
from pydantic import Field

MEMBER = '''
"""A detector."""
import no_such_package
from blendimpact.detect import DETECTORS


@DETECTORS.register("toy")
class Toy:
    """A detector."""

    environment = "scarlet"
    memory_mb = 4321

    def __init__(self, cut=1.0):
        self.cut = cut

    def detect(self, patch, sky, truth=None):
        """Return nothing."""
'''


@pytest.fixture
def family():
    """A family without files, with one member of this process."""
    family = Family("detector", "blendimpact.detect", "toys")

    @family.register("mine")
    class Mine:
        """A member."""

        def __init__(
            self, cut: Annotated[float, Field(gt=0)] = 1.0, kind: Literal["a", "b"] = "a", free=2.0, deep=True, name="x"
        ):
            if kind == "b" and cut > 5:
                raise StudyError("b goes with a low cut", "toys.mine", "choose a cut below 5")
            self.values = cut, kind, free, deep, name

    return family


@pytest.mark.parametrize(
    "options, key, words",
    [
        ({"cut": 0}, "cut", "more than 0"),
        ({"cut": "three"}, "cut", "must be a number"),
        ({"cut": float("nan")}, "cut", "finite"),
        ({"free": "2"}, "free", "must be a number"),
        ({"free": float("inf")}, "free", "finite"),
        ({"deep": 1}, "deep", "true or false"),
        ({"name": 3}, "name", "must be text"),
        ({"kind": "c"}, "kind", "'c'"),
        ({"cutt": 1}, "cutt", "no option 'cutt'"),
    ],
)
def test_options_have_the_types_and_limits_of_the_arguments(family, options, key, words):
    (problem,) = family.problems("mine", options)
    assert problem.key == (key,) and words in problem.what
    with pytest.raises(StudyError) as error:
        family.create("mine", options)
    assert error.value.where == f"toys.mine.{key}" and words in str(error.value)


def test_right_options_arrive_as_they_are_given(family):
    assert family.problems("mine", {"cut": 2}) == []
    assert family.create("mine", {"cut": 2, "kind": "b"}).values == (2, "b", 2.0, True, "x")


def test_options_that_do_not_go_together_are_a_problem_before_any_job(family):
    (problem,) = family.problems("mine", {"cut": 9.0, "kind": "b"})
    assert "low cut" in problem.what and "below 5" in problem.remedy


def test_an_unknown_member_is_told_what_there_is(family):
    (problem,) = family.problems("mime", {})
    assert "mime" in problem.what and "'mine'" in problem.remedy
    with pytest.raises(StudyError, match="choose one of .*mine"):
        family.create("mime")


def test_a_file_adds_a_member_that_is_not_imported(tmp_path, monkeypatch):
    """Its package is missing here, as in Snakemake's own environment when jobs have others."""
    (tmp_path / "toy.py").write_text(MEMBER)
    monkeypatch.setattr(blendimpact.detect, "__path__", [*blendimpact.detect.__path__, str(tmp_path)])
    declared = DETECTORS.declaration("toy")
    assert "toy" in DETECTORS.names()
    assert (declared.module, declared.environment, declared.memory_mb) == ("blendimpact.detect.toy", "scarlet", 4321)
    assert DETECTORS.problems("toy", {"anything": 1}) == []
    with pytest.raises(ModuleNotFoundError):
        DETECTORS.create("toy")


def test_two_files_with_one_name_are_refused(tmp_path, monkeypatch):
    (tmp_path / "again.py").write_text(MEMBER.replace('"toy"', '"sep"'))
    monkeypatch.setattr(blendimpact.detect, "__path__", [*blendimpact.detect.__path__, str(tmp_path)])
    with pytest.raises(StudyError, match=r"sep_detector.*again.*two detectors|two detectors are called 'sep'"):
        DETECTORS.names()


def test_an_installed_package_adds_a_member(tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text("")
    (tmp_path / "theirs" / "finder.py").write_text(
        MEMBER.replace("import no_such_package\n", "").replace('@DETECTORS.register("toy")\n', "")
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[blendimpact.detectors]\noutside = theirs.finder:Toy\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(DETECTORS, "_members", dict(DETECTORS._members))
    declared = DETECTORS.declaration("outside")
    assert (declared.environment, declared.memory_mb) == ("scarlet", 4321)
    assert "theirs.finder" not in sys.modules
    assert DETECTORS.problems("outside", {"cut": "x"})[0].key == ("cut",)
    made = DETECTORS.create("outside", {"cut": 3.0})
    assert made.cut == 3.0 and made.name == "outside"


# --- what members return ---------------------------------------------------------------------------


def _detector(family, **change):
    """A registered detector whose table is one good detection with some columns changed."""

    @family.register("returns")
    class Returns:
        def detect(self, patch, sky, truth=None):
            columns = {"det_id": [1, 2], "x": [10.0, 20.0], "y": [10.0, 20.0], **change.get("columns", {})}
            return Detection(detection_table({k: np.array(v) for k, v in columns.items()}), change.get("segmentation"))

    return family.create("returns")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"columns": {"x": [10.0, np.nan]}}, r"1 of 2 positions that are not finite, the first det_id 2"),
        ({"columns": {"det_id": [1, 1]}}, "not distinct"),
        ({"columns": {"det_id": [0, 1]}}, "not above 0"),
        ({"segmentation": np.zeros((3, 3), np.int32)}, r"segmentation of shape \(3, 3\)"),
    ],
)
def test_a_detector_that_returns_nonsense_is_named_with_the_patch(change, words, monkeypatch):
    monkeypatch.setattr(DETECTORS, "_members", dict(DETECTORS._members))
    patch = make_patch({"i": np.zeros((41, 43), np.float32)})
    with pytest.raises(StudyError, match=words) as error:
        _detector(DETECTORS, **change).detect(patch, {})
    text = str(error.value)
    assert "'returns'" in text and f"patch {patch.index}" in text and "Remedy" in text
    assert len(_detector(DETECTORS).detect(patch, {}).table) == 2


@pytest.mark.parametrize(
    "fault, words",
    [
        (lambda c: c.select(slice(1)), "returned stamps"),
        (lambda c: c.select(slice(None, None, -1)), "in another order"),
        (lambda c: c.stamps.fill(np.nan) or c, "no child with finite pixels"),
        (lambda c: None, "returned stamps NoneType"),
    ],
)
def test_a_deblender_that_returns_nonsense_is_named_with_the_patch(fault, words, monkeypatch):
    monkeypatch.setattr(DEBLENDERS, "_members", dict(DEBLENDERS._members))

    @DEBLENDERS.register("returns")
    class Returns:
        def deblend(self, patch, sky, centres, stamp_size):
            return fault(Children.blank(patch, centres, stamp_size))

    patch = make_patch({"i": np.zeros((41, 43), np.float32)})
    centres = Table({"det_id": np.arange(1, 13), "x": np.linspace(5.0, 35.0, 12), "y": np.full(12, 20.0)})
    with pytest.raises(StudyError, match=words) as error:
        DEBLENDERS.create("returns").deblend(patch, {}, centres, 21)
    assert "'returns'" in str(error.value) and f"patch {patch.index}" in str(error.value)


def test_one_child_without_numbers_is_a_counted_failure(monkeypatch):
    monkeypatch.setattr(DEBLENDERS, "_members", dict(DEBLENDERS._members))

    @DEBLENDERS.register("returns")
    class Returns:
        def deblend(self, patch, sky, centres, stamp_size):
            children = Children.blank(patch, centres, stamp_size)
            children.stamps[1, 0, 3, 3] = np.inf
            return children

    centres = Table({"det_id": [1, 2], "x": [10.0, 20.0], "y": [10.0, 20.0]})
    children = DEBLENDERS.create("returns").deblend(make_patch({"i": np.zeros((41, 43), np.float32)}), {}, centres, 21)
    assert children.status.tolist() == [children.status[0], children.status[0] | DEBLEND_BITS.FAILED]
    assert np.isfinite(children.stamps).all()


@pytest.mark.parametrize(
    "text, words",
    [("def broken(:\n    pass\n", "no valid Python"), (MEMBER.replace("4321", "2 * 1000"), "memory_mb is 2 \\* 1000")],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(text, words, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text(text)
    monkeypatch.setattr(blendimpact.detect, "__path__", [*blendimpact.detect.__path__, str(tmp_path)])
    with pytest.raises(StudyError, match=words) as error:
        DETECTORS.names()
    assert "broken.py:" in error.value.where


BROKEN = '''
"""A detector."""
from blendimpact.detect import DETECTORS


@DETECTORS.register("toy")
class Toy:
    """A detector."""

    requires = "no_such_package.part"

    def __init__(self, cut=1.0):
        self.cut = cut / 0

    def find(self, patch):
        """Nothing that a detector must have."""
'''


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("cut / 0", "cut / 0", r"'toy' cannot be used: ZeroDivisionError: .*toy.py:13"),
        ("cut / 0", "cut", "'toy' has no method 'detect'"),
        ("blendimpact.detect import", "blendimpact.detcet import", "cannot be used: ModuleNotFoundError.*toy.py:3"),
        ("import DETECTORS", "import DETECTOR", "cannot be used: ImportError: .*toy.py:3"),
    ],
)
def test_a_member_without_options_that_cannot_be_used_is_refused_before_any_job(old, new, says, tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(BROKEN.replace(old, new))
    monkeypatch.setattr(blendimpact.detect, "__path__", [*blendimpact.detect.__path__, str(tmp_path)])
    sys.modules.pop("blendimpact.detect.toy", None)
    config = study.load_config(overrides={"cases": {"two_point": {"detector": "toy"}}})
    with pytest.raises(StudyError, match=rf"cases.two_point.detector: .*{says}"):
        study.validate(config, families={"detectors": DETECTORS})
    sys.modules.pop("blendimpact.detect.toy", None)
    DETECTORS._members.pop("toy", None)


def test_a_package_that_is_not_installed_is_known_without_an_import(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(BROKEN)
    monkeypatch.setattr(blendimpact.detect, "__path__", [*blendimpact.detect.__path__, str(tmp_path)])
    assert DETECTORS.absent("toy") == "no_such_package.part" and DETECTORS.absent("sep") is None


def test_what_a_case_works_with_must_be_installed_and_what_is_compared_need_not(monkeypatch):
    monkeypatch.setattr(DEBLENDERS, "absent", lambda name: "scarlet9" if name == "symmetric" else None)
    sky = {"deblenders": ["sep", "symmetric"], "skies": {"a": {"case": "two_point"}}}
    require_packages(read_study(study.load_config(overrides={"comparison": sky}), None))
    config = study.load_config(overrides={"cases": {"two_point": {"deblender": "symmetric"}}})
    with pytest.raises(StudyError, match="scenario fiducial: deblender: .* needs the package scarlet9"):
        require_packages(read_study(config, None))


def test_a_python_whose_path_has_a_blank_is_refused_before_any_job(monkeypatch):
    require_plain_python()
    monkeypatch.setattr(sys, "executable", "/home/my name/.venv/bin/python")
    with pytest.raises(StudyError, match="my name.*: the path of Python has a blank"):
        require_plain_python()
