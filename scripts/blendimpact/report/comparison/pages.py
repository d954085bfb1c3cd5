"""What the pages of the comparisons share: a value in a cell, pictures, options."""

import numpy as np

from .. import html
from ..words import LEVEL, quote


def cell(row):
    """Return a value as people read it: {number, interval, n}, or empty texts."""
    if row is None or not np.isfinite(row["value"]):
        return {"number": "", "interval": "", "n": 0}
    number, interval = quote(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]), str(row["unit"]))
    return {"number": number, "interval": interval, "n": int(row["n"])}


def write_page(path, template, study, names, options, figures, downloads, **context):
    """Write a page that holds its figures and downloads.

    Parameters
    ----------
    path : path-like
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
    html.write(
        path,
        template,
        study=study,
        level=LEVEL,
        options={name: options.get(name, {}) for name in names},
        figures=[html.picture(f) for f in figures],
        downloads=[html.download(d) for d in downloads],
        **context,
    )
