"""What the pages of the comparisons share: a value in a cell, links, the template."""

import os
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..cells import LEVEL, quote


def cell(row):
    """Return a value as people read it: {number, interval, n}, or empty texts."""
    if row is None or not np.isfinite(row["value"]):
        return {"number": "", "interval": "", "n": 0}
    number, interval = quote(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]), str(row["unit"]))
    return {"number": number, "interval": interval, "n": int(row["n"])}


def write(path, template, study, names, options, figures, downloads, **context):
    """Write a page two folders below the matrix.

    Parameters
    ----------
    path : path-like
        Links are relative to it.
    template : str
        One of ``templates`` that extends base.html.
    study : str
    names : sequence of str
        What is compared.
    options : dict
        Options by name; one without has its defaults.
    figures, downloads : sequence of path-like
    **context
        What the template needs beside.
    """
    folder = Path(path).resolve().parent

    def link(target):
        return Path(os.path.relpath(Path(target).resolve(), folder)).as_posix()

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template(template).render(
        study=study, level=LEVEL, options={name: options.get(name, {}) for name in names},
        figures=[link(f) for f in figures], downloads=[(link(d), Path(d).name) for d in downloads],
        matrix=link(folder.parents[1] / "matrix.html"), **context)
    Path(f"{path}.part").write_text(page, encoding="utf-8")
    os.replace(f"{path}.part", path)
