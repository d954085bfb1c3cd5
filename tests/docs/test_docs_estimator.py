"""The worked example of docs/add-an-estimator.md: an estimator is one file and some lines of configuration."""

import re
import sys

import numpy as np
import pytest
import yaml
from blendimpact import photoz
from blendimpact.config.study import load_config
from blendimpact.errors import StudyError
from blendimpact.photoz import ESTIMATORS
from blendimpact.photoz.base import POINT, Photometry, estimate
from blendimpact.stages.plan import Job, read_study
from pages import blocks, lay_out, table_after

PAGE = "docs/add-an-estimator.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The page's files; its module is in the family's package."""
    lay_out(PAGE, tmp_path)
    folder = tmp_path / "scripts/blendimpact/photoz"
    monkeypatch.setattr(photoz, "__path__", [*photoz.__path__, str(folder)])
    yield folder
    ESTIMATORS._members.pop("likelihood", None)
    sys.modules.pop("blendimpact.photoz.likelihood", None)


def test_the_page_names_the_members():
    assert [row[0].strip("`") for row in table_after(PAGE, "template fits do")] == ["neighbours", "boosting"]
    assert sorted(["neighbours", "boosting"]) == ESTIMATORS.names()


def test_the_configuration_chooses_it(example):
    text = yaml.safe_load(blocks(PAGE, "yaml")[0].text)
    plan = read_study(load_config(overrides=text), None)
    assert plan.member(Job("two_point", "photo_z"), "estimate") == (ESTIMATORS, "likelihood")
    assert plan.options_for("estimate")(Job("two_point", "photo_z")) == {"floor": 0.03}
    with pytest.raises(StudyError, match="no option 'flor'"):
        read_study(load_config(overrides={**text, "estimators": {"likelihood": {"flor": 1}}}), None)


def test_it_estimates_redshifts(example):
    rng = np.random.default_rng(3)
    z = rng.uniform(0.1, 1.5, 400)
    fluxes = 100 * 10 ** (0.4 * np.outer(z, [0.0, 1.0, 2.0]))
    training = Photometry(("g", "r", "i"), fluxes, np.ones((400, 3)), np.ones(3), "i")
    objects = Photometry(("g", "r", "i"), 3 * fluxes[:20], np.ones((20, 3)), np.ones(3), "i")
    found = estimate(ESTIMATORS.create("likelihood", {"floor": 0.02}), training, z, objects)
    np.testing.assert_allclose(found[:, POINT], z[:20], atol=0.03)


def test_the_entry_point_is_of_the_group_that_is_read():
    group = re.search(r'entry-points\."([^"]+)"', blocks(PAGE, "toml")[0].text)[1]
    assert group == f"blendimpact.{ESTIMATORS.config_key}"
