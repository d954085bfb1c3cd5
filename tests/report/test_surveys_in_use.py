"""Depths and limits of the surveys in use: of every scenario, flagged where a definition states another depth."""

import numpy as np
import pytest
import yaml
from astropy.table import Table
from blendimpact.cases.external_checks import load_external_checks
from blendimpact.config.files import find
from blendimpact.config.study import load_config, validate
from blendimpact.config.surveys import load_survey
from blendimpact.report.external import external_checks, measured_values
from blendimpact.report.surveys import faint_light, in_use, survey_values


def study(**two_point):
    return validate(load_config(overrides={"cases": {"two_point": two_point, "transients": {"enabled": False}}}))


def checked(config):
    checks = [check for check in load_external_checks([]) if check["id"].startswith(("survey_depth", "faint_light"))]
    return external_checks(measured_values(Table(), checks, survey_values(config)), checks)


def test_every_survey_of_an_enabled_case_is_in_use_with_its_bands():
    other = {"scenarios": {"shallow": {"survey": "lsst_y1", "bands": ["r", "i"]}}}
    assert {name: bands for name, (_, bands) in in_use(study(**other)).items()} == {
        "lsst_visit": ["g", "i"],
        "lsst_y1": ["r", "i"],
        "lsst_y10_ideal": ["u", "g", "r", "i", "z", "y"],
    }


def test_a_depth_that_a_scenario_s_survey_does_not_have_is_flagged(tmp_path):
    assert set(checked(study())["agrees"][:1]) == {"yes"}
    text = yaml.safe_load(find("surveys", "des").read_text())
    text["name"] = "mine"
    text["bands"]["i"]["depth_5sigma"] += 0.2
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(text))
    table = checked(study(scenarios={"mine": {"survey": str(path)}}))
    found = {str(row["id"]): row for row in table}
    assert found["survey_depth_mine_g"]["agrees"] == "yes"
    wrong = found["survey_depth_mine_i"]
    assert wrong["agrees"] == "no" and "shallower than stated: depth_5sigma is wrong" in wrong["reason"]


def test_the_limit_of_faint_light_is_the_noise_of_a_box():
    """Three standard deviations of the mean of white noise over 10 arcsec squared, as an image has it."""
    band = load_survey("lsst_y10_ideal").bands["r"]
    side = round(10 / band.pixel_scale)
    noise = np.random.default_rng(1).normal(0, band.sky_sigma, (2000, side, side)).sum(axis=(1, 2)) / 100
    assert faint_light(band) == pytest.approx(band.zero_point - 2.5 * np.log10(3 * noise.std()), abs=0.06)
