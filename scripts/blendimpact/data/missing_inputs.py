"""Products that could not be made because an optional input is not to be had.

A workflow whose graph is known beforehand needs a file under every name. Where an optional
input is missing, each product that would need it is a small JSON file that says so; the scoring
turns it into `not quantified` with the reason.
"""

import json
from pathlib import Path

from .whole import opened

_KEY = "absent"
_IN_FOLDER = "absent.json"
_LIMIT = 65536  # bytes: a marker is short, so a big product is never parsed


def mark(paths, reason):
    """Write a marker with ``reason`` under each of ``paths``; a path without an ending is a folder that holds it."""
    for path in paths:
        path = Path(path) if Path(path).suffix or Path(path).is_file() else Path(path, _IN_FOLDER)
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened(path) as file:
            file.write(json.dumps({_KEY: reason}) + "\n")


def reason(paths):
    """Return why the first absent one of ``paths`` is absent, or None if none is.

    Markers count, and receipts of the fetch stage with the status "missing".
    """
    for path in paths:
        path = Path(path, _IN_FOLDER) if Path(path).is_dir() else Path(path)
        if not path.is_file() or path.stat().st_size > _LIMIT:
            continue
        with open(path, "rb") as file:
            if file.read(1) != b"{":
                continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, ValueError):
            continue
        if isinstance(data, dict):
            if _KEY in data:
                return data[_KEY]
            if data.get("status") == "missing":
                return data["reason"]
    return None
