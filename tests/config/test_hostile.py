"""Configurations as they are mistyped: each is refused with file, line and key, or is read as it was meant."""

import pytest
from blendimpact.cases.base import case_names
from blendimpact.config import study
from blendimpact.config.files import CONFIG_DIR, load_yaml
from blendimpact.errors import StudyError

BASE = CONFIG_DIR / "config.yaml"


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Return a function that validates the study with an overlay, in a folder with a file that is not YAML."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("root:SECRET:0\n")
    (tmp_path / "secret.yaml").write_text("SECRET\n")
    (tmp_path / "a{b}.yaml").write_text((CONFIG_DIR / "surveys/des.yaml").read_text())

    def validated(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return study.validate(study.load_config([path]), [BASE, path], cases=case_names())

    return validated


@pytest.mark.parametrize(
    "text, place, says",
    [
        ("study: inputs", "1: study", "results/inputs is for the fetched inputs"),
        ("study: Reference", "1: study", "results/reference is for what is published"),
        ('study: "abc\\n"', "1: study", "made of letters"),
        ("seed: 010", "1: seed", "would be read as 8"),
        ("seed: 1:30", "1: seed", "would be read as 90"),
        ("seed: &a [*a]", "mine.yaml", "Circular"),
        ("seed: 1.0e+20", "1: seed", "too large"),
        ("seed: .inf", "1: seed", "a whole number"),
        ("bootstrap: 1.0e+9", "1: bootstrap", "at most 100000"),
        ("cases:\n  two_point:\n    patch:\n      size: 100000", "4: cases.two_point.patch.size", "at most"),
        ("cases:\n  two_points: {enabled: true}", "2: cases.two_points", "did you mean 'two_point'"),
        ("cases: {two_point: {scenarios: {2020: {}}}}", "scenarios.2020", "the number 2020 is not allowed"),
        ("cases: {two_point: {scenarios: {on: {}}}}", "scenarios.True", "truth value true is not allowed"),
        ('cases: {two_point: {scenarios: {"x\\n": {}}}}', r"scenarios.'x\n'", "is not allowed"),
        ('cases: {two_point: {scenarios: {"a{b}": {}}}}', "scenarios.a{b}", "is not allowed"),
        ("cases:\n  two_point: {<<: 5}", "mine.yaml:2", "a mapping"),
        ("cases: {two_point: {survey: ./secret.txt}}", "1: cases.two_point.survey", "is no YAML file"),
        ("cases: {two_point: {survey: ./secret.yaml}}", "1: cases.two_point.survey", "holds text at top level"),
        ("cases: {galaxies: {image: ./secret.txt}}", "1: cases.galaxies.image", "is no YAML file"),
        ("cases: {two_point: {survey: './a{b}.yaml'}}", "1: cases.two_point.survey", "without braces"),
        ('cases: {two_point: {survey: "lsst_y1\\n"}}', "1: cases.two_point.survey", "one line"),
        (
            f"cases: {{{', '.join(f'{name}: {{enabled: false}}' for name in case_names())}}}",
            "1: cases",
            "every case is disabled",
        ),
    ],
)
def test_a_mistake_is_refused_with_file_line_and_key(check, text, place, says):
    with pytest.raises(StudyError, match=says) as error:
        check(text)
    message = str(error.value)
    assert place in message and "mine.yaml" in message
    assert "SECRET" not in message and "things are wrong" not in message


@pytest.mark.parametrize("folder, name", [("detectors", "sep"), ("deblenders", "joint_fit"), ("finders", "x")])
def test_numbers_of_plugins_are_finite_too(check, folder, name):
    with pytest.raises(StudyError, match=rf"mine.yaml:2: {folder}\.{name}\.deep: .*finite"):
        check(f"{folder}:\n  {name}: {{deep: {{a: [1, .nan]}}}}")


def test_whole_numbers_with_a_point_and_merged_keys_are_what_they_say(check):
    found = check("chunk_size: 12.0\ncases: {two_point: {scenarios: {x: &x {truth_snr: 6}, y: {<<: *x, stamp: 10}}}}")
    assert found["chunk_size"] == 12 and type(found["chunk_size"]) is int
    assert found["cases"]["two_point"]["scenarios"]["y"] == {"truth_snr": 6, "stamp": 10}


def test_what_a_scenario_changes_is_shown_on_its_own_line(check):
    wrong = (
        "cases:\n  two_point:\n    scenarios:\n      wrong:\n        stamp: 10\n        patch:\n          border: 3\n"
    )
    with pytest.raises(StudyError, match=r"mine.yaml:7: cases.two_point.scenarios.wrong.patch.border: is 3"):
        check(wrong)


def test_what_is_wrong_in_a_case_is_not_said_again_of_each_scenario(check):
    """Its scenarios with other bands would each complain of the case's shape_band in their own words."""
    with pytest.raises(StudyError) as error:
        check("cases: {two_point: {shape_band: q}}")
    assert [problem.key for problem in error.value.problems] == [("cases", "two_point", "shape_band")]


def test_a_problem_that_each_scenario_mends_is_none_and_one_of_its_own_is_said(check):
    case = "cases: {two_point: {shape_band: q, scenarios: {fiducial: {shape_band: i}, ring: {shape_band: %s}, " + (
        "shear: {shape_band: i}, shear_peaks: null, sky: null, sky_clustered: null, photo_z: null, "
        "photo_z_training: null}}}"
    )
    assert check(case % "i")
    with pytest.raises(StudyError) as error:
        check(case % "z")
    assert [p.key for p in error.value.problems] == [("cases", "two_point", "scenarios", "ring", "shape_band")]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path, encoding):
    path = tmp_path / "mine.yaml"
    path.write_bytes("seed: 1\nstudy: ä\n".encode(encoding))
    with pytest.raises(StudyError, match=r"mine.yaml:\d: is not text in UTF-8"):
        load_yaml(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("\ufeffstudy: abc\n".encode())
    assert load_yaml(path).data == {"study": "abc"}


def test_an_overlay_puts_a_catalogue_in_place_of_a_population_with_options(check, tmp_path):
    (tmp_path / "cat.csv").write_text("ra,dec,source_type,mag\n1,2,Star,20\n")
    inject = "catalogue: cat.csv, population: null"
    with pytest.raises(StudyError, match=r"inject.kinds: is not for a catalogue. Remedy: remove it \(kinds: null\)"):
        check(f"cases: {{transients: {{inject: {{{inject}}}}}}}")
    nothing = "kinds: null, snr: null, required: null"
    found = check(f"cases: {{transients: {{inject: {{{inject}, {nothing}}}, scenarios: {{moving: null}}}}}}")
    settings = study.case_settings(found, "transients")
    assert settings["inject"]["catalogue"] == "cat.csv" and "kinds" not in settings["inject"]
