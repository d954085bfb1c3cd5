"""A chunk of patches as the stages read and write it: each patch with its rows of the tables."""

import contextlib
from dataclasses import dataclass, field

import h5py
from astropy.table import Table

from . import catalogues
from .brief import Brief
from .images import Patch, PatchFile, opposite_twin
from .progress import progress
from .reading import reading
from .sky_maps import SkyFile
from .whole import whole

_WHAT = "an HDF5 file of separated light that can be read"
COLUMNS = {
    "truth": ("source_id", "snr", "role", "x", "y"),
    "detections": ("det_id", "x", "y"),
    "assignments": ("source_id", "det_id"),
}
"""What the tables of a chunk must have."""


@dataclass(repr=False)
class PatchData(Brief):
    """One patch and what earlier stages made of it; None is what was not read.

    Attributes
    ----------
    patch : Patch
    truth, detections, assignments : Table
        Their rows of this patch and twin.
    sky : dict of str to (ny, nx) array
        By band, in the band's unit.
    separated : h5py.Group
        What the deblender, or the subtraction engine, made of the patch.
    kept : dict of str to Table
        Tables that the detection kept for later stages, by name.
    opposite : dict of str to Table
        Rows of detections and assignments of the twin of opposite shear and the same noise, as far as they were read.
    """

    patch: Patch
    truth: Table | None = None
    detections: Table | None = None
    assignments: Table | None = None
    sky: dict | None = None
    separated: h5py.Group | None = None
    kept: dict = field(default_factory=dict)
    opposite: dict = field(default_factory=dict)


class Chunk(contextlib.ExitStack):
    """Read the patches of a chunk one at a time; use as a context manager.

    Parameters
    ----------
    images : path-like
        From `data.images.PatchWriter`.
    truth, detections, assignments : path-like, optional
        Tables.
    sky : path-like, optional
        From `data.sky_maps.SkyWriter`.
    separated : path-like, optional
        From `PatchStore`.

    Attributes
    ----------
    tables : dict of str to Table
        Those that were given, whole.
    """

    def __init__(self, images, truth=None, detections=None, assignments=None, sky=None, separated=None):
        super().__init__()
        paths = {"truth": truth, "detections": detections, "assignments": assignments}
        self.tables = {name: catalogues.read(path, COLUMNS[name]) for name, path in paths.items() if path}
        self._file = self.enter_context(PatchFile(images))
        self._skies = self.enter_context(SkyFile(sky)) if sky else None
        self._separated, self._store = separated, None
        if separated:
            with reading(separated, _WHAT):
                self._store = self.enter_context(h5py.File(separated, "r"))

    def patches(self, label, below=None):
        """Yield the `PatchData` of every patch, and print how far it is.

        Parameters
        ----------
        label : str
            What is being done.
        below : int, optional
            Only patches with a lower number.
        """
        keys = [key for key in self._file.keys() if below is None or key[0] < below]  # noqa: SIM118 (no dict)
        for key in progress(keys, label):
            yield self.read(*key)

    def read(self, index, twin):
        """Return the `PatchData` of one patch and twin."""
        patch = self._file.read(index, twin)
        rows, other = self._rows(index, twin), opposite_twin(twin)
        found = {name: t for name, t in (self._rows(index, other) if other else {}).items() if name != "truth"}
        sky = self._skies.read(patch) if self._skies else None
        kept = self._skies.tables(patch) if self._skies else {}
        with reading(self._separated, _WHAT):
            separated = self._store and self._store[group_of(patch)]
        return PatchData(patch, **rows, sky=sky, separated=separated, kept=kept, opposite=found)

    def _rows(self, index, twin):
        return {name: t[(t["patch"] == index) & (t["twin"] == twin)] for name, t in self.tables.items()}


class PatchStore:
    """Write an HDF5 group for each patch; the file appears under its name when it is complete."""

    def __init__(self, path, meta=None):
        self._path, self._meta = path, meta or {}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            part = stack.enter_context(whole(self._path))
            self._file = stack.enter_context(h5py.File(part, "w", libver=("v110", "v110")))
            for key, value in self._meta.items():
                self._file.attrs[key] = str(value)
            self._stack = stack.pop_all()
        return self

    def group(self, patch):
        """Return the empty group of a patch."""
        return self._file.create_group(group_of(patch))

    def __exit__(self, *error):
        return self._stack.__exit__(*error)


def group_of(patch):
    """Return the name of the HDF5 group of a patch."""
    return f"{patch.index:05d}/{patch.twin}"
