"""The estimated sky of a chunk's patches and what else its detection keeps: every stage subtracts the same sky."""

import contextlib

import h5py
import numpy as np
from astropy.table import Table

from .reading import reading
from .whole import whole

TABLES = "tables"
_WHAT = "an HDF5 file of sky maps that can be read"


class SkyWriter:
    """Write sky maps to an HDF5 file that appears under its name when it is complete."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            part = stack.enter_context(whole(self._path))
            self._file = stack.enter_context(h5py.File(part, "w", libver=("v110", "v110")))
            self._stack = stack.pop_all()
        return self

    def write(self, patch, sky):
        """Add the sky of one patch, {band: (ny, nx) float32 array}."""
        for band, values in sky.items():
            self._file.create_dataset(f"{patch.index:05d}/{patch.twin}/{band}", data=values, track_times=False)

    def add(self, patch, name, table):
        """Add a table of numbers that later stages need again."""
        group = self._file.create_group(f"{TABLES}/{patch.index:05d}/{patch.twin}/{name}")
        for column in table.colnames:
            group.create_dataset(column, data=np.asarray(table[column]), track_times=False)

    def __exit__(self, *error):
        return self._stack.__exit__(*error)


class SkyFile:
    """Read the sky of one patch at a time."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        with reading(self._path, _WHAT):
            self._file = h5py.File(self._path, "r")
        return self

    def read(self, patch):
        """Return {band: (ny, nx) array}."""
        with reading(self._path, _WHAT):
            group = self._file[f"{patch.index:05d}/{patch.twin}"]
            return {band: group[band][()] for band in patch.bands}

    def tables(self, patch):
        """Return the tables that were added, by name."""
        path = f"{TABLES}/{patch.index:05d}/{patch.twin}"
        with reading(self._path, _WHAT):
            found = self._file.get(path, {})
            return {name: Table({n: column[()] for n, column in group.items()}) for name, group in found.items()}

    def __exit__(self, *_):
        self._file.close()
