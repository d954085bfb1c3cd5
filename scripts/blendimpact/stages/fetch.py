"""Fetch one pinned input."""

from pathlib import Path

from ..config.registry import load_inputs
from ..data.packages import fetch
from ..errors import StudyError


def run(name, spec, receipt_out, log=None):
    """Fetch the input ``name`` of the file ``spec`` into the folder of its receipt."""
    inputs = load_inputs(spec)
    if name not in inputs:
        raise StudyError(f"there is no input {name!r}", str(spec), f"choose one of {', '.join(inputs)}")
    fetch(inputs[name], Path(receipt_out).parent, log)
