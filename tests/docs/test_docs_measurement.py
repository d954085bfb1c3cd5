"""The worked example of docs/add-a-measurement.md: a measurement is one file and some lines of configuration."""

import re
import sys

import numpy as np
import pytest
import yaml
from astropy.table import Table
from blendimpact import measure
from blendimpact.cases.base import case_names, load_case, needed_measurements
from blendimpact.config.study import load_config
from blendimpact.deblend import DEBLENDERS
from blendimpact.errors import StudyError
from blendimpact.ladder.kinds import ladder_of
from blendimpact.ladder.objects import wide
from blendimpact.measure import MEASUREMENTS
from blendimpact.stages.plan import Job, read_study
from harness import ROOT
from measured import measured
from pages import blocks, lay_out, table_after
from patch_maker import PSF_SIGMA, SCALE, make_patch, scene

PAGE = "docs/add-a-measurement.md"
SHAPE = (90, 120)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """A folder with the page's files; its module is in the family's package."""
    lay_out(PAGE, tmp_path)
    folder = tmp_path / "scripts/blendimpact/measure"
    monkeypatch.setattr(measure, "__path__", [*measure.__path__, str(folder)])
    yield folder
    for name in ("concentration", "other"):
        MEASUREMENTS._members.pop(name, None)
        sys.modules.pop(f"blendimpact.measure.{name}", None)


def study(*presets, **galaxies):
    """Return the plan of the page's configuration over presets, with other options of the example if given."""
    text = yaml.safe_load(blocks(PAGE, "yaml")[0].text)
    if galaxies:
        text["cases"]["galaxies"]["measure"]["measurements"] = galaxies
    return read_study(load_config(presets, text), None)


def test_the_page_names_the_members(example):
    assert (
        sorted([*(row[0].strip("`") for row in table_after(PAGE, "on every rung")), "concentration"])
        == MEASUREMENTS.names()
    )


def test_what_a_case_needs_is_known_without_importing_it():
    for name in case_names():
        needed = needed_measurements(name)
        assert needed == load_case(name).measurements and set(needed) <= set(MEASUREMENTS.names())
        assert MEASUREMENTS.together(needed).environment == "imaging"


def test_the_configuration_adds_it_to_one_case(example):
    plan = study()
    asked = plan.settings["galaxies", "fiducial"]["measure"]["measurements"]
    assert asked == {
        "aperture": {},
        "kron": {"factor": 2.0},
        "moments": {},
        "weighted": {},
        "concentration": {"outer": 4.0},
    }
    assert list(plan.settings["crowded_fields", "fiducial"]["measure"]["measurements"]) == ["psf", "fitted"]
    assert not plan.settings["transients", "fiducial"]["measure"]["measurements"]
    compared = study(ROOT / "config" / "presets" / "reference.yaml")
    sky = compared.settings["galaxies", "compare_real"]["measure"]["measurements"]
    assert sky["kron"] == {"factor": 2.0} and "concentration" not in sky
    columns = ladder_of(plan.settings["galaxies", "fiducial"]).tables["measurements"]
    assert list(columns)[-2:] == ["flux_outer", "concentration"]


def test_its_jobs_are_as_it_says_and_have_one_environment(example):
    path = example / "concentration.py"
    ours = '    environment = "scarlet"\n    memory_mb = 3000\n\n    columns = {'
    path.write_text(path.read_text(encoding="utf-8").replace("    columns = {", ours, 1), encoding="utf-8")
    plan = study()
    for job, environment, memory in (
        (Job("galaxies"), "scarlet", 3000),
        (Job("two_point"), "imaging", 1000),
        (Job("transients"), "imaging", 1000),
    ):
        assert plan.environment_for("measure")(job) == f"../envs/{environment}.yaml"
        assert plan.memory_for("measure")(job) == memory
    second = path.read_text(encoding="utf-8").replace('"concentration")', '"other")').replace('"scarlet"', '"fetch"')
    (example / "other.py").write_text(second, encoding="utf-8")
    with pytest.raises(StudyError, match="several environments: fetch, scarlet"):
        study(concentration={}, other={})


@pytest.mark.parametrize(
    "options, words",
    [
        ({"outter": 3.0}, "no option 'outter'"),
        ({"outer": "wide"}, "must be a number"),
        ({"outer": 0}, "more than 0"),
        ({"outer": 0.5}, "choose inner below outer"),
    ],
)
def test_wrong_options_are_refused_when_the_study_is_read(example, options, words):
    with pytest.raises(StudyError, match=r"cases.galaxies.measure.measurements.concentration(.|\n)*" + words):
        study(concentration=options)
    with pytest.raises(StudyError, match="did you mean 'concentration'"):
        study(concentrate={})


def test_it_measures(example):
    image = scene(SHAPE, [(40.2, 50.3, 4000.0), (80, 40, 9000.0)])
    patch = make_patch({"g": image, "i": 2 * image})
    x, y = np.array([40.2, 80.0, np.nan]), np.array([50.3, 40.0, 10.0])
    children = DEBLENDERS.create("none").deblend(patch, {}, Table({"det_id": [1, 2, 3], "x": x, "y": y}), 41)
    table = measured(children, x, y, patch, ("concentration",), "i")
    # of a Gaussian, whose samples are square pixels of variance 1/12
    light = [1 - np.exp(-((d / 2 / SCALE) ** 2) / (2 * (PSF_SIGMA**2 + 1 / 12))) for d in (0.8, 3.0)]
    found = table[table["band"] == "i"]
    np.testing.assert_allclose(found["concentration"][:2], 2.5 * np.log10(light[1] / light[0]), rtol=0.02)
    np.testing.assert_allclose(found["flux_outer"][:2], [8000 * light[1], 18000 * light[1]], rtol=0.01)
    assert np.isnan(found["concentration"][2]) and np.isnan(table["concentration"][table["band"] == "g"]).all()
    for name in ("patch", "twin", "rung"):
        table[name] = 0
    objects = wide(table, ["g", "i"], "i")
    assert {"concentration", "flux_outer_g", "flux_outer_i"} <= set(objects)
    np.testing.assert_allclose(objects["flux_outer_i"], 2 * objects["flux_outer_g"], rtol=1e-6)


def test_the_entry_point_is_of_the_group_that_is_read():
    group = re.search(r'entry-points\."([^"]+)"', blocks(PAGE, "toml")[0].text)[1]
    assert group == f"blendimpact.{MEASUREMENTS.config_key}"
