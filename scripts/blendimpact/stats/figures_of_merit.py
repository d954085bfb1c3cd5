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

N_SUMS = 6
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
        Twins of each patch: a source enters so many times unless a method is told otherwise.

    Notes
    -----
    Parameters that methods share: ``fom`` and ``rung``, ids; ``block``, (N,) array or int, the block of sky of each
    row; ``by``, an iterable of (stratum, (N,) bool array) as `strata` and `classes` give it, None for "all" alone;
    ``population``; ``copies``, of each source among the rows.
    """

    def __init__(self, case, scenario, copies=1):
        self.case, self.scenario, self.copies = case, scenario, copies
        self._copies = {}
        self._sums = defaultdict(lambda: np.zeros(N_SUMS))

    def add(self, fom, rung, block, sums, population="all", stratum="all", cell=0, copies=None):
        """Add sums (at most `N_SUMS` of them) to one block."""
        key = int(block), fom, rung, population, stratum, int(cell)
        self._sums[key][: len(sums)] += sums
        self._copies[key] = self.copies if copies is None else copies

    def add_sums(self, fom, rung, block, values, by=None, population="all", cell=0, copies=None):
        """Add sums over rows; ``values`` has an (N,) array, or a number that all rows share, for each sum."""
        values = np.broadcast_arrays(*values, block)[:-1]
        for stratum, number, here in parts(block, by, len(values[0])):
            self.add(fom, rung, number, [x[here].sum() for x in values], population, stratum, cell, copies)

    def add_mean(self, fom, rung, block, values, bound, by=None, population="all", copies=None, weights=None):
        """Add the finite ones of (N,) values, those beyond the bound as it, and their number (`statistic.Mean`).

        With ``weights``, (N,), the sums are those of `statistic.WeightedMean`.
        """
        values = np.asarray(values, float)
        known = np.isfinite(values)
        bounded = np.clip(np.where(known, values, 0), -bound, bound)
        sums = [bounded, known] if weights is None else [weights * bounded, weights * known, known]
        self.add_sums(fom, rung, block, sums, by, population, copies=copies)

    def add_fractions(self, fom, rung, block, success, by=None, population="all", cell=0, copies=None):
        """Add successes, an (N,) bool array, and trials."""
        self.add_sums(fom, rung, block, [np.asarray(success, bool), 1], by, population, cell, copies)

    def add_curve(self, fom, rung, block, success, values, edges, population="all"):
        """Add successes and trials per bin of ``values`` as cells, for the statistics that seek a crossing."""
        for cell, (_, inside) in enumerate(strata("", values, edges, whole=False)):
            self.add_fractions(fom, rung, block, success, [("all", inside)], population, cell)

    def add_histogram(self, fom, rung, block, values, edges, by=None, population="common", copies=None):
        """Add finite values to the bins between ``edges``, of which the end bins are open.

        ``values`` is an (N,) array, or a sequence of them: one for each sum.
        """
        values = np.atleast_2d(np.asarray(values, float))
        clipped = np.clip(values, edges[0], np.nextafter(edges[-1], edges[0]))
        for stratum, number, here in parts(block, by, values.shape[1]):
            counts = np.array(
                [np.histogram(x[here][np.isfinite(raw[here])], edges)[0] for x, raw in zip(clipped, values)]
            )
            for cell in np.flatnonzero(counts.any(axis=0)):
                self.add(fom, rung, number, counts[:, cell], population, stratum, cell, copies)

    def table(self):
        """Return the sums as a table, sorted by their ids."""
        keys = sorted(self._sums)
        out = Table(
            {
                "case": np.full(len(keys), self.case, dtype="U32"),
                "scenario": np.full(len(keys), self.scenario, dtype="U32"),
                "block": np.array([k[0] for k in keys], np.int32),
                "fom": np.array([k[1] for k in keys], dtype="U32"),
                "rung": np.array([k[2] for k in keys], dtype="U32"),
                "population": np.array([k[3] for k in keys], dtype="U32"),
                "stratum": np.array([k[4] for k in keys], dtype="U48"),
                "cell": np.array([k[5] for k in keys], np.int32),
                "copies": np.array([self._copies[k] for k in keys], np.int32),
            }
        )
        sums = np.array([self._sums[k] for k in keys]).reshape(-1, N_SUMS)
        for k in range(N_SUMS):
            out[f"s{k}"] = sums[:, k]
        return catalogues.describe(out, SCORE_COLUMNS)


def bin_names(name, edges):
    """Return the names of strata of ``name`` between ``edges``, e.g. "blendedness:0-0.01"."""
    return [f"{name}:{low:g}-{high:g}" for low, high in pairwise(edges)]


def strata(name, values, edges, whole=True):
    """Yield (stratum, mask) of "all", if ``whole``, and of each bin of ``values`` between ``edges``."""
    values = np.asarray(values, float)
    if whole:
        yield "all", np.ones(len(values), bool)
    for label, low, high in zip(bin_names(name, edges), edges[:-1], edges[1:]):
        yield label, (values >= low) & (values < high)


def classes(name, values, names):
    """Yield (stratum, mask) of each of the ``names`` among ``values``, e.g. "place:hosted"."""
    for label in names:
        yield f"{name}:{label}", np.asarray(values == label)


def parts(block, by=None, n=None):
    """Yield (stratum, block, row numbers), stratum by stratum and in each in the order of the blocks.

    Parameters
    ----------
    block : (N,) array or int
        Of each row.
    by : iterable of (str, (N,) bool array), optional
        Strata; "all" alone without it.
    n : int, optional
        N, where ``block`` is an int.
    """
    block = np.broadcast_to(block, np.shape(block) or n)
    for stratum, inside in (("all", True),) if by is None else by:
        where = np.flatnonzero(np.broadcast_to(inside, block.shape))
        for number in np.unique(block[where]):
            yield stratum, int(number), where[block[where] == number]
