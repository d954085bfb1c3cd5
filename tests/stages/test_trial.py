"""The command `try`: one plug-in on one patch, in numbers and a picture."""

import pytest
import synthetic
from blendimpact.data import catalogues
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


def test_a_population_that_needs_no_table_is_injected(tmp_path, capsys):
    main(["try", "population", "sersic", "-o", "mag=[20, 24]", "--out", str(tmp_path / "a.png")])
    said = capsys.readouterr().out
    assert "9 sersic" in said and "half-light radius" in said
    counts = [int(line.split()[3]) for line in said.splitlines() if line[:7].strip() and line.strip()[:2].isdigit()]
    assert sum(counts) == 9
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 300


def test_a_population_is_drawn_on_the_sky_from_its_table(tmp_path, monkeypatch):
    """Only it: 30 galaxies per arcmin2 brighter than 24.4, and no star."""
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "results" / "inputs" / "population" / "hst_cosmos.parquet"
    with pytest.raises(StudyError, match="is not there") as refused:
        run("population", "hst_cosmos")
    assert "snakemake results/inputs/population/hst_cosmos.parquet" in str(refused.value)
    table.parent.mkdir(parents=True)
    catalogues.write(synthetic.galaxies(), table)
    lines, _ = run("population", "hst_cosmos", {"mag_max": 24.4, "size_factor": 3.0}, size=300)
    number = int(lines[1].split(": ")[1].split()[0])
    assert "star" not in lines[1] and 10 < number < 60
    with pytest.raises(StudyError, match="no option 'size_facto'"):
        run("population", "hst_cosmos", {"size_facto": 3.0})


def test_what_can_be_neither_drawn_nor_injected_is_refused():
    with pytest.raises(StudyError, match="cannot be drawn"):
        run("population", "visits")
