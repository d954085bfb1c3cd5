"""Requirements, board, registry: complete, sourced, and refused when wrong."""

import re

import pytest
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.registry import load_resources
from blendimpact.config.requirements import load_board, load_requirements
from blendimpact.errors import StudyError

STAGES = ("detection", "deblending", "measurement")


def test_every_figure_of_merit_of_the_study_has_an_entry():
    for year in ("Y1", "Y10"):
        known = load_requirements(year)
        bases = {fom.split(".")[0] for fom in known}
        assert {
            "WL-D1",
            "WL-D2",
            "WL-D3",
            "WL-B1",
            "WL-B3",
            "WL-M1",
            "WL-M2",
            "GA-D1",
            "GA-D2",
            "GA-B1",
            "GA-M1",
        } <= bases
        assert known == load_requirements(year)


def test_requirements_are_those_of_their_year():
    for fom in ("WL-D2", "WL-B3", "WL-M1"):
        assert load_requirements("Y10")[fom]["value"] == 0.003
        assert load_requirements("Y1")[fom]["value"] == 0.013
    assert load_requirements()["WL-M1"]["value"] == load_requirements(None)["WL-M1"]["value"] == 0.003
    assert load_requirements("Y1")["GA-B1"] == load_requirements("Y10")["GA-B1"]


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
def test_a_wrong_requirement_is_refused(tmp_path, old, new, says):
    path = tmp_path / "requirements.yaml"
    text = (CONFIG_DIR / "requirements.yaml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(StudyError, match=says):
        load_requirements(path=path)


def test_the_board_is_whole():
    rows = load_board()
    assert [row["case"] for row in rows] == ["two_point", "transients", "crowded_fields", "galaxies"]
    assert {row["case"] for row in rows if row["not_built"] is None} == {row["case"] for row in rows}
    known = load_requirements()
    for row in rows:
        assert tuple(row["cells"]) == STAGES
        for cell in row["cells"].values():
            assert cell["fom"] in known
            assert cell["identified"] in ("yes", "partly", "no")
            for fom in [*cell["foms"], *(also["fom"] for also in cell.get("also", ()) if "fom" in also)]:
                assert any(k == fom or fom.startswith(f"{k}.") or k.startswith(f"{fom}.") for k in known), fom


def test_headlines_are_figures_of_merit_that_the_cases_compute():
    base = pytest.importorskip("blendimpact.cases.base")
    for row in load_board():
        if row["not_built"] is None:
            case = pytest.importorskip(f"blendimpact.cases.{row['case']}.foms")
            stage_of = {f.id: f.stage for f in case.FIGURES_OF_MERIT}
            assert {stage: stage_of[cell["fom"]] for stage, cell in row["cells"].items()} == dict(
                zip(STAGES, STAGES)
            )
            for stage, cell in row["cells"].items():
                assert all(stage_of[also.get("fom", cell["fom"])] == stage for also in cell.get("also", ()))
    assert {row["case"] for row in load_board() if row["not_built"] is None} <= set(base.case_names())


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("- case: transients", "- case: galaxies", "there twice"),
        ("foms: [GA-B1]", "foms: [GA-B2, GA-B1]", "does not begin with the headline"),
        ("        headline_term: measurement\n        population: common\n        also:\n          - {data: pos",
         "        population: common\n        also:\n          - {data: pos", "'headline_term' is missing"),
        ("also: [{scenario: real, data:", "also: [{scenario: real, date:", "did you mean 'data'"),
        (
            "    cells:\n      detection:\n        fom: GA-D1",
            "    cells:\n      detecting:\n        fom: GA-D1",
            "did you mean 'detection'",
        ),
        ('identified: "yes"', "identified: yes", "truth value true"),
        ("published_tag: V", "published_tag: none", "at odds with `published`"),
    ],
)
def test_a_wrong_board_is_refused(tmp_path, old, new, says):
    path = tmp_path / "board.yaml"
    text = (CONFIG_DIR / "board.yaml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(StudyError, match=says):
        load_board(path)


def test_the_registry():
    registry = load_resources()
    names = [entry["name"] for entry in registry["resources"]]
    assert len(names) > 50
    used = {entry.get("install", entry["name"]) for entry in registry["resources"] if entry["used"]}
    assert {"galsim", "sep", "surveycodex", "pzflow", "skycatalogs", "slide-lsst"} <= used
    # no entry tells a user to install what is something else
    traps = {trap["name"] for trap in registry["traps"]}
    installs = {e.get("install", e["name"]) for e in registry["resources"] if e["access"] == "pip"}
    assert not traps & installs
    assert len(registry["missing"]) == 9


def test_a_name_twice_in_the_registry_is_refused(tmp_path):
    path = tmp_path / "resources.yaml"
    path.write_text((CONFIG_DIR / "resources.yaml").read_text().replace("{name: SEP,", "{name: GalSim,"))
    with pytest.raises(StudyError, match="'GalSim' is there twice"):
        load_resources(path)
