"""Catalogues: long tables with explicit ids, units and descriptions, kept as Parquet."""

import os

import numpy as np
from astropy.table import Table, vstack

from .errors import StudyError

IDS = ("case", "scenario", "patch", "twin", "rung", "detector", "deblender", "band",
       "source_id", "det_id")


def write(table, path, meta=None):
    """Write a table to Parquet with its units, descriptions and ``meta``.

    Astropy keeps units, descriptions and meta in the Parquet schema; pandas, polars and pyarrow
    read the columns. The file appears under its name only when complete.

    Raises
    ------
    ValueError
        If a column has no description.
    """
    bare = [name for name in table.colnames if not table[name].info.description]
    if bare:
        raise ValueError(f"columns without description: {', '.join(bare)}")
    table = table.copy(copy_data=False)
    table.meta = {**table.meta, **(meta or {})}
    part = f"{path}.part"
    table.write(part, format="parquet", overwrite=True)
    os.replace(part, path)


def read(path, columns=()):
    """Read a table that `write` wrote and check that it has ``columns``.

    Raises
    ------
    StudyError
        If the file is missing, truncated, or lacks a column.
    """
    try:
        table = Table.read(path, format="parquet")
    except Exception as error:
        raise StudyError(f"not a readable Parquet table ({error})", str(path),
                         "delete it and run again: the rule that makes it will") from error
    missing = [name for name in columns if name not in table.colnames]
    if missing:
        raise StudyError(f"columns missing: {', '.join(missing)}", str(path))
    return table


def describe(table, columns):
    """Set units and descriptions in place.

    Parameters
    ----------
    table : astropy.table.Table
    columns : dict of str to (unit or None, description)
        Entries that are not in the table are passed over.

    Returns
    -------
    astropy.table.Table
        The same table.
    """
    for name, (unit, text) in columns.items():
        if name in table.colnames:
            table[name].info.description = text
            if unit is not None:
                table[name].unit = unit
    return table


def stack(tables):
    """Stack tables that share their columns; of empty ones the first keeps the columns."""
    tables = list(tables)
    full = [t for t in tables if len(t)]
    return vstack(full or tables[:1], metadata_conflicts="silent", join_type="exact")


def grouped(table, *keys):
    """Yield (key tuple, sub-table) in order of first appearance.

    A patch without a row yields nothing: callers that must account for every patch iterate over
    the patches and look each up.
    """
    if not len(table):
        return
    codes = np.zeros(len(table), dtype=np.int64)
    for key in keys:
        _, inverse = np.unique(np.asarray(table[key]), return_inverse=True)
        codes = codes * (inverse.max() + 1) + inverse
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    for group in np.argsort(first):
        rows = np.flatnonzero(inverse == group)
        yield tuple(table[key][rows[0]] for key in keys), table[rows]
