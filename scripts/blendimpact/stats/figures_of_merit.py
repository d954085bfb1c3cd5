"""Figures of merit as functions of sums, so that a bootstrap over blocks of sky is a sum of rows.

A case adds, for each block of sky, the sufficient statistics of its figures of merit; the value
of a figure on any set of blocks is a function of the summed statistics alone.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from astropy.table import Table

from ..data import catalogues
from .statistic import Statistic

N_SUMS = 5
CELLS = "cmd:"  # strata of this name are cells of a diagram: for a figure and foms.csv, too many for a page
CROWDED = 0.1  # crowding error at which a field is crowded: the default limit of rubin_sim's crowding metric
SCORE_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "block": (None, "block of sky: the unit of resampling"),
    "fom": (None, "figure of merit"),
    "rung": (None, "rung of the ladder"),
    "population": (None, "common: objects recovered on every rung; own: the rung's own selection; ..."),
    "stratum": (None, "subset of the objects"),
    "cell": (None, "bin number of a histogram, else 0"),
    "copies": (None, "twins of each source that entered: so many entries are one source"),
    **{f"s{k}": (None, f"sum {k} of the figure of merit's statistics") for k in range(N_SUMS)},
}


@dataclass(frozen=True)
class FigureOfMerit:
    """One figure of merit of a case.

    Attributes
    ----------
    id : str
        As in the project's list, e.g. "WL-M1"; a suffix after a dot names a variant.
    stage : str
        "detection", "deblending" or "measurement": the column of the board it belongs to.
    title, definition, unit : str
        For tables and captions.
    statistic : Statistic
        What it makes of the sums.
    fixed : bool
        Measured at given places only, where a detector has no part: its budget has no ``detection`` and needs the
        rungs with true centres alone.
    stored_as : str, optional
        Id under which the sums are stored, when several figures share them.
    common : str, optional
        Id of the same figure on the common sample: own minus common is the selection term.
    """

    id: str
    stage: str
    title: str
    definition: str
    unit: str
    statistic: Statistic
    fixed: bool = False
    stored_as: str = ""
    common: str = ""

    @property
    def source(self):
        """Id under which the sums are stored."""
        return self.stored_as or self.id


class Scores:
    """Collect sufficient statistics by block of sky.

    Parameters
    ----------
    case, scenario : str
    copies : int
        Twins of each patch: a source enters so many times unless `add` is told otherwise.
    """

    def __init__(self, case, scenario, copies=1):
        self.case, self.scenario, self.copies = case, scenario, copies
        self._copies = {}
        self._sums = defaultdict(lambda: np.zeros(N_SUMS))

    def add(self, fom, rung, block, sums, population="all", stratum="all", cell=0, copies=None):
        """Add sums (at most `N_SUMS` of them) to one block."""
        key = int(block), fom, rung, population, stratum, int(cell)
        self._sums[key][:len(sums)] += sums
        self._copies[key] = self.copies if copies is None else copies

    def add_histogram(self, fom, rung, block, values, edges, population="all", stratum="all", copies=None):
        """Add values to a histogram; what lies outside of the edges goes to the end bins."""
        values = np.clip(np.asarray(values, float), edges[0], np.nextafter(edges[-1], edges[0]))
        counts, _ = np.histogram(values, edges)
        for cell in np.flatnonzero(counts):
            self.add(fom, rung, block, [counts[cell]], population, stratum, cell, copies)

    def add_fractions(self, fom, rung, rows, success, name="", values=None, edges=(), population="all", whole=True):
        """Add successes and trials of ``rows`` (with a column block) to bins of ``values``, if whole to "all" too."""
        success = np.asarray(success, bool)
        for stratum, block, here in parts(rows, name, values, edges, whole):
            self.add(fom, rung, block, [success[here].sum(), len(here)], population, stratum)

    def add_curve(self, fom, rung, rows, success, values, edges, population="all"):
        """Add successes and trials per bin of ``values`` as cells, for the kinds that seek a crossing."""
        success = np.asarray(success, bool)
        for cell, (_, inside) in enumerate(list(strata("", values, edges))[1:]):
            for block, here in by_block(rows, inside):
                self.add(fom, rung, block, [success[here].sum(), len(here)], population, cell=cell)

    def add_curves(self, fom, rung, rows, column, bins, positive, name="", values=None, edges=(), population="common",
                   whole=True):
        """Add histograms of negatives (first sum) and positives (second) of a column, for the detection curves.

        All negatives enter each bin of ``values``: a threshold is the same for all positives of a rung.
        """
        x, positive = rows[column].to_numpy(float), np.asarray(positive, bool)
        values = np.zeros(len(rows)) if values is None else values
        for stratum, inside in list(strata(name, values, edges))[0 if whole else 1:]:
            for number, kept in enumerate((~positive, positive & inside)):
                for block, here in by_block(rows, kept & np.isfinite(x)):
                    counts, _ = np.histogram(np.clip(x[here], bins[0], np.nextafter(bins[-1], bins[0])), bins)
                    for cell in np.flatnonzero(counts):
                        sums = [0, 0]
                        sums[number] = counts[cell]
                        self.add(fom, rung, block, sums, population, stratum, cell)

    def add_moments(self, fom, rung, rows, x, square, name="", values=None, edges=(), population="common"):
        """Add number, sum of ``x`` and sum of ``square`` to "all" and to each bin of ``values``."""
        x, square = np.asarray(x, float), np.asarray(square, float)
        for stratum, block, here in parts(rows, name, values, edges):
            self.add(fom, rung, block, [len(here), x[here].sum(), square[here].sum()], population, stratum)

    def add_histograms(self, fom, rung, rows, column, bins, name="", values=None, edges=(), population="common",
                       whole=True, copies=None):
        """Add the finite values of a column to a histogram of each bin of ``values``, if whole of "all" too."""
        x = rows[column].to_numpy(float)
        for stratum, block, here in parts(rows, name, values, edges, whole):
            self.add_histogram(fom, rung, block, x[here][np.isfinite(x[here])], bins, population, stratum, copies)

    def table(self):
        """Return the sums as a table, sorted by their ids."""
        keys = sorted(self._sums)
        out = Table({
            "case": np.full(len(keys), self.case, dtype="U32"),
            "scenario": np.full(len(keys), self.scenario, dtype="U32"),
            "block": np.array([k[0] for k in keys], np.int32),
            "fom": np.array([k[1] for k in keys], dtype="U32"),
            "rung": np.array([k[2] for k in keys], dtype="U32"),
            "population": np.array([k[3] for k in keys], dtype="U32"),
            "stratum": np.array([k[4] for k in keys], dtype="U48"),
            "cell": np.array([k[5] for k in keys], np.int32),
            "copies": np.array([self._copies[k] for k in keys], np.int32),
        })
        sums = np.array([self._sums[k] for k in keys]).reshape(-1, N_SUMS)
        for k in range(N_SUMS):
            out[f"s{k}"] = sums[:, k]
        return catalogues.describe(out, SCORE_COLUMNS)


def bin_names(name, edges):
    """Return the names of strata of ``name`` between ``edges``, e.g. "blendedness:0-0.01"."""
    return [f"{name}:{low:g}-{high:g}" for low, high in pairwise(edges)]


def strata(name, values, edges):
    """Yield (stratum name, mask) of "all" and of each bin of ``values``."""
    values = np.asarray(values, float)
    yield "all", np.ones(len(values), bool)
    for label, low, high in zip(bin_names(name, edges), edges[:-1], edges[1:]):
        yield label, (values >= low) & (values < high)


def by_block(rows, inside):
    """Yield (block, row numbers) of the rows where ``inside`` is true, in the order of the blocks."""
    block = rows["block"].to_numpy()
    where = np.flatnonzero(np.asarray(inside, bool))
    for number in np.unique(block[where]):
        yield int(number), where[block[where] == number]


def parts(rows, name="", values=None, edges=(), whole=True):
    """Yield (stratum, block, row numbers) of "all", if whole, and of each bin of ``values``, block by block."""
    values = np.zeros(len(rows)) if values is None else values
    for stratum, inside in list(strata(name, values, edges))[0 if whole else 1:]:
        for block, here in by_block(rows, inside):
            yield stratum, block, here
