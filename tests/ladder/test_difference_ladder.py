"""The ladder where difference imaging is the deblender: rungs, detector, assignment, tables."""

from dataclasses import replace
from importlib import import_module

import h5py
import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data import catalogues
from blendimpact.data.coma import coma_share
from blendimpact.detect.base import Detection, detection_table
from blendimpact.ladder.difference import assign_by_sign, varying
from blendimpact.ladder.difference_rows import TABLES, measure_differences
from blendimpact.ladder.differences import Differences, injected
from blendimpact.ladder.rungs import FIXED, RUNGS, SEARCHED
from blendimpact.measure.comae import INNER
from blendimpact.search import FINDERS
from blendimpact.search.matched_filter import is_trail, overlaps, trail_length
from blendimpact.search.shapes import coma_shape, trail
from blendimpact.sky.true_scene import TruthScene
from blendimpact.stages import detect, measure, subtract
from blendimpact.subtract import SUBTRACTORS, store
from blendimpact.subtract.zogy import ZogySubtractor
from difference_tables import facts_for
from epochs import empty
from patch_maker import gaussian_psf
from scipy.signal import fftconvolve
from visit_maker import CASE, SEED, SETTINGS, visit, write

EMPTY = {"galaxies": {"density": 0.0}, "stars": {"density": 0.0}, "positions": {}}
OPTIONS = {"scale": "zero_points"}


def differences_of(made):
    settings, patch, truth = made
    sky = {band: np.zeros(patch.shape, np.float32) for band in patch.bands}
    made = Differences(TruthScene(patch, truth, SEED, CASE), sky, settings)
    engine = SUBTRACTORS.create("zogy", OPTIONS)
    made.real, made.clean = made.made_by(engine), made.clean_by(engine)
    return made


@pytest.fixture(scope="module")
def full(galaxies, stars):
    return visit(galaxies, stars)


@pytest.fixture(scope="module")
def bare(galaxies, stars):
    return visit(galaxies, stars, population=EMPTY)


# --- rungs -----------------------------------------------------------------------------------------


def test_on_an_empty_static_sky_isolated_is_oracle_and_no_subtraction(bare):
    d = differences_of(bare)
    sigma = np.sqrt(d.isolated.variance)
    assert len(d.sources) >= 2
    for other in (d.exact, d.undivided):
        assert np.abs((other.image - d.isolated.image) / sigma).max() < 1e-3
        np.testing.assert_allclose(other.variance, d.isolated.variance, rtol=1e-5)
        assert np.array_equal(other.psf, d.isolated.psf)


def test_the_oracle_leaves_the_photon_noise_of_static_light_and_nothing_else(full):
    d = differences_of(full)
    assert d.static.max() > 10 * np.sqrt(np.median(d.image.variance))
    noise = d.exact.image - d.isolated.image
    expected = np.maximum(d.static, 0) / d.image.gain  # variance of the photons that only the oracle has
    np.testing.assert_allclose(
        d.exact.variance - d.isolated.variance, expected, rtol=1e-3, atol=1e-4 * np.median(d.image.variance)
    )
    bright = expected > 0.05 * np.median(d.image.variance)
    chi2 = np.mean(noise[bright] ** 2 / expected[bright])
    assert chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / bright.sum()))
    assert abs(np.mean(noise[bright] / np.sqrt(expected[bright]))) < 4 / np.sqrt(bright.sum())


def test_without_any_noise_the_oracle_is_the_light_of_the_transients(full):
    settings, patch, truth = full
    image = patch.bands["r"]
    quiet = replace(patch, bands={"r": replace(image, science=image.planes["MODEL"])})
    d = differences_of((settings, quiet, truth))
    assert np.abs(d.exact.image - d.light).max() < 1e-6 * image.planes["MODEL"].max()
    np.testing.assert_allclose(d.noiseless.image, d.light, atol=1e-6 * d.light.max())
    assert d.light.sum() == pytest.approx(np.asarray(truth["flux_r"])[injected(truth, "r")].sum(), rel=0.02)


def test_rungs_share_what_the_ladder_says_they_share(full):
    d = differences_of(full)
    assert d.of("merged") is d.of("oracle") and d.of("pipeline") is d.of("deblended")
    assert np.array_equal(d.of("undeblended").image, d.image.science)
    assert d.of("truth") is d.noiseless and d.of("isolated") is d.isolated
    made = [d.of(r) for r in (*RUNGS, "truth")]
    assert len({id(m) for m in made}) == 6 and all(m.image.shape == d.light.shape for m in made)
    static = d.static > 2 * np.sqrt(np.median(d.image.variance))
    worst = d.undivided.chi2(static)[0]
    assert worst > 10 and d.real.chi2(static)[0] < 0.1 * worst


def test_the_clean_difference_has_all_that_the_engine_s_has_but_static_light(full, bare, galaxies, stars):
    """So a transient without a host has no deblending term, and what another has is the residual at its place alone."""
    d = differences_of(bare)  # no static light at all
    assert np.abs((d.real.image - d.clean.image) / np.sqrt(d.clean.variance)).max() < 1e-3
    d = differences_of(full)  # PSFs and registration are known: nothing is left
    assert np.abs((d.real.image - d.clean.image) / np.sqrt(d.clean.variance)).max() < 0.05
    assert np.array_equal(d.real.variance, d.clean.variance)
    d = differences_of(visit(galaxies, stars, epochs={"registration": 0.4}))
    left = np.abs(d.real.image - d.clean.image) / np.sqrt(d.clean.variance)
    dark = d.static < 0.02 * np.sqrt(np.median(d.image.variance))
    assert left[~dark & d.real.good].max() > 1 and np.median(left[dark & d.real.good]) < 0.01
    assert d.clean.chi2(~dark)[0] == pytest.approx(1, abs=5 * np.sqrt(2 / (~dark).sum()))


def test_what_changes_is_injected_or_varies(galaxies, stars):
    _, _, truth = visit(
        galaxies, stars, epochs={"registration": 0.0, "variables": {"share": 1.0, "amplitude": 0.5}}, index=1
    )
    new, star = injected(truth, "r"), np.asarray(truth["variable"])
    assert new.sum() >= 2 and star.sum() >= 3 and not (new & star).any()
    difference = np.asarray(truth["flux_r"] - truth["template_flux_r"])
    significance = np.abs(difference) / np.asarray(truth["flux_r"]) * np.asarray(truth["snr"])
    cut = float(np.median(significance[star]))
    kept, change = varying(truth, "r", cut)
    expected = new | (star & (significance >= cut))
    assert kept["source_id"].tolist() == truth["source_id"][expected].tolist()
    np.testing.assert_array_equal(change, np.where(new, truth["flux_r"], difference)[expected])


# --- storing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine, options", [("zogy", {"registration": 0.1}), ("alard_lupton", {}), ("none", {})])
def test_a_stored_difference_is_the_same_to_the_bit(full, tmp_path, engine, options):
    _, patch, _ = full
    made = SUBTRACTORS.create(engine, options).subtract(patch.bands["r"], patch.templates["r"])
    with h5py.File(tmp_path / "d.h5", "w") as file:
        store.write(made, file.create_group("a"))
        back = store.read(file["a"])
    for name in ("image", "variance", "mask", "psf"):
        assert np.array_equal(getattr(back, name), getattr(made, name)) and (
            getattr(back, name).dtype == getattr(made, name).dtype
        )
    assert (back.static is None) == (made.static is None)
    assert all(
        np.array_equal(a.kernel, b.kernel) and np.array_equal(a.variance, b.variance)
        for a, b in zip(back.noise, made.noise, strict=True)
    )
    assert (back.status, back.registration) == (made.status, made.registration)
    np.testing.assert_equal([back.scale, back.scale_error, back.report], [made.scale, made.scale_error, made.report])


# --- the detector ----------------------------------------------------------------------------------


def with_sources(*sources, key=0):
    """Return the difference of noise of unit variance and sources (shape, x, y, S/N)."""
    science, template = empty((0.8, 0.8), 201, key=key)
    for shape, x, y, snr in sources:
        half = shape.shape[0] // 2
        science.science[y - half : y + half + 1, x - half : x + half + 1] += (
            snr * shape / np.sqrt((shape**2).sum())
        ).astype(np.float32)
    return SUBTRACTORS.create("none").subtract(science, template)


PSF = gaussian_psf(0.8)


@pytest.mark.parametrize(
    "shape, kind", [(PSF, "point"), (trail(PSF, 25, np.pi / 6), "trail"), (coma_shape(PSF, 25), "coma")]
)
@pytest.mark.parametrize("snr", [40, -40])
def test_one_source_is_one_detection_whatever_filters_see_it(shape, kind, snr):
    # 25 filters: noise alone exceeds 5 sigma now and then
    found = FINDERS.create("matched_filter", {"threshold": 7.0}).find(with_sources((shape, 100, 90, snr)), 0.2)
    table = found.table
    assert len(table) == 1
    assert table["peak_snr"][0] == pytest.approx(snr, abs=4.5)
    assert np.hypot(table["x"][0] - 100, table["y"][0] - 90) < (4 if kind == "trail" else 1)
    assert is_trail(table)[0] == (kind == "trail")
    if kind == "trail":
        assert trail_length(table)[0] == pytest.approx(25) and table["theta"][0] == pytest.approx(np.pi / 6)
        assert found.segmentation[90, 100] == 1 and found.segmentation[100, 100] == 0
    else:
        assert (table["b"][0] > 1.3 * 1.7) == (kind == "coma") and not found.segmentation.any()


def test_neighbours_of_either_sign_stay_detections_of_their_own():
    near = with_sources((PSF, 100, 90, 60), (PSF, 112, 90, 15), (PSF, 100, 110, -12))
    table = FINDERS.create("matched_filter", {"trails": False, "comae": False}).find(near, 0.2).table
    assert [round(float(v)) for v in table["x"]] == [100, 112, 100]
    assert (np.sign(table["peak_snr"]) == [1, 1, -1]).all() and table["det_id"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("own", "other"), [(21, 11), (11, 21), (15, 15)])
def test_what_a_source_explains_of_a_filter_is_their_cross_correlation(own, other):
    rng = np.random.default_rng(3)
    first, second = rng.random((own, own)), rng.random((other, other))
    plane = fftconvolve(first, second[::-1, ::-1])
    reach = plane.shape[0] // 2
    dx, dy = rng.integers(-reach, reach + 1, (2, 50))
    found = overlaps(np.pad(first, 2 * reach), second, dx, dy)
    np.testing.assert_allclose(found, plane[dy + reach, dx + reach], atol=1e-9)


def test_a_change_belongs_to_a_detection_of_its_sign():
    kept = Table({"x": [50.0, 50.5, 80.0], "y": [50.0, 50.0, 80.0]})
    table = detection_table({"det_id": [4, 7], "x": [50.2, 80.1], "y": [50.1, 80.0], "peak_snr": [-9.0, -6.0]})
    got = assign_by_sign(kept, np.array([10.0, -3.0, -5.0]), Detection(table), 2.5)
    assert got["det"].tolist() == [-1, 0, 1] and got["how"].tolist() == ["none", "nearest", "nearest"]
    assert np.isnan(got["distance"][0])


def test_a_trail_belongs_to_the_detection_on_whose_line_its_centre_lies():
    difference = with_sources((trail(PSF, 25, 0.0), 100, 90, 40))
    found = FINDERS.create("matched_filter").find(difference, 0.2)
    kept = Table({"x": [108.0, 108.0], "y": [90.0, 97.0]})
    got = assign_by_sign(kept, np.array([10.0, 10.0]), found, 2.5)
    assert got["how"].tolist() == ["owner", "none"]


# --- stages ----------------------------------------------------------------------------------------


def run(folder, visits, **changes):
    """Run the three stages on a chunk; return its tables."""
    folder.mkdir()
    images, truth = write(folder, visits)
    settings = {**visits[0][0], **changes}
    at = {name: folder / name for name in ("detections", "assignments", "sky", "differences", "measurements")}
    subtract.run(settings, SEED, images, truth, at["differences"], options=OPTIONS)
    detect.run(settings, SEED, images, truth, at["detections"], at["assignments"], at["sky"], at["differences"])
    measure.run(
        settings,
        SEED,
        images,
        truth,
        at["detections"],
        at["assignments"],
        at["sky"],
        at["differences"],
        at["measurements"],
    )
    tables = {name: Table.read(at[name], format="parquet") for name in ("detections", "assignments")}
    return tables | catalogues.read_folder(at["measurements"])


@pytest.fixture(scope="module")
def pair(galaxies, stars):
    return [visit(galaxies, stars, index=k) for k in (0, 1)]


@pytest.fixture(scope="module")
def tables(pair, tmp_path_factory):
    return run(tmp_path_factory.mktemp("chunk") / "both", pair)


def differing(a, b):
    """Return the columns of two tables that are not the same."""
    return [n for n in a.colnames if not np.array_equal(a[n], b[n], equal_nan=np.asarray(a[n]).dtype.kind == "f")]


@pytest.mark.slow
def test_patches_do_not_know_their_chunk(pair, tables, tmp_path):
    for made in pair:
        index = made[1].index
        alone = run(tmp_path / str(index), [made])
        for name, table in alone.items():
            assert differing(table, tables[name][tables[name]["patch"] == index]) == []


def test_the_difference_of_a_patch_is_made_once(pair, tmp_path, monkeypatch):
    made, subtract_ = [], ZogySubtractor.subtract
    monkeypatch.setattr(ZogySubtractor, "subtract", lambda *given: made.append(1) or subtract_(*given))
    run(tmp_path / "counted", pair[:1])
    assert len(made) == 2  # of the images, and of the images without static light


def test_every_target_has_a_row_on_every_rung_with_true_centres(pair, tables):
    number = sum(int((t["role"] == "target")[injected(t, "r")].sum()) for *_, t in pair)
    targets = tables["transients"]
    for rung in ("truth", *FIXED):
        mine = targets[targets["rung"] == rung]
        assert len(mine) == number
        assert np.isnan(mine["flux_psf_err"]).all() == (rung == "truth")
    searched = {"isolated", "merged", "undeblended", "pipeline"}
    for name, rungs in (
        ("static", set(FIXED)),
        ("peaks", searched),
        ("candidates", searched),
        ("fields", searched),
        ("found", {"merged", "pipeline"}),
        ("objects", {"pipeline"}),
    ):
        assert set(tables[name]["rung"]) == rungs, name
    for rung in searched:  # also where nothing is found
        assert (tables["fields"]["rung"] == rung).sum() == len(pair)
    for name, columns in TABLES.items():
        assert tables[name].colnames == [
            "case",
            "scenario",
            "patch",
            "twin",
            "rung",
            "detector",
            "deblender",
            "det_id",
            *columns,
        ]
        assert set(tables[name]["deblender"][tables[name]["rung"] == "pipeline"]) <= {"zogy"}
    assert set(tables["found"]["detector"]) == {"matched_filter"}


def test_noiseless_comets_and_trails_have_what_the_truth_says(galaxies, stars):
    """One at a time. The light outside of the PSF's pixels, 0.5 % and more, is in all fluxes."""
    seen = set()
    for index, kind in enumerate(("near_earth", "comet", "comet", "comet")):
        inject = {**SETTINGS["inject"], "per_patch": 1, "snr": [30, 60], "kinds": {kind: 1}}
        settings, patch, truth = visit(galaxies, stars, index=index, inject=inject)
        d = differences_of((settings, patch, truth))
        rung, table, rows = next(measure_differences(d, None, None, settings, None))
        (k,) = np.flatnonzero(injected(truth, "r"))
        row, one = {n: v[0] for n, v in rows.items()}, truth[k]
        assert (rung, table, row["det_id"]) == ("truth", "transients", one["source_id"])
        assert abs(row["line_activity"]) < 0.01 if kind == "near_earth" else row["line_activity"] > 0.05
        if kind == "near_earth":
            assert row["trail_flux"] == pytest.approx(one["flux_r"], rel=2e-3) and np.isnan(row["nucleus_flux"])
            assert row["trail_length"] == pytest.approx(one["trail_length"], abs=0.15)
            assert np.hypot(row["trail_x"] - one["x"], row["trail_y"] - one["y"]) < 0.05
        elif one["tail_fraction"] == 0:
            inner = (1 - one["nucleus_fraction"]) * coma_share(INNER, one["coma_radius"], one["coma_slope"])
            for part, share in (("nucleus", one["nucleus_fraction"]), ("coma", inner)):
                assert row[f"{part}_flux"] / one["flux_r"] == pytest.approx(share, abs=0.03)  # it is one-sided
            seen.add(kind)
    assert seen


def test_detections_are_the_rows_of_the_pipeline_and_hold_the_truth(pair, tables):
    found, rows = tables["detections"], tables["found"]
    mine, inside = rows[rows["rung"] == "pipeline"], found[found["inside"]]
    assert mine["det_id"].tolist() == inside["det_id"].tolist()
    np.testing.assert_array_equal(mine["snr"], inside["peak_snr"])
    linked = tables["assignments"]
    assert (linked["det_id"] > 0).mean() > 0.7 and set(linked["found_alone"]) <= {-1, 0, 1}
    truth = {(int(p.index), int(r["source_id"])): r for _, p, t in pair for r in t}
    sources = [truth[int(r["patch"]), int(r["source_id"])] for r in linked]
    target = np.array([s["role"] == "target" for s in sources])
    bright = target & np.array([s["snr"] >= 12 for s in sources])
    assert bright.any() and (linked["found_alone"][bright] == 1).all()
    assert ((linked["found_alone"] >= 0) == target).all()  # others are not searched for alone
    field = tables["fields"]
    assert (field["area"] <= 110**2 * 0.04 + 1e-9).all() and (field["alarm_sigma"] > 1).all()


def test_noise_alone_has_no_impact(galaxies, stars, tmp_path):
    """Without static light the rungs that share an image agree to rounding, and a search finds what noise has."""
    got = run(tmp_path / "a", [visit(galaxies, stars, index=k, population=EMPTY, inject=None) for k in (3, 4)])
    assert not any(len(got[name]) for name in ("assignments", "transients", "static"))
    counts = {rung: got["peaks"][got["peaks"]["rung"] == rung] for rung in SEARCHED}
    for one, other in (("undeblended", "isolated"), ("merged", "pipeline")):  # these have the noise of the template too
        assert len(counts[other]) == len(counts[one])
        np.testing.assert_allclose(counts[other]["snr"], counts[one]["snr"], rtol=1e-3)
    assert len(counts["isolated"]) < 10


def test_a_user_s_catalogue_can_be_what_changes(galaxies, stars, tmp_path):
    _, patch, _ = visit(galaxies, stars, inject=None)
    ra, dec = patch.bands["r"].wcs.wcs_pix2world([45.0, 62.0, 70.0], [45.0, 72.0, 48.0], 0)
    Table(
        {
            "injection_id": [3, 4, 5],
            "ra": ra,
            "dec": dec,
            "source_type": ["Star", "Trail", "Sersic"],
            "mag": [21.0, 20.0, 20.5],
            "trail_length": [np.nan, 10.0, np.nan],
            "beta": [0.0, 30.0, 0.0],
            "n": [np.nan, np.nan, 1.0],
            "half_light_radius": [np.nan, np.nan, 0.5],
            "q": [np.nan, np.nan, 0.8],
        }
    ).write(tmp_path / "mine.ecsv")
    made = visit(galaxies, stars, inject={"catalogue": str(tmp_path / "mine.ecsv")})
    truth = made[2][injected(made[2], "r")]
    assert sorted(truth["injection_id"]) == [3, 4, 5] and not truth["template_flux_r"].any()
    measured = run(tmp_path / "a", [made])
    rows = measured["transients"]
    for rung, most in (("truth", 0.06), ("isolated", 0.15), ("deblended", 0.25)):
        mine = rows[rows["rung"] == rung]
        assert sorted(mine["det_id"]) == sorted(truth["source_id"])
        got = {s: row for s, row in zip(mine["det_id"], mine)}
        star, line, _ = (got[s] for s in truth["source_id"][np.argsort(truth["injection_id"])])
        flux = dict(zip(truth["injection_id"], truth["flux_r"]))
        assert star["flux_psf"] == pytest.approx(flux[3], rel=most)
        assert line["trail_flux"] == pytest.approx(flux[4], rel=most)
    scores = (
        import_module("blendimpact.cases.transients.score")
        .score({"truth": made[2], **measured}, made[0], facts_for(1))
        .table()
    )
    here = scores[(scores["rung"] == "isolated") & (scores["stratum"] == "all")]
    for fom, number in (("TR-D1.bright", 2), ("MO-D1", 1)):  # what does not say what it is is a hostless supernova
        assert here["s1"][here["fom"] == fom].max() == number
