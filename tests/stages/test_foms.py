"""Figures of merit case by case: what a case has does not depend on which others there are."""

import numpy as np
import pytest
from blendimpact.cases.base import load_case
from blendimpact.data import catalogues, missing_inputs
from blendimpact.ladder.aggregate import FOM_COLUMNS, aggregate
from blendimpact.stages import figures, foms, matrix
from blendimpact.stages.foms import ABSENT
from blendimpact.stats.figures_of_merit import Scores

RUNGS = ("truth", "isolated", "oracle", "undeblended", "deblended", "merged", "pipeline")
SKIES = {("two_point", "fiducial"): "WL-D1", ("two_point", "clustered"): "WL-D1", ("galaxies", "fiducial"): "GA-D1"}
BOOTSTRAP, SEED = 100, 7


def write_scores(folder, case, scenario, fom, chunk):
    """Write the scores of a chunk of 12 blocks that differ by case, scenario and chunk; return the path."""
    rng = np.random.default_rng([len(case), len(scenario), chunk])
    scores = Scores(case, scenario)
    for block in range(12 * chunk, 12 * chunk + 12):
        for k, rung in enumerate(RUNGS):
            scores.add(fom, rung, block, [rng.integers(5, 10) - k / 2, 10], "truth")
    path = folder / case / scenario / "score" / f"{chunk:03d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    catalogues.write(scores.table(), path)
    return path


@pytest.fixture
def scores(tmp_path):
    """Return the paths of two chunks of each of the `SKIES`, in no order."""
    return [write_scores(tmp_path, *sky, fom, chunk) for chunk in (1, 0) for sky, fom in SKIES.items()]


def by_case(folder, scores, meta=None):
    """Aggregate case by case as the workflow does; return the paths of the tables."""
    out = []
    for case in ("two_point", "galaxies"):
        mine = [path for path in scores if path.parts[-4] == case]
        out.append(folder / case / "foms.parquet")
        foms.run(case, mine, BOOTSTRAP, SEED, out[-1], meta)
    return out


def test_cases_by_themselves_and_stacked_are_all_scores_at_once(scores, tmp_path):
    """Rows, their order and the bytes of the file are those of one aggregation in the order of the paths."""
    parts = {}
    for path in sorted(scores):
        parts.setdefault(path.parts[-4:-2], []).append(catalogues.read(path))
    at_once = catalogues.stack(
        [
            aggregate(catalogues.stack(tables), *sky, load_case(sky[0]).figures_of_merit, BOOTSTRAP, SEED)
            for sky, tables in parts.items()
        ]
    )
    assert [tuple(row) for row in np.unique(np.array(at_once["case", "scenario"]))] == sorted(SKIES)
    assert np.isfinite(at_once["ci_low"]).sum() > len(SKIES) * len(RUNGS)

    stacked, missing = matrix.read_foms(by_case(tmp_path, scores, {"provenance": "of one case"}))
    assert missing == {}
    assert stacked.colnames == list(FOM_COLUMNS)
    assert all(
        np.array_equal(stacked[name], at_once[name], equal_nan=at_once[name].dtype.kind == "f") for name in FOM_COLUMNS
    )
    for name, table in (("a", stacked), ("b", at_once)):
        catalogues.write(table, tmp_path / name, {"provenance": "of all"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_how_the_work_is_cut_changes_no_byte_of_a_case(scores, tmp_path):
    mine = sorted(path for path in scores if path.parts[-4:-2] == ("two_point", "clustered"))
    whole = tmp_path / "whole" / "two_point" / "clustered" / "score" / "000.parquet"
    whole.parent.mkdir(parents=True)
    catalogues.write(catalogues.stack([catalogues.read(path) for path in mine]), whole)
    for name, paths in (("a", mine), ("b", [whole])):
        foms.run("two_point", paths, BOOTSTRAP, SEED, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_case_without_its_input_says_why_and_the_others_stay(scores, tmp_path):
    before, _ = matrix.read_foms(by_case(tmp_path, scores))
    missing_inputs.mark([path for path in scores if path.parts[-4] == "galaxies"], "no image today")
    tables = by_case(tmp_path, scores)
    empty = catalogues.read(tables[1], FOM_COLUMNS)
    assert len(empty) == 0 and empty.meta[ABSENT] == "no image today"
    after, missing = matrix.read_foms(tables)
    assert missing == {"galaxies": "no image today"}
    kept = before[before["case"] == "two_point"]
    assert len(after) == len(kept) and np.array_equal(after["value"], kept["value"], equal_nan=True)
    assert not after.meta  # the reason is of one case


def test_one_scenario_without_its_input_leaves_the_other_and_is_said(scores, tmp_path):
    missing_inputs.mark([path for path in scores if path.parts[-3] == "clustered"], "no clustering today")
    after, missing = matrix.read_foms(by_case(tmp_path, scores))
    assert missing == {"two_point": "no clustering today"}
    assert set(after["scenario"][after["case"] == "two_point"]) == {"fiducial"}


def test_without_any_score_there_is_a_table_without_rows(scores, tmp_path):
    missing_inputs.mark(scores, "nothing today")
    after, missing = matrix.read_foms(by_case(tmp_path, scores))
    assert len(after) == 0 and after.colnames == list(FOM_COLUMNS)
    assert set(missing) == {"two_point", "galaxies"}
    assert len(matrix.read_foms([])[0]) == 0  # a study whose cases are all disabled


def test_a_sky_without_a_scored_target_says_so(scores, tmp_path):
    """Neither a traceback of the bootstrap nor a silent gap: all sources flagged, say."""
    for path in scores:
        if path.parts[-3] == "clustered" or path.parts[-4] == "galaxies":
            catalogues.write(Scores(path.parts[-4], path.parts[-3]).table(), path)
    tables = by_case(tmp_path, scores)
    after, missing = matrix.read_foms(tables)
    assert set(after["scenario"]) == {"fiducial"} and set(after["case"]) == {"two_point"}
    assert set(missing) == {"two_point", "galaxies"}
    assert "no target was scored" in missing["galaxies"] and "in scenario clustered" in missing["two_point"]


def test_figures_of_a_case_are_where_the_page_takes_them_from(scores, tmp_path):
    """Also of a case that has no rows: they say so."""
    missing_inputs.mark([path for path in scores if path.parts[-4] == "galaxies"], "no image today")
    tables = by_case(tmp_path, scores)
    figures.run("galaxies", tables[1], tmp_path / "figures" / "galaxies")
    folder, panel = str(tmp_path / "figures" / "galaxies"), "panel.png"
    taken = {path for path, _, _ in figures.figure_list(["galaxies"], {"galaxies": folder}, {"galaxies": panel})}
    drawn = {str(path) for path in (tmp_path / "figures").rglob("*.png")}
    assert drawn == taken - {panel} and len(drawn) == len(load_case("galaxies").figures) > 0
