"""Fixtures that all tests share."""

import pytest
from harness import ROOT, copy_tree


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
