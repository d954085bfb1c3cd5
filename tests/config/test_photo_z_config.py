"""Photometric redshifts in the configuration: what is wrong with them is said before any job."""

import pytest
from blendimpact.config.settings import block_of, patches
from blendimpact.config.study import load_config
from blendimpact.errors import StudyError
from blendimpact.ladder.redshift_checks import check_fluxes
from blendimpact.stages.plan import Job, read_study


def plan(learnt=None, **photo_z):
    changes = {"photo_z": {"photo_z": photo_z} if photo_z else {}, "photo_z_training": learnt or {}}
    return read_study(load_config(overrides={"cases": {"two_point": {"scenarios": changes}}}), None)


def test_redshifts_are_an_input_of_the_scores_that_have_them():
    study = plan()
    assert study.redshifts(Job("two_point", "photo_z")) == "results/laptop/two_point/photo_z/redshift/000.parquet"
    assert study.redshifts(Job("two_point")) == []
    job = Job("two_point", "photo_z")
    assert study.training(job, study.product("measure", "{chunk}"))[0].endswith("photo_z_training/measure/000")
    assert study.environment_for("estimate")(job) == "../envs/imaging.yaml"


def test_the_training_has_patches_of_its_own():
    study = plan()
    patches = {name: study.chunks["two_point", name]["000"] for name in ("photo_z", "photo_z_training")}
    assert not set(patches["photo_z"]) & set(patches["photo_z_training"])


@pytest.mark.parametrize(
    "training, photo_z, words",
    [
        ({}, {"estimator": "neighbors"}, "there is no estimator 'neighbors'"),
        ({}, {"training": "other"}, "there is no 'other'"),
        ({"bands": ["g", "r", "i"]}, {}, "the bands of the scenario photo_z_training is"),
        ({"patch": {"first": 29}}, {}, "has the same patches"),
        ({"rungs": ["oracle"]}, {}, "no rung 'isolated'"),
    ],
)
def test_what_cannot_be_trained_is_refused(training, photo_z, words):
    with pytest.raises(StudyError, match=rf"cases\.two_point\.scenarios\.photo_z\.(.|\n)*({words})"):
        plan(training, **photo_z)


@pytest.mark.parametrize(
    "training, photo_z, where",
    [
        ({}, {"fluxes": "petrosian"}, r"photo_z: nothing measures flux_petrosian .*(.|\n)* ap, "),
        ({"measure": {"measurements": {"matched": None}}}, {}, "photo_z_training: nothing measures flux_matched"),
    ],
)
def test_fluxes_that_nothing_measures_are_refused(training, photo_z, where):
    check_fluxes(plan().settings)
    with pytest.raises(StudyError, match=where):
        check_fluxes(plan(training, **photo_z).settings)


def test_blocks_are_counted_from_the_first():
    study = plan({"patch": {"first": 700, "count": 3}})
    settings = study.settings["two_point", "photo_z_training"]
    assert patches(settings) == [700, 701, 702] and block_of(settings, 701) == (701, 0)
    visited = {**settings, "patch": {**settings["patch"], "visits": 2}}
    assert patches(visited) == [700000, 700001, 701000, 701001, 702000, 702001]
    with pytest.raises(StudyError, match=r"patch\.first: is for simulated sky"):
        read_study(load_config(overrides={"cases": {"galaxies": {"patch": {"first": 3}}}}), None)
