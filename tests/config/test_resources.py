"""The registry of tools and data: complete, and refused when wrong."""

import pytest
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.registry import load_resources
from blendimpact.errors import StudyError


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
