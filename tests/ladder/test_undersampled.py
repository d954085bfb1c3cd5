"""Surveys from space, whose pixels are as wide as their PSF, through all stages."""

from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from blendimpact.config import study
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.surveys import load_survey
from blendimpact.errors import StudyError
from test_ladder_null import climb, crowd, on

__all__ = ["climb"]
SPACE = {"patch": {"size": 90, "border": 24, "margin": 2.0}, "stamp": 4.0, "match_radius": 0.4}


def survey(scale, fwhm, bands="i"):
    psf = {"kind": "moffat", "fwhm": fwhm, "beta": 2.5}
    made = {b: SimpleNamespace(psf_model=psf, sky_sigma=1.0, gain=1e3, zero_point=31.4, light="i") for b in bands}
    return SimpleNamespace(name="space", pixel_scale=scale, bands=made)


SLOW = pytest.mark.slow


@pytest.mark.parametrize("pixels", [pytest.param(0.96, marks=SLOW), 1.3, pytest.param(1.7, marks=SLOW)])
def test_a_psf_as_narrow_as_the_pixels_runs_through_all_stages(climb, pixels):
    """Roman in F129, the least that is asked for, Euclid in IE; its band has a name of its own."""
    scale = 0.1
    space = survey(scale, pixels * scale, ["IE"])
    made = climb([crowd(0)], of=space, bands=["IE"], shape_band="IE", deblender="joint_fit", **SPACE)
    alone, oracle = on(made, "isolated", "IE"), on(made, "oracle", "IE")
    assert len(alone) > 40 and np.array_equal(alone["det_id"], oracle["det_id"])
    assert np.isfinite(alone["sigma_psf"]).all() and 0.4 < alone["sigma_psf"][0] < 0.9
    np.testing.assert_allclose(alone["flux_ap"], oracle["flux_ap"], rtol=0.1, atol=6)
    # galaxies are wider than the PSF: their shapes are measured
    bright = np.asarray(alone["snr_ap"]) > 30
    good = np.asarray(alone["shape_flag"])[bright] == 0
    assert bright.sum() > 10 and good.mean() > 0.8
    assert len(made.scores) and np.isfinite(np.asarray(on(made, "pipeline", "IE")["flux_ap"])).any()


def overlay(tmp_path, band, survey="des", **more):
    """Return the study with the survey and band in the row of shapes, checked."""
    keys = {"survey": survey, "bands": [band], "shape_band": band, "scenarios": {}, **more}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"cases": {"two_point": keys}}))
    return study.validate(study.load_config([path]), [CONFIG_DIR / "config.yaml", path])


def test_a_band_in_which_sources_have_no_light_is_refused_before_any_job(tmp_path):
    data = yaml.safe_load((CONFIG_DIR / "surveys/roman.yaml").read_text()) | {"name": "space"}
    for band in data["bands"].values():
        del band["light"]
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(StudyError, match=r"no light in 'F129' of the survey .*(?s:.*)bands\.F129\.light"):
        overlay(tmp_path, "F129", str(tmp_path / "space.yaml"))


@pytest.mark.parametrize(
    "stamp, says",
    [(0.5, r"is 0.5 arcsec, 4.5\d+ pixels.*(?s:.*)9 to 801 pixels"), (120.0, "is 120.0 arcsec, 1091 pixels")],
)
def test_stamps_that_hold_nothing_or_fill_the_memory_are_refused(tmp_path, stamp, says):
    with pytest.raises(StudyError, match=says):
        overlay(tmp_path, "F129", "roman", stamp=stamp, patch={"border": 600})


def test_magnitudes_of_a_band_are_those_of_the_band_that_stands_for_it():
    assert {name: band.light for name, band in load_survey("roman").bands.items()} == dict.fromkeys(
        ("F106", "F129", "F158"), "y"
    )
    assert load_survey("euclid_vis").band("IE").light == "i" and load_survey("des").band("Y").light == "y"
    assert [band.light for band in load_survey("lsst_y1").bands.values()] == list("ugrizy")
