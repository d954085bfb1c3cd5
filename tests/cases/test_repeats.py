"""Repeat visits: the same sky with other noise, and what a survey measures of it without knowing the truth."""

import json

import numpy as np
import pandas as pd
import pytest
from blendimpact.cases.crowded_fields.repeats import residuals
from blendimpact.config import study
from blendimpact.config.surveys import load_survey
from blendimpact.data import catalogues
from blendimpact.data.images import PatchFile
from blendimpact.data.psf import psf_object
from blendimpact.ladder.aggregate import aggregate
from blendimpact.populations.isochrone import build_isochrone
from blendimpact.stages import deblend, detect, inject, measure, score, simulate
from measured import asked
from test_crowded_scores import FIGURES_OF_MERIT, SETTINGS, made, scored, values
from test_isochrone import FIELD, GALAXIES
from test_isochrone import SETTINGS as SKY
from test_isochrone import made as isochrone

SEED = 3
NUMBERS = [0, 1, 1000, 1001]  # two blocks, two visits
TWICE = {
    **SKY,
    "survey": "lsst_visit",
    "patch": {"size": 60, "border": 25, "margin": 3.0, "visits": 2},
    "subtractor": None,
    "inject": {"population": "stars", "per_patch": 4, "mag": [17, 20], "separation": 3.0},
    "detector": "daofind",
    "deblender": "psf_fit",
    "measure": asked("psf", "fitted"),
}


# --- blocks, patches, chunks ------------------------------------------------------------------------


def settings_of(count, visits):
    return {"sky": "simulate", "inject": None, "patch": {"count": count, "visits": visits}}


def test_a_patch_is_a_block_and_a_visit():
    few, many = settings_of(3, 2), settings_of(5, 4)
    assert study.patches(few) == [0, 1, 1000, 1001, 2000, 2001]
    assert set(study.patches(few)) < set(study.patches(many))  # more blocks or visits renumber nothing
    assert [study.block_of(few, p) for p in study.patches(few)] == [(b, v) for b in range(3) for v in range(2)]
    once = settings_of(3, 1)
    assert study.patches(once) == [0, 1, 2] and study.block_of(once, 2) == (2, 0)


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
def test_no_chunk_parts_the_visits_of_a_block(size):
    settings = settings_of(11, 3)
    lists = study.chunks({"chunk_size": size}, settings)
    assert [p for chunk in lists for p in chunk] == study.patches(settings)
    assert all(len(chunk) % 3 == 0 and len(chunk) <= max(size, 3) for chunk in lists)
    blocks = [{study.block_of(settings, p)[0] for p in chunk} for chunk in lists]
    assert sum(map(len, blocks)) == 11


# --- the sky ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("population")
    galaxies = catalogues.describe(GALAXIES.copy(), {name: (None, name) for name in GALAXIES.colnames})
    catalogues.write(galaxies, folder / "hst_cosmos.parquet")
    catalogues.write(build_isochrone(isochrone(folder / "iso.pkl")), folder / "isochrone.parquet")
    return folder


def drawn(inputs, folder, patches, settings=TWICE):
    """Simulate and inject ``patches``; return the paths of images and truth."""
    folder.mkdir()
    paths = [folder / name for name in ("sky.fits", "sky.parquet", "images.fits", "truth.parquet")]
    stars = inputs / "isochrone.parquet"
    simulate.run(settings, patches, SEED, [inputs / "hst_cosmos.parquet", stars], "lsst_visit", *paths[:2])
    inject.run(settings, patches, SEED, *paths, tables=[stars])
    return paths[2:]


@pytest.fixture(scope="module")
def sky(inputs, tmp_path_factory):
    """Images {patch: Patch} and truth of two blocks with two visits each."""
    images, truth = drawn(inputs, tmp_path_factory.mktemp("sky") / "all", NUMBERS)
    with PatchFile(images) as file:
        return {index: file.read(index, twin) for index, twin in list(file.keys())}, catalogues.read(truth)


def test_visits_share_the_stars_and_their_places_on_the_sky(sky):
    _, truth = sky
    assert json.loads(truth.meta["patches"]) == [[p, p // 1000, "zero"] for p in NUMBERS]
    rows = truth.to_pandas().set_index("source_id")
    first, second = (rows[rows["patch"] == p] for p in (0, 1))
    both = first.index.intersection(second.index)
    assert len(both) > 20 and (rows["block"] == rows["patch"] // 1000).all()
    assert (first.loc[both, "role"] == "target").sum() == 4
    for name in ("mag_i", "mag_g", "role", "evolution"):
        assert (first.loc[both, name] == second.loc[both, name]).all(), name
    for name in ("ra", "dec"):
        np.testing.assert_allclose(first.loc[both, name], second.loc[both, name], rtol=0, atol=1e-9)  # 4e-6 arcsec
    # one shift for all of a visit's stars, of less than a pixel
    shift = np.array([second.loc[both, k] - first.loc[both, k] for k in ("x", "y")])
    assert np.ptp(shift, axis=1).max() < 1e-9 and (np.abs(shift[:, 0]) > 0.01).all() and np.abs(shift).max() < 1
    other = rows[(rows["patch"] == 1000) & (rows["role"] == "target")]
    assert not set(np.round(other["mag_i"], 6)) & set(np.round(first["mag_i"], 6))


def test_visits_share_no_noise(sky):
    patches, _ = sky
    noise = {p: patches[p].bands["i"].planes["NOISE"].ravel() for p in NUMBERS}
    photons = {
        p: (patches[p].bands["i"].science - patches[p].bands["i"].planes["MODEL"]).ravel() - noise[p] for p in NUMBERS
    }
    n = noise[0].size
    for a, b in ((0, 1), (0, 1000), (1000, 1001)):
        assert abs(np.corrcoef(noise[a], noise[b])[0, 1]) < 5 / np.sqrt(n)
        assert np.std(photons[a]) > 0 and abs(np.corrcoef(photons[a], photons[b])[0, 1]) < 0.2
    light = [patches[p].bands["i"].planes["MODEL"].ravel() for p in (0, 1, 1000)]
    assert np.corrcoef(light[0], light[1])[0, 1] > 0.9 > 0.5 > np.corrcoef(light[0], light[2])[0, 1]


def test_the_sky_does_not_depend_on_the_chunks(inputs, sky, tmp_path):
    patches, truth = sky
    images, again = drawn(inputs, tmp_path / "half", NUMBERS[2:])
    with PatchFile(images) as file:
        for index in NUMBERS[2:]:
            for band in "gi":
                assert np.array_equal(file.read(index, "zero").bands[band].science, patches[index].bands[band].science)
    again, here = catalogues.read(again), truth[truth["patch"] >= 1000]
    for name in ("source_id", "x", "ra", "mag_i", "block", "snr"):
        assert np.array_equal(again[name], here[name]), name


def test_one_visit_is_the_patch_that_it_always_was(inputs, sky, tmp_path):
    """Scenarios share their scenes: a block is the sky of the patch of its number, but for the pointing."""
    _, truth = sky
    once = {**TWICE, "patch": {**TWICE["patch"], "visits": 1}}
    _, path = drawn(inputs, tmp_path / "once", [1], once)
    alone = catalogues.read(path).to_pandas()
    visit = truth.to_pandas().query("patch == 1000")
    pairs = alone.merge(visit, on="source_id")
    assert len(pairs) > 20 and (pairs["mag_i_x"] == pairs["mag_i_y"]).all()
    np.testing.assert_allclose(pairs["ra_x"], pairs["ra_y"], rtol=0, atol=1e-9)
    assert set(alone["block"]) == set(alone["patch"]) == {1}


# --- scores on tables made by hand ------------------------------------------------------------------


def visited(visits, stars=20, blocks=30, **options):
    """Return the tables of `made` with ``visits`` patches per block; its functions of the patch get the visit's."""
    tables = made(stars=stars, blocks=blocks * visits, **options)
    for table in tables.values():
        number = np.asarray(table["patch"])
        table["patch"] = number // visits * 1000 + number % visits
        if "block" in table.colnames:
            table["block"] = number // visits
    return tables


def found(tables, visits):
    return values(tables, patch={**SETTINGS["patch"], "visits": visits})


def close(row, expected, rel):
    return row["value"] == pytest.approx(expected, rel=rel) and row["ci_low"] <= expected <= row["ci_high"]


@pytest.mark.parametrize("visits", [2, 3, 6])
def test_deviations_from_the_mean_have_the_variance_of_one_visit(visits):
    rng = np.random.default_rng(4)
    star = pd.Series(np.repeat(np.arange(20000), visits))
    x = pd.Series(rng.normal(7.0, 2.0, len(star)))
    found = residuals(x, [star], visits)
    assert found.std() == pytest.approx(2.0, rel=0.02) and found.groupby(star).mean().abs().max() < 1e-12
    assert 1.4826 * found.abs().median() == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("visits", [2, 4])
def test_the_repeatability_of_isolated_stars_is_their_noise(visits):
    """Noise of 1 % and 0.02 pixels, errors that say so: 10.86 mmag, 4 mas, pulls of 1, nothing hidden."""
    rows = found(visited(visits, scatter=1.0), visits)
    n = 600
    width = 4 * 1.17 / np.sqrt(n * (visits - 1))  # of the NMAD of as many independent deviations
    for fom, expected in (
        ("repeat", 10.857),
        ("repeat_true", 10.857),
        ("repeat_rms", 10.857),
        ("repeat_error", 10.857),
        ("repeat_pull", 1.0),
        ("repeat_xy", 4.0),
        ("repeat_xy_true", 4.0),
        ("repeat_xy_pull", 1.0),
    ):
        for rung in ("isolated", "pipeline"):
            row = rows[f"CF-M1.{fom}", rung, "common", "all"]
            assert row["value"] == pytest.approx(expected, rel=width), (fom, row["value"])
            assert row["n"] == n, fom  # stars, neither visits nor axes
            if fom != "repeat_error":
                assert row["ci_low"] < 1.03 * expected and row["ci_high"] > 0.97 * expected, fom
    for fom in ("repeat_hidden", "repeat_xy_hidden"):
        row = rows[f"CF-M1.{fom}", "isolated", "common", "all"]
        assert row["ci_low"] < 0 < row["ci_high"], fom
    assert rows["CF-M1.repeat", "detection", "common", "all"]["value"] == 0
    assert rows["CF-M1", "isolated", "centres", "all"]["n"] == n
    assert rows["CF-D1.repeat", "pipeline", "all", "all"]["value"] == 1
    assert rows["CF-D1.repeat", "pipeline", "all", "magnitude:20-21"]["n"] == n


def test_an_error_that_all_visits_share_is_in_the_scatter_and_not_in_the_repeatability():
    """Crowding of 5 % rms per star, deblended and after: scatter hypot(1, 5) %, repeatability 1 % as without it."""
    visits, real = 3, ("deblended", "pipeline")
    by = np.random.default_rng(5).normal(0, 0.05, (30, 20))
    rows = found(visited(visits, scatter=1.0, flux=lambda rung, p, k: 1 + by[p // visits, k] * (rung in real)), visits)

    def value(fom, rung):
        return rows[f"CF-M1.{fom}", rung, "common", "all"]

    for fom in ("repeat", "repeat_pull"):
        assert value(fom, "deblended")["value"] == pytest.approx(value(fom, "isolated")["value"], rel=0.02), fom
    assert close(value("repeat_true", "deblended"), 1085.7 * np.hypot(0.01, 0.05), 0.12)
    assert close(value("repeat_hidden", "pipeline"), 54.29, 0.12)
    assert value("repeat_hidden", "pipeline")["ci_low"] > 40
    assert abs(value("repeat_hidden", "oracle")["value"]) < 4


def test_an_error_of_each_visit_is_in_both():
    visits = 3
    by = np.random.default_rng(6).normal(0, 0.05, (90, 20))
    rows = found(visited(visits, flux=lambda rung, p, k: 1 + by[p, k] * (rung == "deblended")), visits)
    for fom in ("repeat", "repeat_true"):
        assert rows[f"CF-M1.{fom}", "deblended", "common", "all"]["value"] == pytest.approx(54.29, rel=0.12), fom
    row = rows["CF-M1.repeat_hidden", "deblended", "common", "all"]
    assert row["ci_low"] < 0 < row["ci_high"] or abs(row["value"]) < 20


def test_a_star_that_one_visit_lacks_is_counted_and_in_no_repeatability():
    tables = visited(2, stars=4, blocks=20, scatter=1.0)
    links, rows = tables["assignments"], tables["measurements"]
    links["det_id"][(links["source_id"] == 3) & (links["patch"] % 1000 == 1)] = 0
    failed = (rows["det_id"] == 2) & (rows["rung"] == "undeblended") & (rows["patch"] % 1000 == 0)
    rows["flux_psf"][failed] = np.nan  # raw pixels are in no budget
    got = found(tables, 2)
    for rung, share in (("isolated", 1), ("undeblended", 0.75), ("deblended", 1), ("merged", 0.75), ("pipeline", 0.75)):
        row = got["CF-D1.repeat", rung, "all", "all"]
        assert row["value"] == share and row["n"] == 80, rung
    assert got["CF-D1.repeat", "detection", "all", "all"]["value"] == -0.25
    for rung, stars in (("isolated", 3), ("undeblended", 2), ("pipeline", 3)):
        for fom in ("repeat", "repeat_true", "repeat_rms", "repeat_xy"):
            assert got[f"CF-M1.{fom}", rung, "common", "all"]["n"] == 20 * stars, (fom, rung)


def test_one_visit_has_no_repeatability():
    names = {key[0] for key in values(made(scatter=1.0))}
    assert "CF-M1" in names and not any("repeat" in name for name in names)


def test_repeatability_does_not_depend_on_the_chunks():
    tables = visited(2, stars=5, blocks=12, scatter=1.0)
    patch = {**SETTINGS["patch"], "visits": 2}
    whole = scored(tables, patch=patch).table()
    parts = [
        scored({n: t[(np.asarray(t["patch"]) // 1000 < 5) == k] for n, t in tables.items()}, patch=patch).table()
        for k in (True, False)
    ]

    def rows(table):
        return {
            tuple(str(r[n]) for n in ("block", "fom", "rung", "population", "stratum", "cell")): tuple(
                r[f"s{k}"] for k in range(5)
            )
            for r in table
        }

    assert rows(whole) == rows(parts[0]) | rows(parts[1])
    assert len(set(whole["block"])) == 12 and any(f == "CF-M1.repeat" for f in whole["fom"])


# --- from pixels ------------------------------------------------------------------------------------


def photon_noise(mags, band, scale):
    """Return the standard deviation (mmag) of the flux of a PSF fit of isolated stars at a known place.

    Least squares in a disc of 1.5 FWHM: 1 / sqrt(sum p^2 / (sky variance + F p / gain)).
    """
    psf = psf_object(band.psf_model).drawImage(nx=41, ny=41, scale=scale, dtype=float).array
    yy, xx = np.indices(psf.shape) - 20
    inside = np.hypot(xx, yy) * scale <= 1.5 * band.psf_model["fwhm"]
    flux = 10 ** (0.4 * (band.zero_point - np.asarray(mags)))[:, None]
    variance = band.sky_sigma**2 + flux * psf[inside] / band.gain
    return 1085.7 / flux[:, 0] / np.sqrt((psf[inside] ** 2 / variance).sum(axis=1))


@pytest.fixture(scope="module")
def measured(inputs, tmp_path_factory):
    """Truth and figures of merit of an empty sky with bright stars: 12 blocks, two visits."""
    folder = tmp_path_factory.mktemp("pixels")
    chosen = {
        **TWICE,
        "case": "crowded_fields",
        "bands": ["i"],
        "inject": {**TWICE["inject"], "per_patch": 9},
        "population": {"galaxies": {"density": 0}, "stars": {**FIELD, "surface_density": 0.0}},
    }
    images, truth = drawn(inputs, folder / "sky", [1000 * b + v for b in range(12) for v in range(2)], chosen)
    detections, assignments, measurements, scores = (
        folder / f"{name}.parquet" for name in ("detections", "assignments", "measurements", "scores")
    )
    sky, children = folder / "sky.h5", folder / "children.h5"
    detect.run(chosen, SEED, images, truth, detections, assignments, sky)
    deblend.run(chosen, images, truth, detections, sky, children)
    measure.run(chosen, SEED, images, truth, detections, assignments, sky, children, measurements)
    score.run(chosen, truth, detections, assignments, measurements, scores)
    table = aggregate(catalogues.read(scores), "crowded_fields", "fiducial", FIGURES_OF_MERIT, 200, 1)
    return catalogues.read(truth), {(str(r["fom"]), str(r["term"]), str(r["stratum"])): r for r in table}


@pytest.mark.slow
def test_measured_stars_of_an_empty_sky_repeat_as_their_photons_do(measured):
    truth, rows = measured
    for rung in ("isolated", "pipeline"):
        assert rows["CF-M1.repeat_rms", rung, "all"]["n"] == 108
        for fom in ("repeat_pull", "repeat_xy_pull"):
            row = rows[f"CF-M1.{fom}", rung, "all"]
            assert row["ci_low"] <= 1 <= row["ci_high"], (fom, rung, row["value"])
            assert row["ci_high"] - row["ci_low"] < 0.5
    survey = load_survey("lsst_visit")
    mags = np.asarray(truth["mag_i"][(truth["role"] == "target") & (truth["patch"] % 1000 == 0)], float)
    assert len(mags) == 108
    expected = np.sqrt(np.mean(photon_noise(mags, survey.bands["i"], survey.pixel_scale) ** 2))
    row = rows["CF-M1.repeat_rms", "isolated", "all"]
    assert row["ci_low"] <= expected <= row["ci_high"] and row["value"] == pytest.approx(expected, rel=0.25)
    assert rows["CF-M1.repeat_error", "isolated", "all"]["value"] == pytest.approx(expected, rel=0.03)
    assert rows["CF-D1.repeat", "pipeline", "all"]["value"] == 1
