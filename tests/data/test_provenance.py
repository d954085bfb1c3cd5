"""Provenance: what is recorded, that runs do not change it, and what reruns when code changes."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from blendimpact.data import catalogues
from blendimpact.data import provenance as pv


@pytest.fixture
def inputs(tmp_path):
    """Return two input files, one of them of some MB."""
    small, big = tmp_path / "small.csv", tmp_path / "big.bin"
    small.write_text("a\n1\n")
    big.write_bytes(bytes(range(256)) * 10000)
    return small, big


# --- the record ------------------------------------------------------------------------------------


def test_the_record_holds_what_a_reader_needs(inputs):
    prov = pv.provenance(config_digest="abc", seed=5, inputs=inputs, stage="simulate")
    assert prov["config"] == "abc" and prov["seed"] == 5 and prov["stage"] == "simulate"
    assert prov["code"]["version"] and re.fullmatch("[0-9a-f]{16}", prov["code"]["library"])
    assert prov["libraries"]["numpy"] == np.__version__
    assert prov["libraries"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert [i["name"] for i in prov["inputs"]] == ["small.csv", "big.bin"]
    for item, path in zip(prov["inputs"], inputs):
        assert item["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_record_names_no_place_host_user_or_date(inputs, monkeypatch):
    text = json.dumps(pv.provenance("c", 1, inputs))
    for word in (str(Path.home()), str(inputs[0].parent), os.uname().nodename, str(Path.cwd()), "/tmp"):
        assert word not in text
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b|\d\d:\d\d:\d\d", text)
    again = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json, sys; from blendimpact.data import provenance as p; "
            "print(json.dumps(p.provenance('c', 1, sys.argv[1:])))",
            *map(str, inputs),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(pv.ROOT), "PYTHONHASHSEED": "7"},
        cwd=pv.ROOT,
    )
    assert again.stdout.strip() == text


def test_inputs_below_the_working_directory_keep_their_folder(inputs, monkeypatch):
    monkeypatch.chdir(inputs[0].parent.parent)
    name = pv.provenance(inputs=[inputs[0]])["inputs"][0]["name"]
    assert name == f"{inputs[0].parent.name}/small.csv"


def test_fits_header_round_trip(inputs, tmp_path):
    prov = pv.provenance(config_digest=pv.digest_of({"a": 1}), seed=20181116, inputs=inputs, stage="x" * 100)
    cards = pv.cards(prov)
    header = fits.Header()
    for key, value in cards.items():
        header[key] = value
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(header=header).writeto(path)
    read = fits.getheader(path)
    for key, value in cards.items():
        assert len(key) <= 8
        assert read[key] == (value[0] if isinstance(value, tuple) else value)
    assert read["SEED"] == 20181116
    assert read["INSHA002"] == prov["inputs"][1]["sha256"]
    fits.open(path).verify("exception")


def test_table_metadata_round_trip_and_stacking(inputs, tmp_path):
    prov = pv.provenance(config_digest="d", seed=1, inputs=inputs)
    table = catalogues.describe(Table({"x": [1.0]}), {"x": ("pix", "position")})
    catalogues.write(table, tmp_path / "t.parquet", pv.meta(prov))
    read = catalogues.read(tmp_path / "t.parquet")
    assert pv.read_meta(read.meta) == prov
    assert pv.read_meta(catalogues.stack([read, read]).meta) == prov  # not merged entry by entry
    assert pv.read_meta({}) is None


def test_files_of_the_project_have_one_name_from_everywhere(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "config").mkdir(parents=True)
    (project / "runs" / "results").mkdir(parents=True)
    monkeypatch.setattr(pv, "ROOT", project / "scripts")
    for folder in (tmp_path, project, project / "runs"):
        monkeypatch.chdir(folder)
        assert pv._name(os.path.relpath(project / "config" / "a.yaml")) == "config/a.yaml"
        assert pv._name("results/b.parquet") == "results/b.parquet"
    assert pv._name("/elsewhere/my.fits") == "my.fits"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit; ``git`` runs git in it."""

    def git(*words):
        command = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-C", str(tmp_path), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    git("init", "-q")
    (tmp_path / "f").write_text("1")
    git("add", "f")
    assert git("commit", "-qm", "first").returncode == 0
    monkeypatch.setattr(pv, "ROOT", tmp_path / "scripts")
    pv._git.cache_clear()
    yield git
    pv._git.cache_clear()


def test_git_description_only_of_the_projects_own_repository(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(pv, "ROOT", tmp_path / "inner" / "scripts")
    (tmp_path / "inner/scripts").mkdir(parents=True)
    assert pv._git() is None  # a repository that merely encloses the project
    monkeypatch.setattr(pv, "ROOT", tmp_path / "scripts")
    pv._git.cache_clear()
    clean = pv._git()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "f").write_text("2")
    pv._git.cache_clear()
    assert pv._git() == f"{clean}-dirty"


def test_git_description_does_not_depend_on_settings_of_a_user(repository, tmp_path, monkeypatch):
    clean = pv._git()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text("[core]\n\tabbrev = 5\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))  # as within a hook
    pv._git.cache_clear()
    assert pv._git() == clean


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_git_description_of_a_checkout_of_another_owner(repository, tmp_path, monkeypatch):
    clean = pv._git()
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 12345, 12345)
    assert "dubious ownership" in repository("describe", "--always").stderr
    pv._git.cache_clear()
    assert pv._git() == clean


# --- digests of values -----------------------------------------------------------------------------


def test_digest_is_of_the_value_not_of_its_form():
    assert pv.digest_of({"a": 1, "b": [1, 2.5, None, True]}) == pv.digest_of({"b": (1, 2.5, None, True), "a": 1})
    assert pv.digest_of({"a": np.int64(3), "b": np.float64(0.1)}) == pv.digest_of({"a": 3, "b": 0.1})
    assert pv.digest_of(Path("a/b")) == pv.digest_of("a/b")
    different = [1, 1.0, "1", True, [1], {"1": 1}, None, "", [], [[]], "é", "e"]
    assert len({pv.digest_of(v) for v in different}) == len(different)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {None: 1}}, {1, 2}])
def test_digest_refuses_what_has_no_stable_form(value):
    with pytest.raises(TypeError):
        pv.digest_of(value)


# --- digests of code -------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Return the folder of a small library, ``toylib``, of the same shape."""
    files = {
        "__init__.py": "",
        "core/__init__.py": "",
        "core/base.py": "import numpy as np\n",
        "core/late.py": "",
        "core/registry.py": "class Family: ...\n",
        "core/other.py": "",
        "detect/__init__.py": "from ..core.registry import Family\nDETECTORS = Family('detector', 'toylib.detect')\n",
        "detect/sep.py": "from . import DETECTORS\nfrom ..core.other import x\n",
        "detect/tools.py": "",
        "measure/__init__.py": "",
        "measure/sky.py": "def f():\n    from ..core import late\n",
        "measure/shapes.py": "from .sky import f\nimport toylib.core.base\n",
        "measure/table.txt": "1 2 3\n",
        "measure/extra/__init__.py": "",
        "measure/extra/deep.py": "from ...core import base as b\n",
        "cases/__init__.py": "",
        "cases/two/__init__.py": "",
        "cases/two/foms.py": "",
        "stages/__init__.py": "",
        "stages/detect.py": "from ..detect import DETECTORS\n",
        "stages/measure.py": "from ..measure import shapes\nfrom ..detect.tools import *\n",
        "stages/score.py": "import importlib\nfrom .. import cases\n",
    }
    root = tmp_path / "scripts"
    for name, text in files.items():
        (root / "toylib" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "toylib" / name).write_text(text)
    monkeypatch.syspath_prepend(root)
    return root / "toylib"


def covered(stage):
    pv._graph.cache_clear()
    return {name.removeprefix("toylib.") for name in pv.stage_modules(stage, "toylib")} - {"toylib"}


def digests():
    pv._graph.cache_clear()
    return {stage: pv.stage_digest(stage, "toylib") for stage in ("detect", "measure", "score")}


def changed(before):
    return {stage for stage, digest in digests().items() if digest != before[stage]}


def test_a_stage_covers_exactly_what_it_imports(library):
    assert covered("measure") == {
        "core",
        "core.base",
        "core.late",
        "core.registry",
        "measure",
        "measure.shapes",
        "measure.sky",
        "detect",
        "detect.tools",
        "stages",
        "stages.measure",
    }
    # the family is imported by name, so all its members are found at run time
    assert covered("detect") == {
        "core",
        "core.registry",
        "core.other",
        "detect",
        "detect.sep",
        "detect.tools",
        "stages",
        "stages.detect",
    }
    assert covered("score") == {"cases", "cases.two", "cases.two.foms", "stages", "stages.score"}
    with pytest.raises(Exception, match="nothing"):
        pv.stage_digest("nothing", "toylib")


@pytest.mark.parametrize(
    "file, stages",
    [
        ("core/base.py", {"measure"}),
        ("core/late.py", {"measure"}),  # imported inside a function
        ("core/other.py", {"detect"}),  # imported by a member of a family
        ("detect/sep.py", {"detect"}),
        ("detect/tools.py", {"detect", "measure"}),
        ("core/registry.py", {"detect", "measure"}),
        ("measure/extra/deep.py", set()),  # nobody imports it
        ("measure/table.txt", {"measure"}),  # data of a module
        ("cases/two/foms.py", {"score"}),
        ("__init__.py", {"detect", "measure", "score"}),
    ],
)
def test_an_edit_changes_the_digests_of_the_stages_that_import_it_and_of_no_other(library, file, stages):
    before, whole = digests(), pv.library_digest("toylib")
    path = library / file
    path.write_text(path.read_text() + "\nedited = True\n")
    assert changed(before) == stages
    assert (pv.library_digest("toylib") != whole) == (path.suffix == ".py")


def test_a_new_member_of_a_family_changes_only_its_stage(library):
    before = digests()
    (library / "detect/dog.py").write_text("from . import DETECTORS\n")
    assert changed(before) == {"detect"}


def test_a_new_import_counts_at_once(library):
    before = digests()
    (library / "cases/two/foms.py").write_text("from ...core import base\n")
    assert "core.base" in covered("score")
    assert changed(before) == {"score"}


def test_moving_text_between_modules_changes_the_digest(library):
    first, second = (library / "detect" / name for name in ("sep.py", "tools.py"))
    before = digests()
    text = first.read_text()
    first.write_text("")
    second.write_text(text)
    assert "detect" in changed(before)


def test_the_digest_is_of_the_source_not_of_its_place_or_time(library, tmp_path, monkeypatch):
    before, whole = digests(), pv.library_digest("toylib")
    shutil.copytree(library, tmp_path / "elsewhere" / "toylib")
    os.utime(tmp_path / "elsewhere" / "toylib" / "core" / "base.py", (0, 0))
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert pv.source_of("toylib").is_relative_to(tmp_path / "elsewhere")
    assert digests() == before and pv.library_digest("toylib") == whole


def test_what_is_read_of_the_real_library_is_what_python_loads():
    """Python's own record of a fresh import of a driver is a subset of what is read from the source."""
    for stage in ("fetch", "measure", "matrix"):
        code = (
            f"import sys, blendimpact.stages.{stage}; "
            "print(*(m for m in sys.modules if m.split('.')[0] == 'blendimpact'))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=pv.ROOT)
        loaded = set(done.stdout.split())
        assert {"blendimpact.errors", f"blendimpact.stages.{stage}"} < loaded <= set(pv.stage_modules(stage))
