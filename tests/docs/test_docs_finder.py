"""The worked example of docs/add-a-difference-finder.md: a finder is one file, and the ladder climbs with it."""

import importlib.util
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from blendimpact.config import study as config
from blendimpact.data.chunk import PatchData
from blendimpact.ladder.kinds import ladder_of
from blendimpact.measure.sky import known_sky
from blendimpact.search import FINDERS
from visit_maker import SEED, visit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-difference-finder.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture
def risen(tmp_path):
    """The example, loaded as the module that the page says to save it as."""
    name, path = "blendimpact.search.risen", tmp_path / "risen.py"
    path.write_text(blocks("python")[0], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.modules.pop(name)
        FINDERS._members.pop("risen", None)


def test_the_page_names_the_members_and_its_study_is_valid(risen):
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8").partition("\n## ")[0], flags=re.M)
    assert sorted([*rows, "risen"]) == FINDERS.names()
    text = yaml.safe_load(blocks("yaml")[0])
    checked = config.validate(config.load_config(overrides=text), families={"finders": FINDERS})
    assert config.case_settings(checked, "transients")["finder"] == "risen"


def test_the_ladder_finds_and_measures_with_it(risen, galaxies, stars, tmp_path):
    settings, patch, truth = visit(galaxies, stars)
    ladder = ladder_of({**settings, "finder": "risen"}, SEED, {"threshold": 6.0}, {"scale": "zero_points"})
    data = PatchData(patch, truth, sky=known_sky(patch))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        data.separated = file.create_group("patch")
        ladder.separate(data, data.separated)
        data.detections, data.assignments, data.kept = ladder.detect(data)
        tables = {(rung, table): rows for rung, table, rows in ladder.measure(data)}
    assert len(data.detections) and (data.detections["peak_snr"] > 6).all()
    bright = np.asarray(truth["snr"])[np.isin(truth["source_id"], data.assignments["source_id"])] > 12
    assert (np.asarray(data.assignments["det_id"]) > 0)[bright].any()
    assert len(tables["pipeline", "found"]["snr"]) == data.detections["inside"].sum()
    assert ladder.detection_ids(patch)["detector"] == "risen"
