"""The comparison of subtraction engines: closed forms of its sums, null tests on a sky, what is not installed."""

import json

import numpy as np
import pandas as pd
import pytest
import synthetic
from astropy.table import Table
from blendimpact.config.files import merge
from blendimpact.config.study import load_config, validate, warnings
from blendimpact.config.surveys import load_survey
from blendimpact.data import catalogues, missing_inputs
from blendimpact.data.images import PatchWriter
from blendimpact.data.sky_maps import SkyWriter
from blendimpact.errors import StudyError
from blendimpact.report.comparison import engine_report, engines
from blendimpact.sky.blends import false_alarm_density
from blendimpact.sky.epochs import add_template, template_survey, without_transients
from blendimpact.sky.injection import inject
from blendimpact.sky.patches import simulate_patch
from blendimpact.stages import compare_engines, engine_comparison, engine_page
from blendimpact.subtract import SUBTRACTORS
from target_maker import draw
from test_transients import SETTINGS

HERE = {
    **SETTINGS,
    "case": "transients",
    "bands": ["r"],
    "measure": {},
    "subtractor": "zogy",
    "sky": "simulate",
    "patch": {"size": 180, "border": 20, "margin": 6.0},
    "survey": "lsst_y10_ideal",
    "pixel_scale": 0.2,
}
CHOICE = {"case": "transients", "engines": ["none", "truth", "alard_lupton", "sfft"], "patches": 3}


# --- sums ------------------------------------------------------------------------------------------


def made(patch, engine="one", **kinds):
    """Return rows of one patch; keyword: kind, and a list of dicts of columns."""
    rows = [{"kind": kind, **row} for kind, many in kinds.items() for row in many]
    frame = pd.DataFrame(rows).reindex(columns=list(engines.ENGINE_COLUMNS))
    frame[["case", "scenario", "engine", "patch"]] = ["case", "fiducial", engine, patch]
    return frame


def value(table, fom, population, stratum="all", engine="one"):
    row = table[
        (table["fom"] == fom)
        & (table["population"] == population)
        & (table["stratum"] == stratum)
        & (table["engine"] == engine)
    ]
    assert len(row) == 1, (fom, population, stratum)
    return row[0]


def test_every_figure_of_merit_has_its_closed_form():
    pixels, sigma = 90000, 1.7
    field = {"area": pixels * 0.04, "npix": pixels, "alarm_sigma": sigma, "status": 0}
    frames = []
    for patch in range(12):
        targets = [
            {"group": "hosted", "flux": 90.0, "flux_err": 5.0, "flux_alone": 100.0, "err_exact": 4.0},
            {"group": "hostless", "flux": 104.0, "flux_err": 4.0, "flux_alone": 100.0, "err_exact": 4.0},
            {"group": "hosted", "flux": np.nan, "flux_err": np.nan, "flux_alone": 20.0, "err_exact": 4.0},
        ]
        static = [
            {"sb": 21.5, "chi2": 3.0, "npix": 10, "flux": 1.0},
            {"sb": 23.7, "chi2": 1.0, "npix": 30, "flux": 1.0},
            {"sb": np.nan, "chi2": 1.0, "npix": 30, "flux": np.nan},
        ]
        peaks = [{"snr": 4.5}, {"snr": -6.0}]
        frames.append(
            made(
                patch,
                target=targets,
                static=static,
                peak=peaks if patch % 2 else [],
                field=[{**field, "status": patch == 3}],
            )
        )
    table = engine_report.table(
        pd.concat(frames), ["one", "gone"], {"gone": "no such package"}, "case", "fiducial", 50, 1
    )
    assert list(table.colnames) == list(engine_report.COLUMNS)
    assert value(table, "chi2.mean", "static sources")["value"] == pytest.approx((30 + 30 + 30) / 70)
    assert value(table, "chi2.median", "static sources", "sb:21-22")["value"] == pytest.approx(3, abs=0.01)
    assert value(table, "chi2.median", "static sources", "sb:23.5-24")["n"] == 12
    assert value(table, "bias", "hosted")["value"] == pytest.approx(-0.1, abs=0.02)
    assert value(table, "pull.mean", "hosted")["value"] == pytest.approx(-2)
    assert value(table, "pull.mean", "transients")["value"] == pytest.approx((-2 + 1) / 2)
    assert value(table, "pull.width", "transients")["value"] == pytest.approx(1.5)
    assert value(table, "lost_snr", "hosted")["value"] == pytest.approx(0.2)
    assert value(table, "lost_snr", "hostless")["value"] == pytest.approx(0)
    assert value(table, "failed", "hosted")["value"] == pytest.approx(0.5)
    assert value(table, "failed", "static sources")["value"] == pytest.approx(1 / 3)
    assert value(table, "status.FEW_STAMPS", "differences")["value"] == pytest.approx(1 / 12)
    assert value(table, "status.FAILED", "differences")["value"] == 0
    area, noise = 12 * pixels * 0.04 / 3600**2, 12 * pixels * 2 * false_alarm_density(4.0, sigma)
    four, five = (value(table, f"spurious{level}", "differences") for level in (4, 5))
    assert (four["value"], five["value"]) == (pytest.approx(12 / area), pytest.approx(6 / area))
    assert value(table, "alarms4", "differences")["value"] == pytest.approx(12 / noise)
    assert four["ci_low"] < four["value"] < four["ci_high"] and four["n"] == 12
    last = table[-1]
    assert last["engine"] == "gone" and last["note"] == "not made: no such package" and np.isnan(last["value"])


def test_places_near_changes_are_not_searched():
    changed = Table(
        {
            "x": [50.0, 100.0],
            "y": [50.0, 100.0],
            "trail_length": [np.nan, 8.0],
            "trail_angle": [np.nan, 90.0],
            "coma_radius": [3.0, np.nan],
        }
    )
    near = engines.near_changes(changed, (200, 200), 0.2, 0.8)
    away = engines.AWAY / 0.2
    expected = np.pi * (away + 15) ** 2 + np.pi * away**2 + 2 * away * 40
    assert near.sum() == pytest.approx(expected, rel=0.02)
    assert engines.near_changes(changed, (200, 200), 0.2, 1.5).sum() > near.sum()
    assert near[100 + 20 + 9, 100] and not near[100, 100 + 11] and near[50, 50 + 24] and not near[50, 50 + 26]


# --- on a sky --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chunk(tmp_path_factory, galaxies, stars, supernovae):
    """Three patches, the template as the visit, nothing varies; images, truth, sky."""
    folder = tmp_path_factory.mktemp("chunk")
    survey, tables = load_survey("lsst_y10_ideal"), []
    images, truth, sky = (folder / name for name in ("i.fits", "t.parquet", "s.h5"))
    with PatchWriter(images) as file, SkyWriter(sky) as skies:
        for index in range(3):
            patch, rows = simulate_patch(
                HERE, index, 5, "transients", "fiducial", survey, synthetic.tables(galaxies, stars)
            )[0]
            patch, rows, _ = add_template(
                patch,
                rows,
                template_survey(survey, {"template": {"visits": 1}}),
                {"registration": 0.0, "variables": {"share": 0.0}},
                5,
                "transients",
            )
            new = draw(HERE, patch, rows, 5, "transients", index, 0, supernova=supernovae)
            patch, rows = inject(patch, rows, new, 5, "transients", HERE)
            without_transients(rows)
            rows["patch"], rows["twin"] = index, patch.twin
            file.write(patch)
            skies.write(patch, {"r": np.zeros(patch.shape, np.float32)})
            tables.append(rows)
    catalogues.write(catalogues.stack(tables), truth)
    return {"images": images, "truth": truth, "sky": sky}


def work(chunk, folder, engine, patches=3):
    paths = {"rows_out": folder / f"engines/{engine}.000.parquet", "cost_out": folder / f"engines/{engine}.000.json"}
    (folder / "engines").mkdir(parents=True, exist_ok=True)
    compare_engines.run(HERE, 5, engine, patches, **chunk, **paths)
    return paths


def test_bounds_bracket_an_engine_and_what_is_absent_says_so(chunk, tmp_path, without_sfft):
    paths = {name: work(chunk, tmp_path, name) for name in CHOICE["engines"]}
    assert "not installed" in missing_inputs.reason([paths["sfft"]["rows_out"]])
    frames = {name: catalogues.read(paths[name]["rows_out"]).to_pandas() for name in CHOICE["engines"][:3]}
    for kind in ("target", "static"):
        ids = [frame[frame["kind"] == kind][["patch", "id"]].to_numpy() for frame in frames.values()]
        assert len(ids[0]) > 3 and all(np.array_equal(ids[0], other) for other in ids)
    static = {name: frame[frame["kind"] == "static"]["chi2"] for name, frame in frames.items()}
    assert static["truth"].median() == pytest.approx(1, abs=0.15)
    assert static["none"].median() > 3 * static["alard_lupton"].median() > 0.8
    target = frames["truth"][frames["truth"]["kind"] == "target"]
    assert (target["flux_err"] == target["err_exact"]).all() and set(target["group"]) <= {"hosted", "hostless"}
    pull = (target["flux"] - target["flux_alone"]) / target["flux_err"]
    assert abs(pull.mean()) < 3.5 / np.sqrt(len(pull)) and pull.std() < 1.8
    noisy = frames["alard_lupton"][frames["alard_lupton"]["kind"] == "target"]
    ratio = (noisy["err_exact"] / noisy["flux_err"]).to_numpy()
    # The template is as deep as the visit.
    assert np.median(ratio) == pytest.approx(np.sqrt(0.5), abs=0.07)
    cost = json.loads(paths["alard_lupton"]["cost_out"].read_text())
    assert len(cost["cpu"]) == 3 and sum(cost["megapixels"]) == pytest.approx(3 * 220**2 / 1e6)  # with borders
    few = catalogues.read(work(chunk, tmp_path / "few", "truth", patches=1)["rows_out"]).to_pandas()
    pd.testing.assert_frame_equal(few, frames["truth"][frames["truth"]["patch"] == 0].reset_index(drop=True))

    config = validate(merge(load_config(), {"subtraction_comparison": CHOICE, "bootstrap": 100}))
    out = {
        name: tmp_path / f"study/subtraction/{name}"
        for name in ("e.parquet", "e.csv", "page/e.html", "page/c.csv", "page/e.png")
    }
    (tmp_path / "study/subtraction/page").mkdir(parents=True)
    engine_comparison.run(config, [p["rows_out"] for p in paths.values()], out["e.parquet"], out["e.csv"])
    engine_page.run(
        config,
        out["e.parquet"],
        [p["cost_out"] for p in paths.values()],
        out["page/e.html"],
        out["page/c.csv"],
        out["page/e.png"],
    )
    page = out["page/e.html"].read_text()
    assert "sfft" in page and "not installed" in page and out["page/e.png"].stat().st_size > 10000
    costs = pd.read_csv(out["page/c.csv"]).set_index("engine")
    assert costs.loc["sfft", "note"].startswith("not made") and costs.loc["truth", "cpu_per_megapixel"] > 0


def test_mistakes_in_the_choice_are_named():
    names = {"subtractors": SUBTRACTORS}
    good = merge(load_config(), {"subtraction_comparison": CHOICE})
    assert validate(good, families=names)["subtraction_comparison"]["patches"] == 3
    for change, word in (
        ({"engines": ["zogi"]}, "no subtractor 'zogi'"),
        ({"case": "nowhere"}, "no case 'nowhere'"),
        ({"case": "crowded_fields"}, "no simulated template"),
        ({"case": "two_point"}, "two_point has a shear"),
    ):
        with pytest.raises(StudyError, match=word):
            validate({**good, "subtraction_comparison": {**CHOICE, **change}}, families=names)
    for change, word in (
        ({"subtractor": None, "finder": None}, "transients has no subtractor"),
        ({"inject": None, "subtractor": None, "finder": None}, "inject.population: transients"),
    ):
        with pytest.raises(StudyError, match=word):
            validate(merge(good, {"cases": {"transients": change}}), families=names)
    off = validate(merge(good, {"cases": {"transients": {"enabled": False}}}))
    assert any("subtraction_comparison" in sentence for sentence in warnings(off))
