"""Fixtures that all tests share."""

import os

# Before NumPy is imported: each test process is one core, and BLAS with more threads than cores costs many times over.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import importlib

import numpy as np
import pytest
import synthetic
from astropy.table import Table
from harness import ROOT, copy_tree

# Those that run studies, and those that compile: none of them is to be the last.
LONGEST = (
    "test_smoke",
    "test_run",
    "test_scarlet2",
    "test_docs_pair",
    "test_slurm",
    "test_sdm_conda",
    "test_benchmarks",
    "test_docs_examples",
    "test_dag",
)


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


@pytest.fixture(scope="session")
def galaxies():
    """A made population, in the columns of build_galaxies."""
    rng, n = np.random.default_rng(7), 3000
    i = np.linspace(16, 28.8, n)
    table = Table({"redshift": rng.uniform(0.1, 2, n)})
    for k, b in enumerate("ugrizy"):
        table[f"mag_{b}"], table[f"bulge_fraction_{b}"] = i + 0.4 * (3 - k), rng.uniform(0, 0.5, n)
    for part, n_sersic in (("bulge", 4.0), ("disk", 1.0)):
        table[f"hlr_{part}"] = 0.2 * 10 ** (-0.1 * (i - 25)) * rng.uniform(0.7, 1.3, n)
        table[f"q_{part}"], table[f"n_{part}"] = rng.uniform(0.3, 1, n), n_sersic
    return table


@pytest.fixture(scope="session")
def stars():
    """Made stars, in the columns of build_stars."""
    return Table({f"mag_{b}": np.linspace(17, 27, 400) for b in "ugrizy"})


@pytest.fixture(scope="session")
def supernovae(tmp_path_factory):
    """Made supernovae of a flat spectrum: colours have closed forms."""
    return synthetic.supernovae(tmp_path_factory.mktemp("sed") / "sed.fits")


@pytest.fixture
def without_sfft(monkeypatch):
    """The package sfft cannot be imported, whether it is installed or not."""
    real = importlib.import_module

    def none(name, *rest):
        if name.startswith("sfft"):
            raise ModuleNotFoundError(f"No module named {name}", name="sfft")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", none)
