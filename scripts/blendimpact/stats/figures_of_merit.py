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
from . import detection_statistics
from .crowding import crowding_limit
from .detection_statistics import ratio as _ratio
from .intervals import nmad_from_histogram, quantile_from_histogram

N_SUMS = 5
TRIM = 0.05
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


def _response(s, edges):
    return _ratio(s[..., 0, 0], s[..., 0, 1]) - _ratio(s[..., 0, 2], s[..., 0, 3])


def _offset(s, edges):
    return (_ratio(s[..., 0, 0], s[..., 0, 1]) + _ratio(s[..., 0, 2], s[..., 0, 3])) / 2


def _slope(s, edges):
    n, x, y, xx, xy = (s[..., 0, k] for k in range(5))
    return _ratio(n * xy - x * y, n * xx - x * x) - 1


def trimmed_mean(edges, counts, share=TRIM):
    """Return the mean of what is left of a histogram when ``share`` is cut off at each end.

    Parameters
    ----------
    edges : (K + 1,) array
    counts : (..., K) array
        The bins' contents sit at the middle of each bin; a bin on the cut counts in part.
    share : float
        Part of all counts that is cut off at either end.
    """
    total = counts.sum(axis=-1, keepdims=True)
    upto = np.cumsum(counts, axis=-1)
    low, high = share * total, (1 - share) * total
    kept = np.clip(upto, low, high) - np.clip(upto - counts, low, high)
    return _ratio((kept * (edges[1:] + edges[:-1]) / 2).sum(axis=-1), kept.sum(axis=-1))


def _f1(s, edges):
    return _ratio(2 * s[..., 0, 0], s[..., 0, 1] + s[..., 0, 2])


def _rms_ratio(s, edges):
    return np.sqrt(_ratio(_ratio(s[..., 0, 0], s[..., 0, 1]), _ratio(s[..., 0, 2], s[..., 0, 3])))


def quadrature(scatter, base):
    """Return what a scatter has beyond another, in quadrature: sign(d) |d|^(1/2), d the difference of the squares."""
    square = np.square(scatter) - np.square(base)
    return np.sign(square) * np.sqrt(np.abs(square))


def _hidden(s, edges):
    deviations, errors = (nmad_from_histogram(edges, s[..., k]) for k in (0, 1))
    return quadrature(errors, deviations)


def _std(s, edges):
    n, x, xx = (s[..., 0, k] for k in range(3))
    return np.sqrt(np.clip(_ratio(xx, n) - _ratio(x, n) ** 2, 0, None))


def _crossing(level):
    def value(s, edges):
        """Return where completeness last falls through ``level``, linear between bin centres."""
        middle = (edges[1:] + edges[:-1]) / 2
        found = _ratio(s[..., 0], s[..., 1])
        out = np.full(found.shape[:-1], np.nan)
        for k in range(len(middle) - 1):
            a, b = found[..., k], found[..., k + 1]
            here = (a >= level) & (b < level)
            with np.errstate(invalid="ignore", divide="ignore"):
                at = middle[k] + (a - level) / (a - b) * (middle[k + 1] - middle[k])
            out = np.where(here, at, out)
        return out

    return value


KINDS = {
    # kind: (value of summed statistics, the sum or sums that count objects, meaning of the sums)
    "ratio": (lambda s, e: _ratio(s[..., 0, 0], s[..., 0, 1]), (1,), "numerator, denominator"),
    "fraction": (lambda s, e: _ratio(s[..., 0, 0], s[..., 0, 1]), (1,), "successes, trials"),
    "count": (lambda s, e: s[..., 0, 0], (0,), "objects"),
    "density": (lambda s, e: _ratio(s[..., 0, 0], s[..., 0, 1]), (2,), "weight, area, objects"),
    "response": (_response, (1, 3), "sum of e/2g and number, +g; the same, -g"),
    "offset": (_offset, (1, 3), "sum of e and number, +g; the same, -g"),
    "slope": (_slope, (0,), "n, x, y, xx, xy"),
    "f1": (_f1, (1,), "matched, true, detected"),
    "rms_ratio": (_rms_ratio, (1, 3), "sum of squares and number; the same of the reference"),
    "std": (_std, (0,), "n, x, xx"),
    "median": (lambda s, e: quantile_from_histogram(e, s[..., 0], 0.5), (0,), "histogram"),
    "nmad": (lambda s, e: nmad_from_histogram(e, s[..., 0]), (0,), "histogram"),
    "nmad_second": (lambda s, e: nmad_from_histogram(e, s[..., 1]), (1,), "two histograms, of which the second"),
    "hidden": (_hidden, (1,), "histogram of deviations from a mean, histogram of errors"),
    "trimmed_mean": (lambda s, e: trimmed_mean(e, s[..., 0]), (0,), "histogram"),
    "m50": (_crossing(0.5), (1,), "found, true per magnitude bin"),
    "m90": (_crossing(0.9), (1,), "found, true per magnitude bin"),
    "m_crowded": (lambda s, e: crowding_limit(e, _ratio(s[..., 0], s[..., 1]), CROWDED), (0,),
                  "stars, beams per magnitude bin"),
    "snr50": (detection_statistics.rising(0.5), (1,), "found, true per bin of S/N"),
    "contrast": (detection_statistics.contrast, (1, 3), "successes, trials; the same of the others"),
    "rate": (lambda s, e: _ratio(s[..., 0, 0], s[..., 0, 1]), (0,), "counts, area: a Poisson process"),
    "chi2": (detection_statistics.excess_chi2, (2,), "sum of chi2 x pixels, pixels, objects"),
    "linking": (detection_statistics.linking, (1,), "found, tried"),
    **{f"tpr{share:g}": (detection_statistics.true_positives(share), (1,), "histograms of negatives and of positives")
       for share in detection_statistics.FALSE_POSITIVES},
    "negatives": (lambda s, e: s[..., 0].sum(axis=-1), (0,), "histogram of negatives"),
    "auc": (detection_statistics.area_under_curve, (1,), "histograms of negatives and of positives"),
}
OF_HISTOGRAMS = ("median", "nmad", "nmad_second", "hidden", "trimmed_mean")
"""Kinds whose value does not depend on empty bins at the ends."""


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
    kind : str
        Key of `KINDS`.
    relative : bool
        Values are given relative to the isolated rung, F_k / F_isolated - 1, inside each resample.
    excess : bool
        Values are scatters, given as what exceeds the isolated rung in quadrature: the root of
        F_k^2 - F_isolated^2, with its sign, inside each resample.
    fixed : bool
        Measured at given places only, where a detector has no part: its budget has no ``detection`` and needs the
        rungs with true centres alone.
    edges : tuple of float
        Bin edges of histogram kinds.
    statistics : str, optional
        Id under which the sums are stored, when two figures share them.
    common : str, optional
        Id of the same figure on the common sample: own minus common is the selection term.
    """

    id: str
    stage: str
    title: str
    definition: str
    unit: str
    kind: str
    relative: bool = False
    excess: bool = False
    fixed: bool = False
    edges: tuple = ()
    statistics: str = ""
    common: str = ""

    @property
    def source(self):
        """Id under which the statistics are stored."""
        return self.statistics or self.id

    @property
    def width(self):
        """Least number of sums that each cell has."""
        return max(KINDS[self.kind][1]) + 1

    def value(self, sums, edges=None):
        """Return the figure of merit of summed statistics.

        Parameters
        ----------
        sums : (..., n_cells, N_SUMS) array
        edges : (n_cells + 1,) array, optional
            Of a part of the bins; `edges` by default.

        Returns
        -------
        (...) array
        """
        return KINDS[self.kind][0](sums, np.asarray(self.edges if edges is None else edges, float))

    def count(self, sums):
        """Return how many objects entered, from ``sums`` of shape (n_cells, N_SUMS)."""
        return round(float(sum(sums[..., k].sum() for k in KINDS[self.kind][1])))


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
