"""The strict base of settings, and the words for what is wrong in a YAML file."""

from typing import Annotated, Literal

import pytest
from blendimpact.config.files import Problem, load_yaml
from blendimpact.config.models import Distinct, Model, Name, Number, Options, Pair, Text, Whole, absent, load_checked
from blendimpact.errors import StudyError
from pydantic import Field


class Part(Model):
    """A part."""

    size: Whole = Field(32, ge=8, description="Side in pixels.")
    file: Text | None = absent(description="A file.")
    scale: Number | None = absent(gt=0, description="A scale.")

    def problems(self):
        if self.file and self.scale:
            yield Problem(("scale",), "is not for files", "remove it")


class Everything(Model):
    """All kinds of fields."""

    name: Text = Field(description="Its name.")
    kind: Literal["moffat", "kolmogorov"] = Field("moffat", description="Profile.")
    bands: Annotated[list[Text], Field(min_length=1), Distinct] = Field(["r"], description="Bands.")
    mag: Pair = Field([20, 25.5], description="Magnitudes.")
    known: bool = Field(False, description="Is it known?")
    part: Part | None = Field(None, description="A part.")
    parts: dict[Name, Part] = Field({}, description="Parts by name.")
    options: Options = Field({}, description="Options.")


@pytest.fixture
def check(tmp_path):
    """Return a function that reads a text as a YAML file."""

    def read(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_checked(path, Everything)

    return read


def test_defaults_numbers_as_given_and_absent_keys(check):
    plain = check("name: a\nmag: [20, 25]\npart: {size: 64.0, scale: 2}\n").plain()
    assert plain["part"] == {"size": 64, "scale": 2} and isinstance(plain["part"]["size"], int)
    assert all(isinstance(m, int) for m in plain["mag"])
    assert check("name: a\npart: {file: null}\n").plain()["part"] == {"size": 32}  # null: not given
    assert check("name: a").plain() == {
        "name": "a",
        "kind": "moffat",
        "bands": ["r"],
        "mag": [20, 25.5],
        "known": False,
        "part": None,
        "parts": {},
        "options": {},
    }


@pytest.mark.parametrize(
    "text, place, says",
    [
        ("nmae: a", "1: nmae", "did you mean 'name'"),
        ("kind: moffat", "mine.yaml: ", "the key 'name' is missing.*Its name"),
        ("name: on", "1: name", "the truth value true, but must be text.*quote it"),
        ("name: 5", "1: name", "the number 5, but must be text.*quote it"),
        ("name: 2020-01-01", "1: name", "the date 2020-01-01, but must be text"),
        ("name: ''", "1: name", "must not be empty"),
        ("name: a\nkind: mofat", "2: kind", "did you mean 'moffat'"),
        ("name: a\nknown: 1", "2: known", "must be true or false"),
        ("name: a\nmag: [20]", "2: mag", "at least 2 entries"),
        ("name: a\nmag: [20, .inf]", "2: mag.1", "the number inf, but must be a finite number"),
        ("name: a\nmag:\n- 20\n- .nan", "4: mag.1", "finite"),
        ("name: a\nbands: [i, i]", "2: bands", "must not name anything twice"),
        ("name: a\nbands: i", "2: bands", "the text 'i', but must be a list"),
        ("name: a\npart:\n  size: 40.5", "3: part.size", "the number 40.5, but must be a whole number"),
        ("name: a\npart:\n  size: true", "3: part.size", "whole number"),
        ("name: a\npart:\n  size: '40'", "3: part.size", "without quotes"),
        ("name: a\npart:\n  size: 1.0e+30", "3: part.size", "too large"),
        ("name: a\npart:\n  scale: 1e-1", "3: part.scale", "1.0e-3 as a number"),
        ("name: a\npart:\n  scale: 0", "3: part.scale", "the number 0, but must be more than 0"),
        ("name: a\npart:\n  file: a\n  scale: 1", "4: part.scale", "is not for files.*Remedy: remove it"),
        ("name: a\npart: []", "2: part", "must be keys and values"),
        ("name: a\nparts:\n  5: {}", "3: parts.5", "the number 5 is not allowed.*quote it"),
        ("name: a\nparts:\n  on: {}", "parts.True", "the truth value true is not allowed.*quote it"),
        ("name: a\nparts:\n  B: {}", "3: parts.B", "use small letters, digits and _"),
        ("name: a\n5: {}", "2: 5", "the number 5"),
        ("name: a\noptions: {a: {b: [.nan]}}", "2: options.a", "finite"),
        ("name: a\noptions: {a: 2020-01-01}", "2: options.a", "text, a number"),
        ("name: a\noptions: {5: 1}", "2: options.5", "the number 5"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_key_and_remedy(check, text, place, says):
    with pytest.raises(StudyError, match=f"(?s)mine.yaml.*{says}") as error:
        check(text)
    assert place in str(error.value)


def test_all_problems_come_at_once(check):
    with pytest.raises(StudyError, match="3 things are wrong") as error:
        check("nmae: a\nmag: 3\n")
    assert {p.key for p in error.value.problems} == {(), ("nmae",), ("mag",)}


@pytest.mark.parametrize(
    "text, says",
    [
        ("a: 1\nb: 2\na: 3\n", r"mine\.yaml:3.*'a' is given twice"),
        ("c:\n  a: 1\n  a: 3\n", r"mine\.yaml:3.*'a' is given twice"),
        ("a:\n\tb: 1\n", r"mine\.yaml:2.*not valid YAML"),
        ("a: 1\n---\nb: 1\n", r"mine\.yaml:2.*another document"),
        ("a: \x01\n", r"mine\.yaml:1.*not valid YAML"),
        ("a: &a [*a]\n", r"mine\.yaml"),
        ("? {a: b}\n: 1\n", r"mine\.yaml.*not valid YAML"),
        ("a: 2020-02-31\n", r"mine\.yaml.*not valid YAML"),
        ("a: !!python/object:os.system 1\n", r"mine\.yaml:1.*not valid YAML"),
        ("- a\n", "a list at top level"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_in_a_sentence(check, text, says):
    with pytest.raises(StudyError, match=says):
        check(text)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"b: 1\na: \xff\xfe")
    with pytest.raises(StudyError, match=r"mine\.yaml:2: is not text in UTF-8"):
        load_yaml(tmp_path / "mine.yaml")
