"""What every kind of ladder does with a patch: the protocol that the stages climb."""

from abc import abstractmethod
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from astropy.table import Table

from ..config.settings import roles, searcher, separator
from ..data import catalogues
from ..sky.true_scene import TruthScene, injects_photons
from .rungs import RUNGS

ID_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "patch": (None, "index of the patch"),
    "twin": (None, "plus, minus: scene sheared by +g, -g; zero: not sheared"),
    "rung": (None, "rung of the ladder; truth: noiseless isolated image"),
    "detector": (None, "detector of the rung"),
    "deblender": (None, "deblender of the rung, or engine of its subtraction"),
    "det_id": (None, "detection; the source_id where the centres are true"),
}


class Found(NamedTuple):
    """What a ladder finds on a patch.

    Attributes
    ----------
    detections, assignments : Table
        Columns of `assignment.DETECTION_COLUMNS` and `assignment.ASSIGNMENT_COLUMNS` without the ids.
    kept : dict of str to Table
        What the measurement needs again, by name: columns of numbers.
    """

    detections: Table
    assignments: Table
    kept: dict


class Ladder(Protocol):
    """One way from the images of a patch to its measurements on every rung.

    A stage asks `kinds.ladder_of` for the ladder of its case, once, and hands it one patch after the other.
    `image.ImageLadder` finds sources on images and deblends them; `difference.DifferenceLadder` subtracts a template
    first, and finds what is left. A pipeline that gives catalogues in place of child images fits the same steps:
    its ladder separates by running the pipeline on the images of the rungs, and measures by reading its catalogues.

    Parameters
    ----------
    settings : dict
        Of a case and scenario.
    seed : int, optional
        Of the study; without it no random number can be asked for.
    finding, separating : dict, optional
        Options of the detector or finder, and of the deblender or subtraction engine.

    Attributes
    ----------
    families : dict of str to Family
        Plug-ins that "find" and that "separate".
    tables : dict of str to dict
        Columns, {name: (unit, description)}, of the tables that `measure` gives rows of.
    """

    families: dict
    tables: dict

    def __init__(self, settings, seed=None, finding=None, separating=None):
        self.settings, self.seed = settings, seed
        self._options = {"find": finding, "separate": separating}

    def _plugin(self, task):
        return self.families[task].create(self.settings[roles(self.settings)[task].key], self._options[task])

    @cached_property
    def finder(self):
        """The detector, or the finder of differences."""
        return self._plugin("find")

    @cached_property
    def separator(self):
        """The deblender, or the subtraction engine."""
        return self._plugin("separate")

    @abstractmethod
    def detect(self, data):
        """Return what is `Found` on a patch (`data.chunk.PatchData`)."""

    @abstractmethod
    def separate(self, data, group):
        """Separate the light of a patch and write the result into an empty HDF5 group."""

    @abstractmethod
    def measure(self, data):
        """Yield (rung, name of a table, its rows as {column: array}) of all that is measured on a patch.

        The rows have ``det_id`` and the columns of the table but those of `ID_COLUMNS`.
        """

    @abstractmethod
    def panel(self, chunk):
        """Return what a figure shows of a chunk (`data.chunk.Chunk`): a dataclass of `ladder.panels`."""

    def notes(self):
        """Return what the metadata of the measurements say beside their provenance."""
        return {}

    def scene(self, data):
        """Return the `TruthScene` of a patch."""
        return TruthScene(
            data.patch, data.truth, self.seed, self.settings["case"], photons=injects_photons(self.settings)
        )

    def detection_ids(self, patch):
        """Return {column: value} of the ids of all that is found on a patch."""
        return {
            "case": self.settings["case"],
            "scenario": self.settings["scenario"],
            "patch": patch.index,
            "twin": patch.twin,
            "detector": searcher(self.settings),
        }

    def with_ids(self, rows, patch, rung, table):
        """Return rows of a table of one patch and rung with their `ID_COLUMNS`, {name: array}."""
        detector, deblender = (RUNGS[rung].detector, RUNGS[rung].deblender) if rung in RUNGS else ("truth", "none")
        ids = {
            **self.detection_ids(patch),
            "rung": rung,
            "detector": searcher(self.settings) if detector == "real" else detector,
            "deblender": separator(self.settings) if deblender == "real" else deblender,
        }
        return catalogues.with_ids(rows, ids, self.tables[table])


def detectable(truth, cut):
    """Return the truth sources that the ladder counts: isolated S/N at the cut, or real context."""
    return (np.asarray(truth["snr"], float) >= cut) | (np.asarray(truth["role"]) == "context")


def stamp_size(settings, patch):
    """Return the odd side in pixels of a stamp of ``settings["stamp"]`` arcsec."""
    scale = patch.pixel_scale
    return 2 * round(settings["stamp"] / scale / 2) + 1
