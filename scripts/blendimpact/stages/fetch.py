"""Fetch one pinned input."""

from pathlib import Path

from ..config.registry import load_inputs
from ..data.packages import fetch
from ..errors import StudyError


def run(name, spec_path, outputs, log=None):
    """Fetch the input ``name`` of ``spec_path`` into the folder of its receipt, the only output."""
    inputs = load_inputs(spec_path)
    if name not in inputs:
        raise StudyError(f"there is no input {name!r}", str(spec_path), f"choose one of {', '.join(inputs)}")
    fetch(inputs[name], Path(outputs[0]).parent, log)
