"""What a case says beside its code: board row, requirements, external checks; complete, sourced, refused when wrong."""

import os
import re

import pytest
from blendimpact.cases import board, files
from blendimpact.cases.base import case_names, load_case
from blendimpact.cases.board import load_board
from blendimpact.cases.external_checks import load_external_checks
from blendimpact.cases.files import BOARD, CHECKS, FOLDER, REQUIREMENTS, published_files
from blendimpact.cases.requirements import load_requirements
from blendimpact.errors import StudyError

STAGES = ("detection", "deblending", "measurement")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of cases in place of the study's, and a function that writes a changed file of a case into it."""
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(files, "case_names", lambda: sorted(p.name for p in tmp_path.iterdir() if p.is_dir()))

    def write(case, name, old="", new="", under=None):
        text = (FOLDER / case / name).read_text()
        assert old in text
        path = tmp_path / (under or case) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace(old, new, 1))

    return write


# --- requirements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("year", ["Y1", "Y10"])
@pytest.mark.parametrize("case", case_names())
def test_every_figure_of_merit_of_a_case_has_an_entry(case, year):
    """Its own, or that of the figure of which it is a variant; nothing is required of the sky that was made."""
    known = {fom.partition(".")[0] for fom in load_requirements(year, [case])}
    headlines = {f.id.partition(".")[0] for f in load_case(case).figures_of_merit}
    assert {fom for fom in headlines - known if fom.split("-")[1][0] in "DBM"} == set()


def test_requirements_are_those_of_their_year():
    for fom in ("WL-D2", "WL-D2.bright", "WL-B3", "WL-M1"):
        assert load_requirements("Y10")[fom]["value"] == 0.003
        assert load_requirements("Y1")[fom]["value"] == 0.013
    assert load_requirements()["WL-M1"]["value"] == load_requirements(None)["WL-M1"]["value"] == 0.003
    assert load_requirements("Y1")["GA-B1"] == load_requirements("Y10")["GA-B1"]


def test_a_repeatability_of_bright_stars_is_adopted_for_all_else_and_shear_calibration_is_about_calibration():
    known = load_requirements()
    for fom in ("TR-M1", "CF-M1", "MO-M1", "MO-M1.added"):
        assert (known[fom]["tag"], known[fom]["application"]) == ("V", "A")
    for fom in ("TR-D1", "TR-D1.at6"):  # written for the S/N of a difference source, not for that of the sky alone
        assert (known[fom]["tag"], known[fom]["application"]) == ("M", "A")
    assert {known[fom]["about"] for fom in ("WL-D2", "WL-D2.bright", "WL-B3", "WL-M1")} == {"calibration"}
    assert {known[fom]["about"] for fom in ("TR-D1", "CF-M1", "GA-B1")} == {"value"}


def test_every_requirement_has_a_source_and_what_is_ours_says_so():
    for entry in load_requirements().values():
        assert entry["source"]
        assert (entry["value"] is None) == (entry["tag"] == "none")
        if entry["tag"] == "A":
            assert re.search("adopted|none published", entry["source"])
        if entry["tag"] in "VM":
            assert "adopted" not in entry["source"]


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("{fom: WL-D4, value: 0.01", "{fom: WL-D1, value: 0.01", "two requirements"),
        ("fom: WL-D3, value: null, tag: none", "fom: WL-D3, value: null, tag: V", "at odds with the value"),
        ("{fom: WL-D3", "{fom: wl_d3", "must match"),
        ("sense: known to", "sense: knwon to", "did you mean 'known to'"),
    ],
)
def test_a_wrong_requirement_is_refused(folder, old, new, says):
    folder("two_point", REQUIREMENTS, old, new)
    with pytest.raises(StudyError, match=says) as error:
        load_requirements()
    assert re.search(rf"two_point/{REQUIREMENTS}:\d+: requirements", str(error.value))


def test_two_cases_do_not_require_the_same(folder):
    folder("two_point", REQUIREMENTS)
    folder("two_point", REQUIREMENTS, under="copy")
    with pytest.raises(StudyError, match="another case has a requirement for CL-D1"):
        load_requirements()
    assert load_requirements(cases=["copy"])["WL-M1"]["value"] == 0.003


# --- board ----------------------------------------------------------------------------------------


def headlines(row):
    """Yield (stage, cell) of all cells of a row that have a headline."""
    for subrow in row["subrows"]:
        yield from ((stage, cell) for stage, cell in subrow["cells"].items() if "fom" in cell)


def test_the_board_has_a_row_of_every_case_in_its_order():
    rows = load_board()
    assert sorted(row["case"] for row in rows) == case_names()
    assert [row["order"] for row in rows] == sorted({row["order"] for row in rows})  # no two at one place
    known = load_requirements()
    for row in rows:
        for _, cell in headlines(row):
            for fom in [*cell["foms"], *(also["fom"] for also in cell.get("also", ()) if "fom" in also)]:
                assert any(k == fom or fom.startswith(f"{k}.") or k.startswith(f"{fom}.") for k in known), fom


def test_every_stage_of_a_sub_row_has_a_headline_or_says_why_not():
    for row in load_board():
        assert list(headlines(row))
        for subrow in row["subrows"]:
            for stage in STAGES:
                cell = subrow["cells"].get(stage, {})
                assert ("fom" in cell) != bool(cell.get("not_quantified") or (not cell and subrow["not_quantified"]))


@pytest.mark.parametrize("row", load_board(), ids=lambda row: row["case"])
def test_headlines_are_figures_of_merit_that_the_case_computes(row):
    stage_of = {f.id: f.stage for f in load_case(row["case"]).figures_of_merit}
    for stage, cell in headlines(row):
        assert stage_of[cell["fom"]] == stage
        for also in ({**cell, **also} for also in cell.get("also", ())):  # what a stage adds to another's is its own
            assert stage in (stage_of[also["fom"]], also["headline_term"])


@pytest.mark.parametrize("row", load_board(), ids=lambda row: row["case"])
def test_what_is_called_lost_counts_what_is_lost(row):
    """A loss is positive: the figure is the share that is not found, not the one that is."""
    foms = {f.id: f for f in load_case(row["case"]).figures_of_merit}
    for _, cell in headlines(row):
        if "lost" in cell["name"]:
            assert re.search(r"\b(lost|not)\b", foms[cell["fom"]].definition), cell["fom"]


@pytest.mark.parametrize(
    "case, old, new, says",
    [
        ("galaxies", "foms: [GA-B1]", "foms: [GA-B2, GA-B1]", "does not begin with the headline"),
        (
            "transients",
            "        headline_term: measurement\n        population: centres\n        also",
            "        population: centres\n        also",
            "'headline_term' is missing",
        ),
        ("transients", "{data: Afrho,", "{date: Afrho,", "did you mean 'data'"),
        ("galaxies", "cells:\n      detection:", "cells:\n      detecting:", "did you mean 'detection'"),
        ("two_point", "name: photo_z", "name: shapes", "two of them share a name"),
        (
            "two_point",
            "        not_quantified: ",
            "        fom: PZ-D1\n        not_quantified: ",
            "at odds with a headline",
        ),
        ("two_point", "      deblending:\n        fom", "      deblendin:\n        fom", "did you mean 'deblending'"),
        ("galaxies", 'identified: "yes"', "identified: yes", "truth value true|did you mean"),
        ("galaxies", "published_tag: V", "published_tag: none", "at odds with `published`"),
        ("galaxies", "order: 40\n", "", "'order' is missing"),
    ],
)
def test_a_wrong_row_is_refused(folder, case, old, new, says):
    folder(case, BOARD, old, new)
    with pytest.raises(StudyError, match=says) as error:
        board.load_board()
    assert f"{case}/{BOARD}" in str(error.value)


# --- external checks ------------------------------------------------------------------------------


def test_checks_stand_in_their_order_and_are_of_their_case():
    checks = load_external_checks()
    assert [check["order"] for check in checks] == sorted(check["order"] for check in checks)
    general = {check["id"] for check in load_external_checks([])}
    assert {"false_alarms", "false_alarms_4", "survey_depth"} <= general
    assert not [check["id"] for check in load_external_checks([]) if "row" in check.get("measure", {})]
    for case in case_names():
        mine = [check for check in load_external_checks([case]) if check["id"] not in general]
        cases = {check["measure"]["row"]["case"] for check in mine if "row" in check.get("measure", {})}
        assert cases <= {case}


def test_a_name_of_two_checks_is_refused(folder):
    for name in ("a", "b"):
        folder("crowded_fields", CHECKS, under=name)
    with pytest.raises(StudyError, match="'crowding_roll_off' names two checks"):
        load_external_checks()


# --- files ----------------------------------------------------------------------------------------


def test_a_case_depends_on_its_own_files_and_the_board_on_those_of_all():
    everything, general = set(published_files()), os.path.relpath(FOLDER / CHECKS)
    assert {os.path.basename(path) for path in everything} == {BOARD, REQUIREMENTS, CHECKS}
    parts = [set(published_files([case])) for case in case_names()]
    assert set().union(*parts) == everything - {general} and all(parts)
    assert general in everything and all(os.path.isfile(path) for path in everything)


@pytest.mark.parametrize("package", ["report", "stages", "ladder", "sky", "measure", "config"])
def test_only_cases_name_figures_of_merit(package):
    for path in (FOLDER.parent / package).rglob("*.py"):
        assert not re.findall(r"\b[A-Z]{2,3}-[A-Z][0-9]", path.read_text(encoding="utf-8")), path
