"""Multi-epoch patches: visit and template of one sky."""

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.config.surveys import load_survey
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.errors import StudyError
from blendimpact.populations.visits import build_visits
from blendimpact.sky.epochs import add_template, template_survey, visit_survey
from blendimpact.sky.patches import simulate_patch
from blendimpact.sky.profiles import add_stamp, draw_source
from scipy.ndimage import shift as shifted
from synthetic import tables

SETTINGS = {
    "bands": ["g", "i"],
    "shape_band": "i",
    "shear": 0.0,
    "patch": {"size": 80, "border": 20, "margin": 6.0},
    "population": {"galaxies": {"mag_max": 26.0}, "stars": {"density": 4.0, "mag_min": 18.0}, "positions": {}},
}
QUIET = {"registration": 0.0, "variables": {"share": 0.0}}


@pytest.fixture(scope="module")
def survey():
    return load_survey("lsst_y10_ideal")


@pytest.fixture(scope="module")
def simulated(survey, galaxies, stars):
    return simulate_patch(SETTINGS, 3, 5, "case", "fiducial", survey, tables(galaxies, stars))[0]


def test_same_psf_and_no_error_give_the_same_light(simulated, survey):
    """The null test: template minus visit is noise, and its MODEL is the visit's to rounding."""
    patch, truth = simulated
    out, _, facts = add_template(patch, truth, template_survey(survey, {"template": {"visits": 1}}), QUIET, 5, "case")
    for band, image in patch.bands.items():
        other = out.templates[band]
        scale = image.planes["MODEL"].max()
        assert np.abs(other.planes["MODEL"] - image.planes["MODEL"]).max() < 1e-5 * scale
        assert not np.array_equal(other.planes["NOISE"], image.planes["NOISE"])
        pull = (image.science - other.science) / np.sqrt(image.variance + other.variance)
        assert pull.std() == pytest.approx(1, abs=0.03) and abs(pull.mean()) < 0.04
        assert abs(np.corrcoef(other.planes["NOISE"].ravel(), image.planes["NOISE"].ravel())[0, 1]) < 0.03
        assert facts[band]["depth"] == pytest.approx(facts[band]["template_depth"], abs=0.01)


def test_the_registration_error_is_the_shift_of_the_light(simulated, survey):
    patch, truth = simulated
    still, _, _ = add_template(patch, truth, template_survey(survey, {"template": {"visits": 1}}), QUIET, 5, "case")
    moved, _, facts = add_template(
        patch, truth, template_survey(survey, {"template": {"visits": 1}}), {**QUIET, "registration": 0.1}, 5, "case"
    )
    for band in patch.bands:
        dx, dy = np.array(facts[band]["shift"]) / 0.2
        expected = shifted(still.templates[band].planes["MODEL"].astype(float), (dy, dx), order=5)
        inner = np.s_[10:-10, 10:-10]
        model = moved.templates[band].planes["MODEL"][inner]
        assert np.abs(model - expected[inner]).max() < 0.02 * model.max()
        assert np.abs(model - still.templates[band].planes["MODEL"][inner]).max() > 0.02 * model.max()
    assert facts["g"]["shift"] != facts["i"]["shift"]
    assert moved.templates["i"].wcs.to_header() == patch.bands["i"].wcs.to_header()  # which does not know of it


def test_registration_has_the_rms_that_was_asked_for(simulated, survey):
    patch, truth = simulated
    deep, none = template_survey(survey, {"template": {"visits": 1}}), truth[:0]
    shifts = [
        fact["shift"]
        for k in range(60)
        for fact in add_template(replace(patch, index=k), none, deep, {"registration": 0.02}, 5, "case")[2].values()
    ]
    assert np.std(shifts) == pytest.approx(0.02, rel=4 / np.sqrt(2 * 240))


def test_variable_stars_differ_in_the_template_alone(simulated, survey):
    patch, truth = simulated
    epochs = {**QUIET, "variables": {"share": 0.5, "amplitude": 0.3}}
    out, rows, _ = add_template(patch, truth, template_survey(survey, {"template": {"visits": 1}}), epochs, 5, "case")
    star = np.asarray(rows["kind"]) == "star"
    varies = np.asarray(rows["variable"])
    assert 0 < varies.sum() < star.sum() and not varies[~star].any()
    for band in patch.bands:
        ratio = np.asarray(rows[f"template_flux_{band}"]) / np.asarray(rows[f"flux_{band}"])
        assert (ratio[~varies] == 1).all() and (ratio[varies] != 1).all()
        assert np.array_equal(out.bands[band].science, patch.bands[band].science)
    # and by exactly that light
    expected = np.zeros(patch.shape)
    for row in rows[varies]:
        stamp = draw_source(dict(zip(rows.colnames, row)), patch.bands["i"])
        stamp.array *= row["template_flux_i"] / row["flux_i"] - 1
        add_stamp(expected, stamp)
    change = out.templates["i"].planes["MODEL"].astype(float) - patch.bands["i"].planes["MODEL"]
    assert np.abs(change - expected).max() < 1e-3 * np.abs(expected).max()
    assert "template_flux_i" not in truth.colnames and not patch.templates


def test_templates_survive_writing_and_others_change_no_byte(simulated, survey, tmp_path):
    patch, truth = simulated
    out, _, _ = add_template(
        patch, truth, template_survey(survey, {"template": {"visits": 9, "fwhm": 0.6}}), {}, 5, "case"
    )
    with PatchWriter(tmp_path / "a.fits") as writer:
        writer.write(out)
    with PatchFile(tmp_path / "a.fits") as file:
        back = file.read(3, "zero")
    assert list(back.templates) == ["g", "i"]
    for band in "gi":
        for mine, other in ((out.bands[band], back.bands[band]), (out.templates[band], back.templates[band])):
            assert np.array_equal(mine.science, other.science) and np.array_equal(mine.variance, other.variance)
            assert np.array_equal(mine.psf, other.psf) and mine.psf_model == other.psf_model
            assert list(mine.planes) == list(other.planes) and mine.gain == other.gain
            assert other.mask.dtype == np.uint8
        assert back.templates[band].psf_model["fwhm"] == 0.6 != back.bands[band].psf_model["fwhm"]
    for name, what in (("b", patch), ("c", replace(back, templates={}))):
        with PatchWriter(tmp_path / f"{name}.fits") as writer:
            writer.write(what)
    assert (tmp_path / "b.fits").read_bytes() == (tmp_path / "c.fits").read_bytes()


def test_template_depth(survey):
    """N visits are 1.25 log10 N deeper; another survey has its own depth."""
    deep = template_survey(survey, {"template": {"visits": 16}})
    assert deep.bands["i"].depth() - survey.bands["i"].depth() == pytest.approx(1.25 * np.log10(16), abs=1e-6)
    forecast = load_survey("lsst_y10_forecast")
    assert template_survey(survey, {"template": {"survey": forecast}}).bands["i"] == forecast.bands["i"]
    with pytest.raises(StudyError, match="arcsec per pixel"):
        template_survey(survey, {"template": {"survey": load_survey("des")}})


@pytest.fixture
def database(tmp_path):
    with sqlite3.connect(tmp_path / "visits.db") as file:
        file.execute(
            'create table observations (observationId integer, "filter" text, seeingFwhmGeom real, fiveSigmaDepth real)'
        )
        rng = np.random.default_rng(1)
        file.executemany(
            "insert into observations values (?, ?, ?, ?)",
            [(k, "gi"[k % 2], float(rng.uniform(0.6, 1.3)), 24.0 + k % 2) for k in range(200)]
            + [(200, "g", 3.0, 20.0)],
        )
    return tmp_path / "visits.db"


def test_visits_have_the_seeing_and_depth_of_the_table(database, survey):
    visits = build_visits(database)
    assert len(visits) == 200 and visits["fwhm"].max() < 2  # the one in bad seeing is gone
    two = replace(survey, bands={b: survey.bands[b] for b in "gi"})
    drawn = [visit_survey(two, {}, 5, "case", k, visits) for k in range(100)]
    for band, depth in (("g", 24.0), ("i", 25.0)):
        assert all(v.bands[band].depth() == pytest.approx(depth, abs=1e-4) for v in drawn)
        fwhm = np.array([v.bands[band].fwhm for v in drawn])
        known = np.asarray(visits["fwhm"])[np.asarray(visits["band"]) == band]
        assert np.isin(fwhm, np.round(known.astype(float), 2)).all()
        assert fwhm.mean() == pytest.approx(known.mean(), abs=float(4 * known.std() / 10))
    again = visit_survey(two, {}, 5, "case", 7, visits)
    assert again.bands["g"].psf_model == drawn[7].bands["g"].psf_model
    assert visit_survey(survey, {"visits": {"source": "fixed"}}, 5, "case", 0) is survey
    with pytest.raises(StudyError, match="no simulated visit in band"):
        visit_survey(survey, {}, 5, "case", 0, visits)


def test_all_of_it_is_deterministic_and_flips(survey, galaxies, stars):
    deep = template_survey(survey, {"template": {"visits": 4}})
    pairs = {**SETTINGS, "noise_pairs": True}
    runs = []
    for _ in range(2):
        runs.append(
            [
                add_template(p, t, deep, {}, 5, "case")
                for p, t in simulate_patch(pairs, 1, 5, "case", "fiducial", survey, tables(galaxies, stars))
            ]
        )
    for (a, rows, facts), (b, same, _) in zip(*runs):
        assert np.array_equal(a.templates["i"].science, b.templates["i"].science)
        assert isinstance(json.dumps(facts), str) and isinstance(rows, Table) and len(rows) == len(same)
    zero, flip = (run[0].templates["i"] for run in runs[0])
    assert np.allclose(zero.science + flip.science, 2 * zero.planes["MODEL"], rtol=1e-4, atol=1e-2)
