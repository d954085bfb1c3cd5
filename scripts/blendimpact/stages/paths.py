"""Paths of what all studies share."""

import os

from ..config.files import CONFIG_DIR
from ..populations import POPULATIONS

INPUTS = "results/inputs"
"""Folder of what is fetched, and of the tables made of it: all studies share them."""


def config_file(name):
    """Return the path of a file of ``config/``, relative to the working directory."""
    return os.path.relpath(CONFIG_DIR / name)


def fetched(name):
    """Return the path of the receipt of an input, which lies beside its files."""
    return f"{INPUTS}/{name}/receipt.json"


def prepared(name):
    """Return the path of what a population is drawn from."""
    return f"{INPUTS}/population/{name}.{POPULATIONS.declaration(name).ending}"
