"""The worked example of docs/add-a-deblender.md does what the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.table import Table
from blendimpact.config import study as config
from blendimpact.data.children import DEBLEND_BITS
from blendimpact.deblend import DEBLENDERS, scarlet_lite, scarlet_v1
from blendimpact.deblend.base import BITS
from blendimpact.errors import StudyError
from blendimpact.stats.streams import stream
from patch_maker import make_patch, peak_snr_flux, scene

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-deblender.md"
REFERENCE = "config/presets/reference.yaml"
SHAPE = (90, 120)
FLUX = peak_snr_flux(200)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture
def nearest(tmp_path):
    """The example, loaded as the module that the page says to save it as."""
    DEBLENDERS.names()
    name = "blendimpact.deblend.nearest"
    path = tmp_path / "nearest.py"
    path.write_text(blocks("python")[0], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.modules.pop(name)
        DEBLENDERS._members.pop("nearest", None)


def make():
    image = scene(SHAPE, [(40, 50, FLUX), (52, 50, 2 * FLUX)]) + stream(1, "docs").normal(size=SHAPE)
    return make_patch({"g": image, "i": 2 * image})


def test_the_example_deblends(nearest):
    patch = make()
    deblender = DEBLENDERS.create("nearest", {"core": 0.8})
    table = Table({"det_id": [7, 8, 9, 10], "x": [40.0, 52.0, -30.0, np.nan], "y": [50.0, 50.0, 2.0, 2.0]})
    children = deblender.deblend(patch, {"g": np.full(SHAPE, 0.5), "i": np.full(SHAPE, 1.0)}, table, 41)
    assert children.stamps.shape == (4, 2, 41, 41) and children.det_id.tolist() == [7, 8, 9, 10]
    # Half of the way between the centres is x = 46: column 26 of the first stamp, column 14 of the second.
    assert not children.stamps[0, 0, :, 27:].any() and not children.stamps[1, 0, :, :14].any()
    np.testing.assert_allclose(children.stamps[0, 0, 20, :26], patch.bands["g"].science[50, 20:46] - 0.5, atol=1e-4)
    np.testing.assert_allclose(children.stamps[:, 1], 2 * children.stamps[:, 0], rtol=1e-5, atol=1e-3)
    second = children.stamps[1, 0]
    assert (second[second != 0] + 0.5).sum() == pytest.approx(2 * FLUX, rel=0.1)
    assert children.status[:2].tolist() == [0, 0] and (children.status[2:] & BITS.OUTSIDE).all()
    assert not children.stamps[2:].any()


def test_the_example_flags_what_it_lost(nearest):
    patch = make()
    patch.bands["i"].mask[50, 41] = 1
    table = Table({"det_id": [1, 2], "x": [40.0, 43.0], "y": [50.0, 50.0]})
    children = DEBLENDERS.create("nearest").deblend(patch, {}, table, 21)
    assert (children.status & BITS.CROWDED).all()
    assert children.status[0] & BITS.MASKED
    assert len(DEBLENDERS.create("nearest").deblend(patch, {}, table[:0], 21)) == 0


def test_the_lines_to_try_it_run_as_printed(nearest, capsys):
    exec(blocks("python")[1], {"patch": make()})
    shape, rest = capsys.readouterr().out.strip().split("\n")
    assert shape == "(2, 2, 41, 41)"
    assert float(rest.split()[0]) == pytest.approx(FLUX, rel=0.1) and rest.endswith("[]")


def test_the_configuration_is_of_the_form_that_the_study_reads(nearest):
    overlay = yaml.safe_load(blocks("yaml")[0])
    name = overlay["cases"]["two_point"]["deblender"]
    assert DEBLENDERS.create(name, overlay["deblenders"][name]).core == 0.8
    with pytest.raises(StudyError, match="no option .radius.*\n.*core"):
        DEBLENDERS.create(name, {"radius": 1})
    config.validate(config.load_config(overrides=overlay))


def test_the_example_enters_the_comparison_by_its_line(nearest):
    line = yaml.safe_load(blocks("yaml")[1])
    assert f"`snakemake comparison_page --configfile {REFERENCE} " in PAGE.read_text(encoding="utf-8")
    study = config.load_config([PAGE.parents[1] / REFERENCE], {**line, "deblenders": {"nearest": {"core": 0.8}}})
    checked = config.validate(study, families={"deblenders": DEBLENDERS})
    assert "nearest" in checked["comparison"]["deblenders"]
    study["comparison"]["deblenders"][-1] = "nearst"
    with pytest.raises(StudyError, match="did you mean 'nearest'"):
        config.validate(study, families={"deblenders": DEBLENDERS})


def test_install_notes_are_those_of_the_messages_and_every_bit_that_is_named_exists():
    page = PAGE.read_text(encoding="utf-8")
    for module in (scarlet_v1, scarlet_lite):
        for line in module.INSTALL.split("\n"):
            assert f"\n{line.strip()}\n" in page
    names = {name for name, _ in DEBLEND_BITS.values()}
    assert set(re.findall(r"BITS\.([A-Z_]+)", page)) | {"SPLIT"} <= names
