"""The command `try`: one plug-in on one patch, in numbers and a picture."""

import pytest
from blendimpact.errors import StudyError
from blendimpact.stages.trial import main, options_of, run
from PIL import Image


@pytest.mark.parametrize(
    "kind, name, words",
    [
        ("detector", "sep", "detections;"),
        ("deblender", "sep", "children;"),
        ("subtractor", "zogy", "3 of 3 transients"),
        ("finder", "matched_filter", "3 of 3 transients"),
    ],
)
def test_each_family_has_a_picture(kind, name, words, tmp_path, capsys):
    main(["try", kind, name, "--size", "160", "--out", str(tmp_path / "a.png")])
    assert words in capsys.readouterr().out
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 300


def test_the_exact_child_is_the_measure_of_a_deblender():
    """The bound leaves less than raw pixels do."""

    def scatter(name):
        return float(run("deblender", name, size=120)[0][2].partition("NMAD ")[2].split()[0])

    assert scatter("truth_profiles") < scatter("none")


def test_options_are_yaml_and_checked(capsys):
    assert options_of(["threshold=4", "kernel=null", "bands=[g, r]"]) == {
        "threshold": 4,
        "kernel": None,
        "bands": ["g", "r"],
    }
    with pytest.raises(StudyError, match="no value"):
        options_of(["threshold"])
    with pytest.raises(SystemExit) as stopped:
        main(["try", "detector", "sep", "-o", "threshold=high"])
    assert "detectors.sep.threshold" in stopped.value.code and "a number" in stopped.value.code
