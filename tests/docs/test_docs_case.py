"""The worked example of docs/add-a-case.md: a folder and a block of configuration, run through the workflow."""

import re
import shlex

import pytest
import synthetic
import yaml
from blendimpact.data import catalogues
from harness import ROOT, copy_tree, run_snakemake
from pages import CASE_PAGE, blocks, commands, lay_out, saved, table_after

pytestmark = pytest.mark.slow

NAME = "surface_brightness"
FOLDER = f"scripts/blendimpact/cases/{NAME}"
TINY = {"stamp": 9.0, "patch": {"size": 90, "border": 24, "count": 2}, "population": {"galaxies": {"mag_max": 26.0}}}


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The products of the example's study on two small patches, and the copy of the project that made them."""
    base = tmp_path_factory.mktemp("case")
    tree, directory = base / "tree", base / "run"
    copy_tree(tree)
    before = files(tree)
    lay_out(CASE_PAGE, tree)
    assert {path for path in files(tree) - before if not path.startswith(f"{FOLDER}/")} == {f"{NAME}.yaml"}
    assert all((tree / path).read_bytes() == (ROOT / path).read_bytes() for path in before)
    synthetic.make_study(directory)
    given = yaml.safe_load((tree / f"{NAME}.yaml").read_text(encoding="utf-8"))
    given["cases"][NAME] |= TINY
    (directory / "tiny.yaml").write_text(yaml.safe_dump({**given, "bootstrap": 100, "chunk_size": 2}))
    done = run_snakemake(directory, "--cores", 1, "--configfile", "tiny.yaml", root=tree)
    assert done.returncode == 0, done.stdout[-6000:]
    return directory / "results" / NAME, tree


def test_the_commands_of_the_page_plan_a_run(study):
    _, tree = study
    assert shlex.join(commands(CASE_PAGE)[0]) == f"snakemake -n --configfile {NAME}.yaml"
    done = run_snakemake(tree, "-n", "--configfile", f"{NAME}.yaml", root=tree)
    assert done.returncode == 0 and re.search(r"^score +\d+$", done.stdout, flags=re.M), done.stdout[-3000:]


def test_it_has_its_row_its_figures_and_its_numbers(study):
    results, _ = study
    board = catalogues.read(results / "matrix.parquet")
    assert list(board["case"])[-3:] == [NAME] * 3  # where its order puts it
    cell = board[(board["case"] == NAME) & (board["stage"] == "detection")][0]
    assert (cell["subrow"], cell["fom"], cell["quantified"]) == ("completeness", "SB-D1", "yes")
    assert -1 <= cell["value"] <= 0
    other = board[(board["case"] == NAME) & (board["stage"] == "measurement")][0]
    assert other["quantified"] == "no" and other["reason"] == "this case is about detection alone"
    foms = catalogues.read(results / "foms.parquet")
    assert set(foms["fom"]) == {"SB-D1", "SB-D1.all"}
    strata = {str(s) for s in foms["stratum"]}
    assert "all" in strata and any(s.startswith("sb:") for s in strata)
    alone = foms[(foms["fom"] == "SB-D1.all") & (foms["term"] == "alone") & (foms["stratum"] == "all")][0]
    assert alone["n"] > 5
    drawn = {path.stem for path in (results / "figures" / NAME).glob("*.png")}
    assert drawn == set(re.findall(r'FigureSpec\(\s*"([^"]+)"', saved(CASE_PAGE, "figures.py")[0].text))


def test_the_columns_of_the_page_are_those_that_a_case_gets(study):
    results, _ = study
    folder = results / NAME / "fiducial"
    paths = {
        "truth": "simulate/000.truth.parquet",
        "detections": "detect/000.detections.parquet",
        "assignments": "detect/000.assignments.parquet",
        "measurements": "measure/000/measurements.parquet",
    }
    listed = {row[0].strip("`"): re.findall(r"`([^`]+)`", row[1]) for row in table_after(CASE_PAGE, "## What a case")}
    assert set(listed) == set(paths)
    for name, path in paths.items():
        table = catalogues.read(folder / path)
        assert all(table[column].info.description for column in table.colnames)
        found = [re.sub(r"_[ri]$", "_<band>", c) if name == "truth" else c for c in table.colnames]
        assert list(dict.fromkeys(found)) == listed[name]


def test_the_page_describes_the_figures_of_merit():
    text = next(b.text for b in blocks(CASE_PAGE, "markdown"))
    headings = " ".join(re.findall(r"^### (.*)$", text, flags=re.M))
    named = re.findall(r'F\(\s*"(SB-[^"]+)"', saved(CASE_PAGE, "foms.py")[0].text)
    assert re.findall(r"\bSB-D\d(?:\.\w+)?", headings) == named
