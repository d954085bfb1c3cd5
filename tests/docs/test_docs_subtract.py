"""The worked example of docs/add-a-subtraction-engine.md does what the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from blendimpact.ladder.rungs import REFERENCE, RUNGS
from blendimpact.report.comparison.engines import FIGURES_OF_MERIT
from blendimpact.search.filters import matched_filter
from blendimpact.subtract import SUBTRACTORS, sfft
from blendimpact.subtract.base import SUBTRACTION_BITS
from epochs import empty, pair

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-subtraction-engine.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture
def cross(tmp_path):
    """The example, loaded as the module that the page says to save it as."""
    SUBTRACTORS.names()
    name = "blendimpact.subtract.cross"
    path = tmp_path / "cross.py"
    path.write_text(blocks("python")[0], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.modules.pop(name)
        SUBTRACTORS._members.pop("cross", None)


def test_the_example_states_its_noise_and_keeps_fluxes(cross):
    engine = SUBTRACTORS.create("cross")
    difference = engine.subtract(*empty((0.9, 0.7), 512))
    assert matched_filter(difference).snr[difference.good].std() == pytest.approx(1, abs=0.03)
    science, template, static = pair(3, (0.9, 0.7))
    difference = engine.subtract(science, template)
    assert difference.status == 0 and difference.psf.sum() == pytest.approx(1)
    assert difference.chi2(static > 3)[0] == pytest.approx(1, abs=0.1)


def test_the_lines_to_try_it_run_as_printed(cross, capsys):
    science, template = empty((0.9, 0.7), 160)
    half = science.psf.shape[0] // 2
    science.science[70 - half : 71 + half, 60 - half : 61 + half] += (300 * science.psf).astype(np.float32)
    names = {"science": science, "template": template}
    exec(blocks("python")[1], names)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "[] 1.0"
    assert len(names["search"](names["difference"], 5)) == 1
    table = names["forced"](names["difference"], [60.0], [70.0])
    assert table["flux"][0] == pytest.approx(300, abs=4 * table["flux_err"][0])
    assert 0 < float(out[-1]) < 1


def test_members_bits_and_the_way_to_install_sfft_are_those_of_the_code():
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page.partition("\n## ")[0], flags=re.M)
    assert sorted(rows) == SUBTRACTORS.names()
    assert f"{sfft.INSTALL}\n" in blocks("sh")
    assert set(re.findall(r"BITS\.([A-Z_]+)", page)) <= {name for name, _ in SUBTRACTION_BITS.values()}
    rungs = re.findall(r"^\| (\w+) \|", page.partition("| rung |")[2].partition("\n\n")[0], flags=re.M)
    assert rungs == [REFERENCE, *RUNGS]


def test_the_study_that_the_page_shows_is_valid(cross):
    from blendimpact.config import study as config

    case, comparison = (yaml.safe_load(text) for text in blocks("yaml"))
    for text in (case, comparison):
        checked = config.validate(config.load_config(overrides=text), families={"subtractors": SUBTRACTORS})
        if text is case:
            assert config.separator(config.case_settings(checked, "transients")) == "cross"
        else:
            assert "cross" in config.compared_engines(checked)


def test_the_figures_of_merit_of_engines_are_those_of_the_code():
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("| measured on |") : page.index("CPU per megapixel and memory")]
    named = set(re.findall(r"`([a-z_0-9]+(?:\.[a-z]+)?)`", table))
    assert named == {fom.id for fom in FIGURES_OF_MERIT if not fom.id.startswith("status.")}
