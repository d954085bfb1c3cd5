"""Whatever a configuration holds, it is valid or refused with a key: never a traceback, never a number that is none."""

import contextlib
import copy
import datetime
import json

import pytest
from blendimpact.cases.base import case_names
from blendimpact.config import study
from blendimpact.config.files import CONFIG_DIR, load_yaml
from blendimpact.config.models import read
from blendimpact.config.real_image import Image
from blendimpact.config.registry import Inputs
from blendimpact.config.surveys import SurveyFile
from blendimpact.deblend import DEBLENDERS
from blendimpact.detect import DETECTORS
from blendimpact.errors import StudyError
from blendimpact.search import FINDERS
from blendimpact.subtract import SUBTRACTORS
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = case_names()
BASE = study.load_config()
FILES = [
    (model, load_yaml(CONFIG_DIR / path).data)
    for model, path in (
        (SurveyFile, "surveys/des.yaml"),
        (SurveyFile, "surveys/lsst_y1.yaml"),
        (Image, "images/isaac_bulge.yaml"),
        (Inputs, "inputs.yaml"),
    )
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([10**19, 10**400, -1]),
    st.floats(),
    st.sampled_from(["", "on", "1e-3", "sep", "stars", "nan", "../x", "lsst_visit", "\x00"]),
    st.just(datetime.date(2020, 1, 1)),
    st.lists(st.sampled_from([1, 30.0, "i", None, float("inf")]), max_size=3),
    st.dictionaries(
        st.sampled_from(["fiducial", "case", "kind", 5, True, None]), st.sampled_from([{}, None, 1, "x"]), max_size=2
    ),
)


def places(data, path=()):
    """Yield the key of everything in a tree."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


@st.composite
def damaged(draw, data):
    """Return the data with up to three things replaced, removed or added."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(list(places(data)) or [("x",)]))
        parent = data
        for key in path:
            parent = parent[key]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "remove" and last in parent if isinstance(parent, dict) else False:
            del parent[last]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(["bnads", "mag", 5, False, None, "image", "density"]))] = draw(JUNK)
        else:
            parent[last] = draw(JUNK)
    return data


@settings(max_examples=100, deadline=None)
@given(damaged(BASE))
def test_a_damaged_study_is_valid_or_refused_with_its_keys(data):
    try:
        checked = study.validate(data, cases=CASES)
    except StudyError as error:
        assert error.problems and all(problem.what for problem in error.problems)
        assert "config.yaml" in str(error) or "the merged configuration" in str(error)
        return
    found = [
        study.case_settings(checked, case, scenario)
        for case, block in checked["cases"].items()
        if block["enabled"]
        for scenario in block["scenarios"]
    ]
    json.dumps([checked, found], allow_nan=False)
    study.warnings(checked)
    assert all(study.patches(each) for each in found)


@pytest.mark.parametrize("model, data", FILES, ids=lambda v: getattr(v, "__name__", None))
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_damaged_file_is_valid_or_refused_with_its_keys(model, data, more):
    found, problems = read(more.draw(damaged(data)), model)
    assert problems or json.dumps(found.plain(), allow_nan=False)
    assert all(isinstance(problem.key, tuple) and problem.what for problem in problems)


OPTIONS = [
    (family, name, option)
    for family in (DETECTORS, DEBLENDERS, FINDERS, SUBTRACTORS)
    for name in family.names()
    if not family.absent(name)
    for option in [*family.options(name).model_fields, "treshold"]
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory of its own: an option may be the name of a folder that is made."""
    with contextlib.chdir(tmp_path_factory.mktemp("options")):
        yield


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(OPTIONS), value=JUNK)
def test_an_option_of_a_plug_in_is_taken_or_refused_by_name(folder, place, value):
    family, name, option = place
    found = family.problems(name, {option: value})
    assert all(problem.what and "cannot be used" not in problem.what for problem in found)
    if option == "treshold":
        assert [problem.key for problem in found] == [(option,)]
    elif not found:
        json.dumps(value, allow_nan=False)
