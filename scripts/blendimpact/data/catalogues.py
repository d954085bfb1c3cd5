"""Catalogues: long tables with explicit ids, units and descriptions, kept as Parquet."""

import os
from pathlib import Path

import numpy as np
from astropy.table import Column, Table, vstack

from ..errors import StudyError
from .reading import AGAIN, reading
from .whole import whole

IDS = ("case", "scenario", "patch", "twin", "rung", "detector", "deblender", "band", "source_id", "det_id")


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
    with whole(path) as part:
        table.write(part, format="parquet")


def read(path, columns=()):
    """Read a table that `write` wrote and check that it has ``columns``.

    Raises
    ------
    StudyError
        If the file is missing, truncated, or lacks a column.
    """
    with reading(path, "a readable Parquet table"):
        table = Table.read(path, format="parquet")
    missing = [name for name in columns if name not in table.colnames]
    if missing:
        raise StudyError(f"columns missing: {', '.join(missing)}", str(path))
    return table


def write_folder(tables, path, meta=None):
    """Write tables, {name: Table}, into a folder of their own, as `write`; it appears when all are complete."""
    with whole(path) as part:
        os.makedirs(part)
        for name, table in tables.items():
            write(table, f"{part}/{name}.parquet", meta)


def read_folder(path):
    """Read the tables that `write_folder` wrote, {name: Table}.

    Raises
    ------
    StudyError
        If there is none.
    """
    found = {file.stem: read(file) for file in sorted(Path(path).glob("*.parquet"))}
    if not found:
        raise StudyError("a folder without tables", str(path), AGAIN)
    return found


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


def table_of(arrays, columns):
    """Return a table of arrays with units and descriptions, without copies.

    Parameters
    ----------
    arrays : dict of str to array
    columns : dict of str to (unit or None, description)
        As for `describe`; columns that are not in it have neither.
    """
    known = ((name, values, *columns.get(name, (None, None))) for name, values in arrays.items())
    return Table(
        [Column(values, name=name, unit=unit, description=text) for name, values, unit, text in known], copy=False
    )


def with_ids(table, ids, columns):
    """Return the ``columns`` of a table as {name: array}, those of ``ids`` filled with one value each.

    For `join`, to which thousands of such parts are given: making a table of each would take longer than most of
    what is in them.

    Parameters
    ----------
    table : Table or dict of str to array
    ids : dict of str to value
    columns : sequence of str
        In the order of the result.

    Raises
    ------
    StudyError
        If the table has masked values: they would be lost.
    """
    if isinstance(table, Table) and table.has_masked_values:
        raise StudyError("a table with masked values", remedy="fill them, numbers with NaN")
    n = len(table[next(name for name in columns if name not in ids)])
    return {
        name: np.full(n, ids[name], np.asarray(ids[name]).dtype) if name in ids else np.asarray(table[name])
        for name in columns
    }


def join(parts, columns):
    """Return one described table of parts, each {name: array} with the same ``columns`` or a table that has them.

    Of no parts it is a table without rows.
    """
    parts = list(parts) or [dict.fromkeys(columns, np.zeros(0))]
    full = [part for part in parts if len(part[next(iter(columns))])] or parts[:1]
    return table_of({name: np.concatenate([np.asarray(part[name]) for part in full]) for name in columns}, columns)


def stack(tables):
    """Stack tables that share their columns; of empty ones the first keeps the columns."""
    tables = list(tables)
    full = [t for t in tables if len(t)]
    return vstack(full or tables[:1], metadata_conflicts="silent", join_type="exact")


def rows_of(table, **conditions):
    """Return the rows of a table whose columns have these values."""
    keep = np.ones(len(table), bool)
    for name, value in conditions.items():
        keep &= np.asarray(table[name]) == value
    return table[keep]


def write_csv(table, path):
    """Write a table as CSV, complete or not at all."""
    with whole(path) as part:
        table.write(part, format="ascii.csv")


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
