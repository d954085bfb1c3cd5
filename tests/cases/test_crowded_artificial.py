"""Artificial stars measure a field and do not crowd it: half as many of them find the same."""

import h5py
import numpy as np
import pytest
from blendimpact.config.study import load_config
from blendimpact.config.surveys import load_survey
from blendimpact.data.chunk import PatchData
from blendimpact.ladder.kinds import ladder_of
from blendimpact.measure.sky import estimate_sky
from blendimpact.populations.isochrone import build_isochrone
from blendimpact.sky.injection import inject
from blendimpact.sky.patches import simulate_patch
from blendimpact.stages.plan import read_study
from measured import asked
from target_maker import draw
from test_isochrone import SETTINGS as SKY
from test_isochrone import made as isochrone

SEED = 7
STARS = {**SKY["population"]["stars"], "surface_density": 8e5, "limit": 22.5, "mag_max": 24.5}
SETTINGS = {
    **SKY,
    "case": "crowded_fields",
    "bands": ["i"],
    "patch": {"size": 300, "border": 25, "margin": 3.0},
    "population": {"galaxies": {"density": 0}, "stars": STARS},
    "stamp": 5.0,
    "inject": {"population": "stars", "per_patch": 8, "mag": [18, 22], "counts_slope": 0.3, "separation": 4.0},
    "detector": "daofind",
    "deblender": "psf_fit",
    "measure": asked("psf"),
    "subtractor": None,
}


def errors(patch, truth):
    """Return {rung: {source_id: flux over the true one}} of the targets of a patch, on two rungs of true centres."""
    settings = {**SETTINGS, "rungs": ["oracle", "undeblended", "deblended"]}
    ladder, data = ladder_of(settings, SEED), PatchData(patch, truth=truth)
    data.sky = estimate_sky(patch, settings["measure"].get("sky"))
    data.detections, data.assignments, _ = ladder.detect(data)
    true = dict(zip(truth["source_id"].tolist(), truth["flux_i"]))
    with h5py.File("children.h5", "w", driver="core", backing_store=False) as file:
        data.separated = file.create_group("patch")
        ladder.separate(data, data.separated)
        rows = {rung: values for rung, _, values in ladder.measure(data)}
    return {
        rung: {int(i): flux / true[int(i)] for i, flux in zip(rows[rung]["det_id"], rows[rung]["flux_psf"])}
        for rung in settings["rungs"]
    }


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """Errors of the artificial stars, and of every other one without the rest; and how many stars there are."""
    table = build_isochrone(isochrone(tmp_path_factory.mktemp("isochrone") / "iso.pkl"))
    survey, tables = load_survey("lsst_visit"), {"isochrone": table}
    patch, truth = simulate_patch(SETTINGS, 0, SEED, "crowded", "fiducial", survey, tables)[0]
    drawn = draw(SETTINGS, patch, None, SEED, "crowded", 0, 0, isochrone=table)
    found = [errors(*inject(patch, truth, part, SEED, "crowded", SETTINGS)) for part in (drawn, drawn[::2])]
    inside = patch.inside(np.asarray(truth["x"]), np.asarray(truth["y"]))
    return *found, int((inside & (np.asarray(truth["mag_i"]) < 22.5)).sum())


def test_artificial_stars_are_few(fields):
    every, half, stars = fields
    assert len(every["oracle"]) == 2 * len(half["oracle"]) == 8
    assert len(every["oracle"]) < 0.05 * stars


def test_half_as_many_artificial_stars_have_the_same_errors(fields):
    """Fluxes change by less than a tenth of what neighbours do to them; those of the field do on raw pixels."""
    every, half, _ = fields
    ids = sorted(half["oracle"])
    for rung in half:
        changed = np.array([every[rung][i] - half[rung][i] for i in ids])
        crowding = np.array([half["undeblended"][i] - half["oracle"][i] for i in ids])
        assert np.abs(changed).mean() < 0.1 * np.abs(crowding).mean(), rung
    raw, exact = (np.abs([half[rung][i] - 1 for i in ids]).mean() for rung in ("undeblended", "oracle"))
    assert raw > exact


def test_no_simulated_field_of_the_presets_has_more_than_one_artificial_star_in_a_patch():
    """Its own stars are the targets; one for each patch has no other beside it."""
    for preset in ([], ["config/presets/survey.yaml"]):
        plan = read_study(load_config(preset), preset)
        for (case, scenario), settings in plan.settings.items():
            if case == "crowded_fields" and settings["sky"] == "simulate":
                targets = settings["population"]["stars"]["targets"]
                assert targets if settings["inject"] is None else settings["inject"]["per_patch"] == 1, scenario
