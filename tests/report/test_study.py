"""What the report says of a run comes from its own settings."""

import pytest
from blendimpact.config.settings import case_settings
from blendimpact.config.study import load_config, validate
from blendimpact.report.study import board_of, data_used


@pytest.fixture(scope="module")
def config():
    return validate(load_config())


def test_a_cell_is_labelled_with_what_its_scenario_was_measured_on(config):
    transients = data_used(case_settings(config, "transients"))
    assert transients.startswith("simulated LSST, one visit") and ", r;" in transients
    assert "galaxies of " in transients and "template" in transients and "injected: supernova" in transients
    stars = data_used(case_settings(config, "crowded_fields"))
    assert "galaxies" not in stars and "stars of isochrone" in stars
    rows = {row["case"]: row["data_used"] for row in board_of(config, {})}
    assert rows["crowded_fields"]["real"].startswith("VLT/ISAAC frame") and "NB225" in rows["crowded_fields"]["real"]


def test_an_image_of_the_user_s_own_is_called_by_its_own_title(config, tmp_path):
    mine = tmp_path / "mine.yaml"
    text = """name: mine
title: "my r image"
band: r
file: mine.fits
size: [1000, 1000]
pixel_scale: 0.2
zero_point: 27
gain: 1
psf: {kind: moffat, fwhm: 0.8, beta: 3}
reference: "mine"
"""
    mine.write_text(text)
    own = {"cases": {"galaxies": {"image": str(mine), "bands": ["r"], "shape_band": "r"}}}
    settings = case_settings(validate(load_config(overrides=own)), "galaxies")
    assert data_used(settings).startswith("my r image (band r); injected: ")
