"""The cluster that the tests of this folder share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cluster as slurm


@pytest.fixture(scope="session")
def executor_python(root):
    """The interpreter of the environment that has the SLURM executor."""
    python = root / ".venv-slurm" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venv-slurm: `make env-slurm` makes it")
    return python


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A running one-node SLURM."""
    why = slurm.obstacle()
    if why:
        pytest.skip(why)
    with slurm.Cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running
