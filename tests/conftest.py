"""Fixtures that all tests share."""

import os

# Before NumPy is imported: each test process is one core, and BLAS with more threads than cores costs many times over.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import importlib

import pytest
from harness import ROOT, copy_tree

# Those that run studies, and those that compile: none of them is to be the last.
LONGEST = ("test_smoke", "test_run", "test_scarlet2", "test_docs_pair", "test_slurm", "test_sdm_conda",
           "test_benchmarks", "test_docs_examples", "test_dag")


def pytest_collection_modifyitems(items):
    """Put the longest files first: distributed by files, no worker is left with one of them at the end."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session")
def root():
    """The directory of the project."""
    return ROOT


@pytest.fixture
def tree(tmp_path):
    """A copy of the workflow that a test may edit."""
    copy = tmp_path / "tree"
    copy_tree(copy)
    return copy


@pytest.fixture
def without_sfft(monkeypatch):
    """The package sfft cannot be imported, whether it is installed or not."""
    real = importlib.import_module

    def none(name, *rest):
        if name.startswith("sfft"):
            raise ModuleNotFoundError(f"No module named {name}", name="sfft")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", none)
