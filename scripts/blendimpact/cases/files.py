"""The files of a case: its row of the board, its requirements, its external checks, its page."""

import os
from pathlib import Path

from .base import case_names

BOARD, REQUIREMENTS, CHECKS = "board.yaml", "requirements.yaml", "external_checks.yaml"
FOLDER = Path(__file__).parent


def case_files(name, cases=None):
    """Return {case: path} of the file ``name`` of those of the ``cases`` (default all) that have one."""
    paths = {case: FOLDER / case / name for case in (case_names() if cases is None else cases)}
    return {case: path for case, path in paths.items() if path.is_file()}


def published_files(cases=None):
    """Return what is written of some cases (default all, and what is of no case), as seen from the working directory.

    Their rows of the board, their requirements and their external checks.
    """
    found = [path for name in (BOARD, REQUIREMENTS, CHECKS) for path in case_files(name, cases).values()]
    return sorted(os.path.relpath(path) for path in found + ([FOLDER / CHECKS] if cases is None else []))
