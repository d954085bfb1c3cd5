"""Published results: each case's part by itself, and the board of all of them."""

import json

import numpy as np
import pytest
from blendimpact.cases.board import load_board
from blendimpact.config.study import load_config, validate
from blendimpact.data import catalogues
from blendimpact.data.provenance import meta, provenance
from blendimpact.errors import StudyError
from blendimpact.stages import foms
from blendimpact.stages.publish import LARGEST, publish
from blendimpact.stats.figures_of_merit import Scores

RUNGS = ("isolated", "exact", "oracle", "deblended", "merged", "pipeline")


@pytest.fixture(scope="module")
def config():
    return validate(load_config([]))


def finished(run, losses, seed=7):
    """Write the figures of merit and figures of cases, {case: (fom, share that the pipeline loses)}."""
    for case, (fom, share) in losses.items():
        scenario = load_board([case])[0]["subrows"][0]["cells"]["detection"]["scenario"]
        scores = Scores(case, scenario)
        for block in range(30):
            for rung in RUNGS:
                lost = round(20 * share) if rung == "pipeline" else 0
                scores.add(fom, rung, block, [lost + (block % 3 == 0), 20])
        table = run.parent / f"{case}.scores" / scenario / "score" / "0.parquet"
        table.parent.mkdir(parents=True, exist_ok=True)
        catalogues.write(scores.table(), table)
        (run / case).mkdir(parents=True, exist_ok=True)
        foms.run(case, [table], 100, seed, run / case / "foms.parquet", meta(provenance(seed=seed)))
        figures = run / "figures" / case
        figures.mkdir(parents=True, exist_ok=True)
        (figures / "small.png").write_bytes(b"png")
        (figures / "large.png").write_bytes(bytes(LARGEST + 1))
    return run


def cells(folder):
    return {(c["case"], c["fom"]): c["value"] for c in json.loads((folder / "matrix.json").read_text()) if c["value"]}


def test_a_case_that_is_run_again_replaces_its_own_part_and_the_board_has_all(config, tmp_path):
    run, folder = tmp_path / "run", tmp_path / "published"
    folder.mkdir()
    finished(run, {"galaxies": ("GA-D1", 0.2), "crowded_fields": ("CF-D1", 0.1)})
    assert publish(run, folder, config) == ["crowded_fields", "galaxies"]
    first = cells(folder)
    assert {case for case, _ in first} == {"galaxies", "crowded_fields"}
    assert sorted(p.name for p in (folder / "galaxies" / "figures").iterdir()) == ["small.png"]
    assert json.loads((folder / "galaxies" / "provenance.json").read_text())["seed"] == 7
    before = (folder / "crowded_fields" / "foms.parquet").read_bytes()

    finished(tmp_path / "again", {"galaxies": ("GA-D1", 0.4)}, seed=8)
    assert publish(tmp_path / "again", folder, config, ["galaxies"]) == ["galaxies"]
    second = cells(folder)
    assert first.keys() == second.keys()
    changed = {key for key in first if not np.isclose(first[key], second[key])}
    assert changed == {key for key in first if key[0] == "galaxies"}
    assert (folder / "crowded_fields" / "foms.parquet").read_bytes() == before
    assert not list(folder.glob("*.html")) and len(list(folder.glob("matrix*.png"))) == 2


def test_a_case_that_was_not_run_is_named(config, tmp_path):
    run = finished(tmp_path / "run", {"galaxies": ("GA-D1", 0.2)})
    with pytest.raises(StudyError, match="no figures of merit of two_point"):
        publish(run, tmp_path, config, ["two_point"])
    with pytest.raises(StudyError, match="no figures of merit of any case"):
        publish(tmp_path / "none", tmp_path, config)
