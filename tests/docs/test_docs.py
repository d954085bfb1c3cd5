"""The README and the pages of docs: their links, commands, configuration, and tables of numbers."""

import contextlib
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from blendimpact.cases.base import case_names, load_case
from blendimpact.cases.board import load_board
from blendimpact.cases.requirements import load_requirements
from blendimpact.config import study as config
from blendimpact.config.files import load_yaml, merge
from blendimpact.config.models import load_checked
from blendimpact.config.real_image import Image
from blendimpact.config.surveys import SurveyFile
from blendimpact.data import catalogues
from blendimpact.errors import StudyError
from blendimpact.ladder.aggregate import FOM_COLUMNS, SHOWN, aggregate
from blendimpact.ladder.rungs import RUNGS
from blendimpact.populations.source_types import SOURCE_TYPES
from blendimpact.report.cells import CELL_COLUMNS, matrix_cells, write_cells
from blendimpact.report.comparison.foms import BLENDED, OUTLIER
from blendimpact.report.comparison.foms import FIGURES_OF_MERIT as COMPARED
from blendimpact.report.comparison.pixels import LIGHT
from blendimpact.report.verdicts import VERDICTS
from blendimpact.report.words import TAGS
from blendimpact.sky.injection_flags import INJECTION_BITS
from blendimpact.stats.figures_of_merit import Scores
from blendimpact.stats.histograms import resolution
from harness import ROOT, build_dag, run_snakemake
from pages import (
    CASE_PAGE,
    CASE_PAGES,
    PAGES,
    WORKED,
    blocks,
    checked,
    commands,
    directory,
    lay_out,
    run_code,
    saved,
    snakemake_calls,
    table_after,
    write_bands,
    write_field,
    write_pair,
)

REFERENCE = ROOT / "config" / "presets" / "reference.yaml"
"""It has the comparisons, which the laptop study has not."""

WRITTEN = sorted([ROOT / "README.md", ROOT / "Snakefile", *ROOT.glob("docs/*.md"), *ROOT.glob("config/**/*.yaml")])
"""What tells users which commands to type."""

# --- links, commands, configuration ---------------------------------------------------------------


@pytest.fixture
def laid_out(tmp_path):
    """A function that goes to a directory with the configuration and the files of some pages."""
    with contextlib.ExitStack() as stack:
        yield lambda *pages: stack.enter_context(directory(tmp_path, *pages))


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Names of the rules of the workflow."""
    return set(build_dag(tmp_path_factory.mktemp("dag"), ROOT / "config" / "presets" / "smoke.yaml").rules)


def test_every_page_is_there_and_has_examples():
    assert all(blocks(page) for page in PAGES if not page.endswith("numbers.md"))
    endings = (".py", ".yaml", ".yaml", ".csv", ".py", ".py")
    assert all(saved(page, ending) for page, ending in zip(WORKED, endings))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)", text):
        assert "://" in target or ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_matrix_that_the_readme_shows_is_there():
    target = re.search(r"^!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M)[1]
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_project_that_a_page_names_exist(page):
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    made = {b.path for b in blocks(page)}
    for name in re.findall(r"`((?:config|docs|envs|profiles|scripts|tests|rules)/[\w./-]+)`", text):
        assert name in made or (ROOT / name).exists(), f"{page}: {name}"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")])
def test_commands_are_ones_that_exist(page, rules):
    """Targets of make and of Snakemake, options, presets, files that a page says to save."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    for words in commands(page):
        while re.fullmatch(r"[A-Z]+=\S*", words[0]):
            words = words[1:]
        program = words[0].removeprefix(".venv/bin/").removeprefix(".venv-slurm/bin/")
        if program == "make":
            named = {w for w in words[1:] if "=" not in w}
            assert named and named <= targets, words
        else:
            assert program in ("snakemake", "source", "python"), words
    made = {b.path for p in PAGES for b in blocks(p)}
    for given, words in snakemake_calls(page):
        assert {str(path) for path in given.configfile} <= made | presets(), words
        assert all(t in rules or t.startswith("results/") for t in given.targets), words
        if given.workflow_profile:
            assert (ROOT / "profiles" / given.workflow_profile / "config.yaml").is_file(), words


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_after_configfile_there_are_configuration_files_alone(path):
    """It takes every word after it, a target too: in blocks, in text and in the headers of presets."""
    for call in re.findall(r"snakemake [^`#\n]*", path.read_text(encoding="utf-8")):
        for words in re.findall(r"--configfile((?: (?!-)[\w./<>-]+)*)", re.sub(r"  .*", "", call)):
            assert all(word.endswith(".yaml") for word in words.split()), call


def presets():
    return {p.relative_to(ROOT).as_posix() for p in (ROOT / "config" / "presets").glob("*.yaml")}


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if snakemake_calls(p) and p not in (*WORKED, CASE_PAGE)])
def test_what_a_page_runs_has_a_graph_of_jobs(page, tmp_path):
    lay_out(page, tmp_path)
    calls = {(tuple(g.targets), tuple(map(str, g.configfile))) for g, _ in snakemake_calls(page) if not g.report}
    assert calls
    for targets, files in calls:
        paths = [ROOT / f if f in presets() else tmp_path / f for f in files]
        assert build_dag(tmp_path, *paths, targets=targets).to_run


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "yaml") and p != CASE_PAGE])
def test_configurations_are_valid(page, laid_out):
    """Surveys, images and overlays of a page, against their models and each other."""
    laid_out(*dict.fromkeys(["docs/add-a-real-image.md", page]))
    for number, block in enumerate(blocks(page, "yaml")):
        kind = next((k for k in ("surveys", "images") if block.path and f"config/{k}/" in block.path), None)
        if kind:
            load_checked(block.path, {"surveys": SurveyFile, "images": Image}[kind])
        elif page == "docs/slurm.md":
            profile = (ROOT / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8")
            given = yaml.safe_load(block.text)
            assert all(
                re.search(rf"^[# ]*{key}:", profile, flags=re.M) for key in [*given, *given["default-resources"]]
            )
        elif page == "docs/deblenders.md":
            overlay = Path(f"overlay{number}.yaml")
            # `nearest` is the worked example of another page. Comparisons are laid over the preset that has the skies.
            given = yaml.safe_load(block.text.replace("nearest", "symmetric"))
            below = load_yaml(REFERENCE).data if "comparison" in given else {}
            overlay.write_text(yaml.safe_dump(merge(below, given)), encoding="utf-8")
            assert not config.warnings(checked(overlay))
        elif "cases" in yaml.safe_load(block.text):
            overlay = Path(f"overlay{number}.yaml")
            overlay.write_text(block.text, encoding="utf-8")
            assert not config.warnings(checked(overlay)) or page in WORKED
        else:
            assert page == "docs/inject-your-own.md" and set(yaml.safe_load(block.text)) == {"catalogue"}


def test_an_image_can_be_a_scenario_beside_the_one_of_the_study(laid_out):
    laid_out("docs/add-a-real-image.md")
    page = Path(ROOT / "docs/add-a-real-image.md").read_text(encoding="utf-8")
    scenarios = yaml.safe_load(re.search(r"`(scenarios: \{.*\})`", page)[1])
    Path("beside.yaml").write_text(yaml.safe_dump({"cases": {"galaxies": scenarios}}))
    study = checked("beside.yaml")
    bands = {name: config.case_settings(study, "galaxies", name)["bands"] for name in ("fiducial", "my_field")}
    assert bands == {"fiducial": ["g"], "my_field": ["r"]}


def test_a_wrong_option_of_a_page_s_configuration_is_refused(laid_out):
    """That the check above can fail."""
    laid_out("docs/add-a-survey.md")
    Path("wrong.yaml").write_text(saved("docs/add-a-survey.md", "visit.yaml")[-1].text.replace("bands", "band"))
    with pytest.raises(StudyError, match="unknown key"):
        checked("wrong.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("page", WORKED)
def test_the_commands_of_a_worked_example_plan_a_run(page, tree):
    """In a copy of the project with the page's files: Snakemake finds the new detector, survey, image, catalogue."""
    for name in dict.fromkeys(["docs/add-a-real-image.md", page]):
        lay_out(name, tree)
    write_field(tree / "my_field.fits")
    write_pair(tree)
    write_bands(tree)
    calls = {tuple(w for w in words[1:] if w != "-n") for _, words in snakemake_calls(page)}
    assert calls
    for words in calls:
        done = run_snakemake(tree, "-n", *words, root=tree)
        assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}"
        assert re.search(r"^total +\d+$", done.stdout, flags=re.M), done.stdout


# --- numbers and tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", case_names())
def test_every_figure_of_merit_is_described_and_no_other(case):
    headings = re.findall(r"^### (.*)$", (ROOT / CASE_PAGES[case]).read_text(encoding="utf-8"), flags=re.M)
    described = re.findall(r"\b[A-Z]{2}-[A-Z]\d(?:\.\w+)?", " ".join(headings))
    assert sorted(described) == sorted(f.id for f in load_case(case).figures_of_merit)


@pytest.mark.parametrize(
    "page, before",
    [("docs/numbers.md", "**Medians** come from"), *((page, "Ids that begin with") for page in CASE_PAGES.values())],
)
def test_the_constants_of_the_page_are_those_of_the_code(page, before):
    rows = table_after(page, before)
    assert rows
    for _, value, where in rows:
        module, expression = where.strip("`").split(": ", 1)
        assert eval(expression, vars(importlib.import_module(f"blendimpact.{module}"))) == float(value), where


def test_the_widths_of_bins_are_those_of_the_code():
    foms = {
        f.id: np.asarray(getattr(f.statistic, "edges", ()))
        for case in case_names()
        for f in load_case(case).figures_of_merit
    }
    assert [round(float(resolution(foms[k], 0.0)), 4) for k in ("GA-B1.scatter", "GA-M1.scatter")] == [0.0006] * 2
    assert round(float(resolution(foms["CF-B1"], 0.0)), 4) == 0.0005
    assert float(resolution(foms["CF-M1.astrometry"], 0.0)) == pytest.approx(0.3, abs=0.005)
    assert float(resolution(foms["CF-M1.pull"], 0.0)) == pytest.approx(0.14, abs=0.005)
    assert float(resolution(foms["CF-M1.repeat"], 0.0)) == pytest.approx(0.24, abs=0.005)
    assert float(resolution(foms["CF-M1.repeat_xy"], 0.0)) == pytest.approx(0.11, abs=0.005)
    assert [
        round(float(resolution(foms[k], 0.0)), d)
        for k, d in (("TR-M1.median", 4), ("TR-M1.astrometry", 1), ("TR-B1.median", 3), ("TR-M1.pull", 2))
    ] == [0.0009, 0.4, 0.01, 0.14]
    assert float(resolution(foms["WL-P2"], 0.9)) == pytest.approx(0.0025)
    assert float(resolution(foms["WL-M1.trimmed"], 1.0)) == pytest.approx(0.013, abs=0.001)


def names(rows):
    """Return the names in code in the first column of a table."""
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]


def test_the_tables_of_the_matrix_page_are_those_of_the_code():
    page = "docs/matrix.md"
    assert names(table_after(page, "## The verdict")) == list(VERDICTS)
    assert [row[0] for row in table_after(page, "how far its number can be trusted")] == [
        f"[{tag}]" for tag in (*"VDMA",)
    ]
    assert {tag: row[1] for tag, row in zip("VDMA", table_after(page, "how far its number can be trusted"))} == TAGS
    assert names(table_after(page, "is a list of cells")) != []
    assert set(names(table_after(page, "is a list of cells"))) == set(CELL_COLUMNS)
    assert set(names(table_after(page, "has every figure"))) == set(FOM_COLUMNS)
    assert set(names(table_after(page, "## The value"))) == {*SHOWN, "selection"}


def test_the_figures_of_merit_of_the_comparison_are_those_of_its_page():
    page = "docs/deblenders.md"
    described = {name for name in names(table_after(page, "It is done twice"))}
    assert described - {"status.*"} == {f.id for f in COMPARED if not f.id.startswith("status.")}
    text = (ROOT / page).read_text(encoding="utf-8")
    assert f"blendedness of {BLENDED:g} or more" in text and f"over {100 * OUTLIER:g} %" in text and LIGHT == 0.5
    assert config.load_config()["comparison"] is None and REFERENCE.relative_to(ROOT).as_posix() in text
    chosen = config.validate(config.load_config([REFERENCE]))
    assert chosen["measure"]["aperture_diameter"] == 1.2 and "1.2 arcsec in diameter" in text
    assert all(f"`{sky}`" in text for sky in config.skies(chosen))
    assert all(f"`{name}`" in text or name == "scarlet2_free" for name in chosen["comparison"]["deblenders"])


def test_reading_the_tables_works_as_the_page_says(tmp_path, monkeypatch):
    headline = load_board(["two_point"])[0]["subrows"][0]["cells"]["measurement"]
    scores, population = Scores("two_point", headline["scenario"]), headline["population"]
    for rung, lost in (("truth", 0), *((rung, 0.01 * k) for k, rung in enumerate(RUNGS))):
        for block in range(40):
            scores.add("WL-M1", rung, block, [0.3 - lost + 0.001 * block, 1, lost - 0.3, 1], population)
    foms = aggregate(scores.table(), "two_point", headline["scenario"], load_case("two_point").figures_of_merit, 100, 1)
    folder = tmp_path / "results/laptop"
    folder.mkdir(parents=True)
    catalogues.write(foms, folder / "foms.parquet")
    write_cells(matrix_cells(foms, load_board(), load_requirements()), folder / "matrix")
    monkeypatch.chdir(tmp_path)
    printed = run_code(blocks("docs/matrix.md", "python")[0].text)
    line = r"^two_point shapes measurement WL-M1 \S+ (negligible|needs calibration|undetermined)$"
    assert re.search(line, printed, flags=re.M), printed
    assert all(re.search(rf"^ *{term} ", printed, flags=re.M) for term in ("detection", "deblending", "measurement"))


def test_the_tables_of_the_page_are_those_of_the_code():
    flags = [(int(bit), name.strip("`"), text) for bit, name, text in table_after(WORKED[3], "it gets a flag")]
    assert [(2**k, name) for k, (name, _) in INJECTION_BITS.items()] == [flag[:2] for flag in flags]
    page = (ROOT / WORKED[3]).read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in SOURCE_TYPES)
