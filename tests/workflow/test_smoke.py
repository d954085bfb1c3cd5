"""The smoke study from nothing: fetched catalogues and images, every stage, the matrix."""

import os
import subprocess
import sys

import pytest
from harness import ROOT, run_snakemake
from test_run import TABLES, digests

pytestmark = pytest.mark.slow


@pytest.fixture
def fetched():
    """Environment in which pip answers, or a skip that says that it does not."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", os.devnull, "pip==0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "from versions: none" in done.stderr or "No matching distribution" not in done.stderr:
        pytest.skip("the package index cannot be reached: the inputs cannot be fetched")


def test_smoke_from_the_real_inputs(tmp_path, fetched):
    done = run_snakemake(tmp_path, "--cores", 2, "--configfile", ROOT / "config" / "presets" / "smoke.yaml")
    assert done.returncode == 0, done.stdout[-6000:]
    assert set(digests(tmp_path, "smoke")) == set(TABLES)
