"""The comparison of deblenders: closed forms of every residual, failures that count, the same in any chunks."""

import json
import os
import signal
import time
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
import synthetic
from astropy.table import Table
from blendimpact.cases.base import load_case, with_needs
from blendimpact.config import study
from blendimpact.config.files import find, merge
from blendimpact.config.settings import case_settings, compared_scenario
from blendimpact.data import catalogues, missing_inputs
from blendimpact.deblend import DEBLENDERS
from blendimpact.deblend.base import BITS
from blendimpact.errors import MissingPackage, StudyError
from blendimpact.fitting.canvas import Canvas
from blendimpact.report.comparison import cost, figures
from blendimpact.report.comparison.foms import BLENDED, FIGURES_OF_MERIT, score
from blendimpact.report.comparison.pixels import correlation, residual_chi2
from blendimpact.report.comparison.sources import neighbours
from blendimpact.report.comparison.tables import BOARD_COLUMNS, COLUMNS, comparison_rows
from blendimpact.sky.true_scene import TruthScene
from blendimpact.stages import compare, comparison, comparison_page, detect, simulate
from patch_maker import make_patch

SEED = 5
PATCHES = 11  # intervals need ten
FACTOR = 1.25


def study_config(tmp_path, **more):
    config = merge(
        study.load_config(),
        {
            **synthetic.CONFIG,
            "bootstrap": 100,
            "comparison": {
                "deblenders": ["exact", "scaled", "none", "truth_profiles"],
                "skies": {
                    "smooth": {
                        "case": "two_point",
                        "shear": 0,
                        "noise_pairs": False,
                        "patch": {"size": 60, "count": PATCHES},
                        **more,
                    }
                },
            },
        },
    )
    config["cases"]["galaxies"]["enabled"] = False
    return study.Study.model_validate(config).plain()


class Oracle:
    """Test deblender: the exact child plus (factor - 1) times the noiseless source."""

    needs_truth = True
    factor = 1.0

    def __init__(self):
        pass

    def deblend(self, patch, sky, centres, stamp_size, truth=None):
        scene = TruthScene(patch, truth, SEED, "two_point")
        ids, x, y = ([int(i) for i in centres["det_id"]], np.asarray(centres["x"]), np.asarray(centres["y"]))
        if not set(ids) <= set(scene.rows):  # detected centres: pixels as they are
            return DEBLENDERS.create("none").deblend(patch, sky, centres, stamp_size)
        children = scene.deblended(ids, x, y, [[i] for i in ids], stamp_size, sky)
        children.stamps += (self.factor - 1) * scene.noiseless(ids, stamp_size).stamps
        return children


class Scaled(Oracle):
    factor = FACTOR


class Broken(Oracle):
    """Fails for every second source."""

    def deblend(self, patch, sky, centres, stamp_size, truth=None):
        children = super().deblend(patch, sky, centres, stamp_size, truth)
        children.stamps[::2] = 0
        children.status[::2] |= BITS.FAILED
        return children


class Absent:
    def __init__(self):
        raise MissingPackage("the package is not installed", "deblenders.absent", "install it")


@pytest.fixture(scope="module")
def members():
    DEBLENDERS.names()
    made = {"exact": Oracle, "scaled": Scaled, "broken": Broken, "absent": Absent}
    DEBLENDERS._members.update(made)
    yield made
    for name in made:
        DEBLENDERS._members.pop(name)


def run_sky(folder, config, names, chunks):
    """Run a sky of the comparison as the workflow does, in some chunks; return the folder."""
    for name, table in synthetic.tables().items():
        catalogues.write(table, folder / f"{name}.parquet")
    settings = with_needs(case_settings(config, "two_point", compared_scenario("smooth")))
    place = folder / "two_point" / compared_scenario("smooth")
    for part in ("compare", "cost"):
        (place / part).mkdir(parents=True)
    for number, patches in enumerate(chunks):
        c = f"{number:03d}"
        at = {
            name: folder / f"{c}.{name}" for name in ("fits", "truth", "detections", "assignments", "sky", "measured")
        }
        simulate.run(
            settings,
            patches,
            SEED,
            [folder / "hst_cosmos.parquet", folder / "trilegal.parquet"],
            find("surveys", settings["survey"]),
            at["fits"],
            at["truth"],
        )
        detect.run(settings, SEED, at["fits"], at["truth"], at["detections"], at["assignments"], at["sky"])
        inputs = [at[name] for name in ("fits", "truth", "detections", "assignments", "sky")]
        compare.reference(settings, SEED, *inputs, at["measured"])
        for name in names:
            out = place / "compare" / f"{name}.{c}"
            compare.run(
                settings,
                SEED,
                name,
                *inputs,
                at["measured"],
                f"{out}.parquet",
                f"{out}.scores.parquet",
                f"{out}.npz",
                place / "cost" / f"{name}.{c}.json",
            )
    return place


def aggregate(place, config, folder):
    """Return both tables of the comparison."""
    files = sorted(map(str, (place / "compare").glob("*.parquet")))
    out = [folder / name for name in ("c.parquet", "c.csv", "b.parquet", "b.csv")]
    comparison.run(config, [f for f in files if "scores" not in f], [f for f in files if "scores" in f], *out)
    return catalogues.read(out[0]), catalogues.read(out[2]), out


NAMES = ("exact", "scaled", "broken", "absent", "none", "truth_profiles")


@pytest.fixture(scope="module")
def made(tmp_path_factory, members):
    folder = tmp_path_factory.mktemp("sky")
    config = study_config(folder)
    config["comparison"]["deblenders"] = list(NAMES)
    place = run_sky(folder, config, NAMES, [list(range(PATCHES))])
    return place, config, *aggregate(place, config, folder)


def value(table, fom, deblender, population="true centres", stratum="all"):
    rows = [
        r
        for r in table
        if (r["fom"], r["deblender"], r["population"], r["stratum"]) == (fom, deblender, population, stratum)
    ]
    assert len(rows) == 1, (fom, deblender, population, stratum)
    return rows[0]


def pretend(deblender, place, cpu_before):
    """Say which process this is, and that the CPU time before it is that of another one; fail if asked to."""
    if deblender == "wrong":
        raise StudyError("no such thing", "deblenders.wrong")
    if deblender == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    assert cpu_before > time.process_time()
    (place / deblender).write_text(str(os.getpid()))
    while deblender == "slow":
        (place / "beat").write_text(str(time.time()))
        time.sleep(0.1)


def test_each_deblender_has_a_process_of_its_own_that_tells_what_went_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "run", pretend)
    for name in ("one", "two"):
        compare.run_apart(deblender=name, place=tmp_path)
    numbers = [(tmp_path / name).read_text() for name in ("one", "two")]
    assert len({*numbers, str(os.getpid())}) == 3
    for name, text in (("wrong", "no such thing"), ("killed", "the deblender killed was killed")):
        with pytest.raises(StudyError, match=text):
            compare.run_apart(deblender=name, place=tmp_path)


def test_a_deblender_does_not_outlive_its_job(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "run", pretend)
    job = get_context("fork").Process(target=compare.run_apart, kwargs={"deblender": "slow", "place": tmp_path})
    job.start()
    beat, begun = tmp_path / "beat", time.time()
    while not beat.exists() and time.time() < begun + 60:
        time.sleep(0.1)
    job.kill()
    killed = time.time()
    while time.time() < beat.stat().st_mtime + 2:  # it looks for its parent once a second
        assert time.time() < killed + 30
        time.sleep(0.1)


def test_the_exact_child_has_no_error(made):
    table = made[2]
    for fom in ("ap.bias", "ap.nmad", "total.bias", "total.nmad", "shape.slope", "ap.outliers", "failed"):
        assert abs(value(table, fom, "exact")["value"]) < 1e-3, fom
    assert value(table, "kappa", "exact")["value"] > 0.995  # the photon noise of neighbours is left


def test_c_times_the_truth_is_a_bias_of_c_minus_1_without_scatter(made):
    """To the width of a bin of the histograms."""
    table = made[2]
    row = value(table, "ap.bias", "scaled")
    assert row["value"] == pytest.approx(FACTOR - 1, abs=0.008)
    assert row["ci_low"] <= FACTOR - 1 + 0.008 and row["ci_high"] >= FACTOR - 1 - 0.008
    assert value(table, "ap.nmad", "scaled")["value"] < 0.012
    assert value(table, "ap.outliers", "scaled")["value"] == 1.0
    shift = value(table, "ap_true.bias", "scaled")["value"] - value(table, "ap_true.bias", "exact")["value"]
    assert shift == pytest.approx(FACTOR - 1, abs=0.02)


def test_residuals_are_those_of_the_rows(made):
    """The figures against medians of the table of sources itself."""
    place, _, table = made[:3]
    rows = catalogues.read(place / "compare" / "scaled.000.parquet").to_pandas()
    rows = rows[(rows["centres"] == "truth") & rows["shape_band"]]
    residual = (rows["flux_ap"] - rows["flux_ap_exact"]) / rows["flux_ap_true"]
    np.testing.assert_allclose(residual, FACTOR - 1, atol=1e-4)
    blended = rows["blendedness"] >= BLENDED
    assert value(table, "ap.bias", "scaled", stratum="blended")["n"] == blended.sum() > 5
    assert value(table, "ap.bias", "scaled")["n"] == len(rows) == value(table, "ap.bias", "none")["n"]


def test_a_deblender_that_fails_counts_and_no_row_is_lost(made):
    place, _, table = made[:3]
    rows = catalogues.read(place / "compare" / "broken.000.parquet").to_pandas()
    rows = rows[(rows["centres"] == "truth") & rows["shape_band"]]
    whole = catalogues.read(place / "compare" / "exact.000.parquet").to_pandas()
    assert len(rows) == len(whole[(whole["centres"] == "truth") & whole["shape_band"]])
    share = rows["failed"].mean()
    assert 0.3 < share < 0.7
    for fom in ("failed", "status.FAILED", "ap.outliers"):
        row = value(table, fom, "broken")
        assert row["value"] == pytest.approx(share) and row["n"] == len(rows), fom
        assert row["ci_low"] < share < row["ci_high"]
    assert value(table, "ap.bias", "broken")["n"] == (~rows["failed"]).sum()
    assert rows.loc[rows["failed"], ["flux_ap", "flux_kron", "kappa"]].isna().all(axis=None)


def test_the_bound_is_better_than_raw_pixels_and_the_exact_child_than_the_bound(made):
    table = made[2]
    by = [value(table, "ap.nmad", name, stratum="blended")["value"] for name in ("exact", "truth_profiles", "none")]
    assert by[0] < by[1] < by[2]


def test_outcomes_stand_apart_and_lost_sources_are_counted(made):
    place, _, table = made[:3]
    rows = catalogues.read(place / "compare" / "none.000.parquet").to_pandas()
    rows = rows[(rows["centres"] == "real") & rows["shape_band"]]
    for outcome in ("isolated", "recognised", "unrecognised"):
        here = rows[rows["made"] & (rows["outcome"] == outcome)]
        assert value(table, "ap.outliers", "none", outcome)["n"] == len(here)
    assert rows.loc[rows["outcome"] == "missed", "made"].sum() == 0
    lost = value(table, "lost", "none", "detected centres")
    assert lost["value"] == pytest.approx((~rows["made"]).mean()) and lost["n"] == len(rows)


def test_an_absent_package_is_a_row_that_says_so(made):
    _, _, table, board, _ = made
    for found in (table, board):
        rows = found[found["deblender"] == "absent"]
        assert len(rows) == 1 and rows["note"][0] == "not made: the package is not installed"
        assert np.isnan(rows["value"][0]) and rows["n"][0] == 0


def test_the_board_s_column_has_the_case_s_own_definitions(made):
    _, _, table, board, _ = made
    assert board.colnames == list(BOARD_COLUMNS) and table.colnames == list(COLUMNS)
    known = {f.id: f for f in load_case("two_point").figures_of_merit}
    rows = board[board["deblender"] == "scaled"]
    assert {str(f) for f in rows["fom"]} <= set(known)
    assert all(
        known[str(r["fom"])].stage == "deblending" and known[str(r["fom"])].definition == r["definition"] for r in rows
    )
    one = [r for r in rows if r["fom"] == "WL-B1" and r["term"] == "deblending"]
    assert one[0]["value"] == pytest.approx(FACTOR - 1, abs=0.05)


def test_every_figure_of_merit_is_there_with_interval_and_n(made):
    table = made[2]
    rows = table[(table["population"] == "true centres") & (table["stratum"] == "all") & (table["deblender"] == "none")]
    defined = {f.id for f in FIGURES_OF_MERIT} - {"lost", "chi2", "colour.bias", "colour.nmad"}  # one band, no models
    assert defined <= {str(f) for f in rows["fom"]}
    for row in rows:
        assert row["n"] > 0 and 10 <= row["n_blocks"] <= PATCHES  # a small patch may hold no target
        assert np.isfinite([row["ci_low"], row["ci_high"]]).all() or not np.isfinite(row["value"])


def test_the_page_and_the_figures(made, tmp_path):
    place, config, _, _, paths = made
    out = [tmp_path / name for name in ("c.html", "cost.csv", "f.png", "b.png")]
    panel = tmp_path / "p.png"
    comparison_page.run(
        config,
        paths[0],
        paths[2],
        sorted((place / "cost").glob("*.json")),
        sorted((place / "compare").glob("*.npz")),
        *out,
        [panel],
    )
    text = out[0].read_text()
    for word in ("not made: the package is not installed", "no measure of quality", "WL-B1", "scaled"):
        assert word in text
    assert all(path.stat().st_size > 200 for path in (*out, panel))
    rows = pd.read_csv(out[1])
    assert rows["deblender"].tolist() == list(NAMES) and list(rows.columns) == list(cost.COLUMNS)
    ran = rows[rows["sources"] > 0]
    assert (ran["ms_all"] > ran["ms_steady"]).all() and (ran["peak_mb"] > 50).all()
    assert len(ran) == len(NAMES) - 1


@pytest.mark.slow
def test_chunks_change_no_number(made, members, tmp_path):
    place, config, *_ = made
    config = {**config, "comparison": {**config["comparison"], "deblenders": ["scaled", "none"]}}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    other = run_sky(tmp_path, config, ("scaled", "none"), [list(range(4)), list(range(4, PATCHES))])
    one, two = (aggregate(p, config, folder)[2] for p, folder in ((place, tmp_path / "a"), (other, tmp_path / "b")))
    for first, second in zip(one, two):
        assert first.read_bytes() == second.read_bytes()


# --- closed forms without a sky ---------------------------------------------------------------------

ROW = {
    "deblender": "d",
    "centres": "truth",
    "patch": 0,
    "block": 0,
    "twin": "zero",
    "snr": 30.0,
    "blendedness": 0.1,
    "separation": 1.5,
    "flux_ratio": 1.0,
    "outcome": "isolated",
    "kappa": 0.9,
    "chi2": 1.0,
    "child_status": 0,
    "failed": False,
    "made": True,
    "flux_kron": 1.0,
    "flux_kron_exact": 1.0,
    "flux_kron_true": 1.0,
    "flux_ap_true": 1.0,
}


def test_correlation_in_closed_form():
    yy, xx = np.indices((21, 21)) - 10
    light = 10 * np.exp(-(xx**2 + yy**2) / 18.0)
    isolated = light + 0.1 * np.cos(xx)
    found = correlation(
        np.stack([3 * isolated, -isolated, 0 * isolated]), np.stack([isolated] * 3), np.stack([light] * 3), 1.0
    )
    np.testing.assert_allclose(found[:2], [1, -1])
    assert np.isnan(found[2])
    faint = correlation(isolated[None], isolated[None], light[None] * 0.01, 1.0)
    assert np.isnan(faint[0])  # no pixel has light
    # Whatever lies where the source has no light does not count.
    spoilt = isolated + 1e3 * (light < 0.5)
    assert correlation(spoilt[None], isolated[None], light[None], 1.0)[0] == pytest.approx(1)


def test_residual_chi2_of_noise_is_1_and_knows_nothing_of_the_split():
    noise = np.random.default_rng(1).normal(size=(60, 60))
    patch = make_patch(noise, variance=1.0)
    canvas = Canvas(patch, {}, pad=7)
    x, y = np.array([20.3, 40.0, 1.0]), np.array([20.0, 30.7, 58.0])
    chi2 = residual_chi2(canvas, x, y, 6.0)
    np.testing.assert_allclose(chi2, 1, atol=0.6)
    one = [(noise[14:27, 14:27] ** 2)[np.hypot(*(np.indices((13, 13)) - 6)) <= 6].mean()]
    assert chi2[0] == pytest.approx(one[0], rel=1e-5)
    assert np.isnan(residual_chi2(None, x, y, 6.0)).all()


def test_neighbours():
    truth = pd.DataFrame(
        {
            "x": [0.0, 3.0, 10.0, 10.5],
            "y": 0.0,
            "snr": [10.0, 20.0, 30.0, 2.0],
            "role": ["target", "target", "context", "target"],
            "flux_i": [1.0, 2.0, 8.0, 0.5],
        }
    )
    distance, ratio = neighbours(truth, "i", 5, 0.2)
    np.testing.assert_allclose(distance, [0.6, 0.6, 1.4, 0.1])
    np.testing.assert_allclose(ratio, [2, 0.5, 0.25, 16])
    alone, none = neighbours(truth[:1], "i", 5, 0.2)
    assert alone[0] == np.inf and np.isnan(none[0])


def test_slope_and_colour_in_closed_form():
    rng = np.random.default_rng(3)
    n = 600
    e = rng.normal(0, 0.2, (2, n))
    base = {
        **ROW,
        "patch": np.arange(n) % 12,
        "block": np.arange(n) % 12,
        "source_id": np.arange(n),
        "flux_ap_true": 2.0,
    }
    for k in (1, 2):
        noise = rng.normal(0, 0.05, n)
        base |= {
            f"e{k}_weighted_true": e[k - 1],
            f"e{k}_weighted_exact": e[k - 1] + noise,
            f"e{k}_weighted": 0.8 * e[k - 1] + noise,
        }
    frames = [
        pd.DataFrame({**base, "band": band, "shape_band": band == "i", "flux_ap": flux, "flux_ap_exact": 2.0})
        for band, flux in (("g", 2.0), ("i", 2.5), ("a", 9.0))
    ]  # the colour is that of the first two
    table = comparison_rows("s", "two_point", "x", pd.concat(frames, ignore_index=True), ["d"], 1.2, 100, 1)
    assert value(table, "shape.slope", "d")["value"] == pytest.approx(-0.2, abs=1e-9)
    assert value(table, "colour.bias", "d")["value"] == pytest.approx(2.5 * np.log10(1.25), abs=0.01)
    assert value(table, "ap.bias", "d")["value"] == pytest.approx(0.25, abs=0.01)
    assert value(table, "kappa", "d")["value"] == pytest.approx(0.9, abs=0.006)
    assert "1.2 arcsec" in value(table, "ap.bias", "d")["definition"]


def test_scores_keep_failures_out_of_medians_and_in_outliers():
    row = {
        **ROW,
        "band": "i",
        "shape_band": True,
        "flux_ap": 1.0,
        "flux_ap_exact": 1.0,
        **{f"e{k}_weighted{s}": 0.1 for k in (1, 2) for s in ("", "_exact", "_true")},
    }
    bad = {**row, "failed": True, "child_status": BITS.FAILED, "flux_ap": np.nan, "flux_kron": np.nan}
    frame = pd.DataFrame([{**(bad if k == 3 else row), "source_id": k} for k in range(4)])
    sums = score(frame, ["d"], "x", "two_point").table()
    pick = sums[(sums["population"] == "true centres") & (sums["stratum"] == "all")]
    assert pick[pick["fom"] == "ap"]["s0"].sum() == 3
    outliers = pick[pick["fom"] == "ap.outliers"]
    assert (outliers["s0"][0], outliers["s1"][0]) == (1, 4)


@pytest.mark.parametrize("same_noise", [True, False])
def test_a_real_sky_is_also_held_against_the_truth_by_stratum(same_noise):
    row = {
        **ROW,
        "band": "i",
        "shape_band": True,
        "flux_ap": 1.1,
        "flux_ap_exact": 1.0,
        **{f"e{k}_weighted{s}": 0.1 for k in (1, 2) for s in ("", "_exact", "_true")},
    }
    frame = pd.DataFrame([{**row, "source_id": k, "patch": k, "block": k} for k in range(12)])
    table = comparison_rows("s", "galaxies", "x", frame, ["d"], 1.2, 100, 1, same_noise)
    rows = table[(table["fom"] == "ap_true.nmad") & (table["stratum"] == "blendedness:0.05-0.2")]
    assert len(rows) == (0 if same_noise else 1)
    assert figures._flux(table, "s")[0] == ("ap" if same_noise else "ap_true")
    assert value(table, "ap_true.bias", "d", stratum="blended")["value"] == pytest.approx(0.1, abs=0.005)


def test_costs(tmp_path):
    jobs = [
        {"cpu_start": 2.0, "sources": [100, 100], "cpu": [5.0, 1.0], "peak_mb": 300.0},
        {"cpu_start": 2.0, "sources": [100, 100], "cpu": [3.0, 3.0], "peak_mb": 200.0},
    ]
    for number, job in enumerate(jobs):
        (tmp_path / f"{number}").write_text(json.dumps(job))
    row = cost.summary("s", "d", [tmp_path / "0", tmp_path / "1"])
    assert (row["sources"], row["ms_all"], row["ms_steady"], row["peak_mb"]) == (400, 40.0, 20.0, 300)
    missing_inputs.mark([tmp_path / "0"], "no")
    assert cost.summary("s", "d", [tmp_path / "0"])["note"] == "not made: no"


def test_figures_say_when_there_is_nothing_to_draw():
    empty = Table({name: np.array([], str) for name in COLUMNS})
    for figure in (
        figures.frontier(empty, [], ["s"], ["d"]),
        figures.against_blendedness(empty, ["s"], ["d"]),
        figures.panel("s", {}),
    ):
        assert figure.texts


def test_no_centre_has_no_residual():
    patch = make_patch(np.zeros((40, 40)))
    assert len(residual_chi2(Canvas(patch, {}, 3), [], [], 3.0)) == 0
