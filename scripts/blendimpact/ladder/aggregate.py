"""From sums per block of sky to values, impacts and their intervals."""

import numpy as np
from astropy.table import Table

from ..data import catalogues
from ..stats.figures_of_merit import N_SUMS
from ..stats.intervals import bootstrap_weights
from ..stats.statistic import Blocks, Value, notes
from .budget import KEPT, TERMS, budget, sample_of, split_verdict
from .rungs import ORDER

FOM_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "fom": (None, "figure of merit"),
    "stage": (None, "column of the board"),
    "title": (None, "what the figure of merit is"),
    "kind": (None, "value: on one rung; impact: a difference of rungs"),
    "term": (None, "the rung, or the term of the budget"),
    "population": (
        None,
        "which sources: centres (measured on all rungs of true centres), kept (and on those of the real detector), "
        "both (a term of both samples), own (each rung's selection), truth, all",
    ),
    "stratum": (None, "subset of the sources"),
    "value": (None, "value, in unit"),
    "ci_low": (None, "lower end of the 95 % interval"),
    "ci_high": (None, "upper end of the 95 % interval"),
    "n": (None, "objects that entered"),
    "n_blocks": (None, "blocks of sky that were resampled"),
    "unit": (None, "unit of value and interval"),
    "method": (None, "how the interval was made"),
    "note": (None, "what to mind when reading the row"),
}
SHOWN = (
    "intrinsic",
    "photons",
    "sky",
    "measurement",
    "deblending",
    "survival",
    "detection",
    "interaction",
    "total",
    "shapley_deblending",
    "shapley_detection",
    "no_deblending",
)
"""Terms of the budget that have a row."""
MOST_GROUPS = 1000
SPLIT = ("oracle", "deblended", "merged", "pipeline")
"""Rungs that say whether detection and deblending can be told apart."""
SPLIT_NOTES = {
    "no": "interaction over 30 % of |F(pipeline) - F(oracle)|: the split between detection and deblending is "
    "not meaningful",
    "undetermined": "whether the interaction is below 30 % of |F(pipeline) - F(oracle)| is undetermined",
}


class Sums:
    """Summed statistics of one case and scenario, as arrays over blocks.

    Parameters
    ----------
    table : Table
        Stacked score tables of all chunks.
    most : int
        Neighbouring blocks are merged into so many: a bootstrap over more gives nothing but cost.
    """

    def __init__(self, table, most=MOST_GROUPS):
        block, fom = np.asarray(table["block"]), np.asarray(table["fom"])
        rung, population = np.asarray(table["rung"]), np.asarray(table["population"])
        stratum, cell = np.asarray(table["stratum"]), np.asarray(table["cell"])
        sums = np.column_stack([np.asarray(table[f"s{k}"], float) for k in range(N_SUMS)])
        self.blocks = np.unique(block)
        place = np.searchsorted(self.blocks, block)
        self.n_groups = min(len(self.blocks), most)
        place = place * self.n_groups // max(len(self.blocks), 1)
        self._parts = {}
        for row, key in enumerate(zip(fom, rung, population, stratum)):
            self._parts.setdefault(tuple(map(str, key)), []).append(row)
        self._data = place, cell, sums
        self._copies = np.asarray(table["copies"])

    def keys(self, fom):
        """Return {stratum: {population: [rungs]}} of a figure of merit, in sorted order."""
        out = {}
        for name, rung, population, stratum in sorted(self._parts, key=lambda key: (key[2], key[3], key[1])):
            if name == fom:
                out.setdefault(stratum, {}).setdefault(population, []).append(rung)
        return out

    def copies(self, fom, rung, population, stratum):
        """Return how many entries are one source."""
        return int(self._copies[self._parts[fom, rung, population, stratum]].max())

    def get(self, fom, rung, population, stratum, n_cells, least=1):
        """Return the sums as a (n_groups, n_cells, N_SUMS) array; of histograms the used ones, the first ``least``."""
        place, cell, sums = self._data
        rows = self._parts[fom, rung, population, stratum]
        used = np.flatnonzero(sums[rows].any(axis=0))
        width = N_SUMS if n_cells == 1 else max(least, used.max(initial=0) + 1)
        out = np.zeros((self.n_groups, n_cells, width))
        np.add.at(out, (place[rows], cell[rows]), sums[rows, :width])
        return out


def aggregate(table, case, scenario, foms, n_resamples, seed):
    """Return every figure of merit of one case and scenario with its interval.

    Parameters
    ----------
    table : Table
        Stacked score tables (`blendimpact.stats.figures_of_merit.SCORE_COLUMNS`).
    case, scenario : str
    foms : sequence of FigureOfMerit
    n_resamples, seed : int
        Bootstrap over blocks of sky; all rungs share the resamples.

    Returns
    -------
    Table
        Columns `FOM_COLUMNS`: a row per rung ("value") and per term of the budget ("impact").
    """
    sums = Sums(table)
    weights = bootstrap_weights(sums.n_groups, n_resamples, seed, case, scenario)
    rows, kept = [], {}
    for fom in foms:
        for stratum, populations in sums.keys(fom.source).items():
            found = {
                population: _values(fom, sums, weights, population, stratum, rungs)
                for population, rungs in populations.items()
            }
            found = {name: values for name, values in found.items() if not fom.statistic.says_nothing(values)}
            about = {
                "case": case,
                "scenario": scenario,
                "fom": fom.id,
                "stage": fom.stage,
                "title": fom.title,
                "stratum": stratum,
                "n_blocks": len(sums.blocks),
                "unit": fom.unit,
            }
            if not fom.statistic.paired:
                for population, values in found.items():
                    rows += _value_rows({**about, "population": population}, fom.statistic, values)
            for population, values, late in _ladders(found, fom.statistic.paired):
                every = values | {KEPT + rung: value for rung, value in (values if late is None else late).items()}
                impacts = _paired(values) if fom.statistic.paired else _impacts(values, late, fom.fixed)
                rows += _impact_rows({**about, "population": population}, fom.statistic, every, impacts)
                kept[fom.id, stratum] = impacts
                if fom.common:
                    rows += _selection_row(
                        {**about, "population": population},
                        fom.statistic,
                        every,
                        impacts,
                        kept.get((fom.common, stratum)),
                    )
    out = Table({name: [row[name] for row in rows] for name in FOM_COLUMNS})
    return catalogues.describe(out, FOM_COLUMNS)


def drawn(sums, weights, fom, wanted):
    """Return one row of the figures of merit with its resamples.

    Parameters
    ----------
    sums : Sums
    weights : (B, n_groups) array
    fom : FigureOfMerit
    wanted : dict
        ``kind``, ``term``, ``stratum`` and, where there are several, ``population``.

    Returns
    -------
    (float, (B,) array, int, int) or None
        Value, resamples, objects, blocks that hold any; None where there is no such row.
    """
    term, population = wanted["term"], wanted.get("population")
    found = {
        name: _values(fom, sums, weights, name, wanted["stratum"], rungs)
        for name, rungs in sums.keys(fom.source).get(wanted["stratum"], {}).items()
    }
    if wanted["kind"] == "value":
        known = (v[term] for name, v in found.items() if term in v and population in (None, name))
        return next(((v.value, v.samples, v.count, _held([v])) for v in known), None)
    for name, values, late in _ladders(found, fom.statistic.paired):
        impacts = _paired(values) if fom.statistic.paired else _impacts(values, late, fom.fixed)
        if term in impacts and population in (None, name or sample_of(term)):
            every = values | {KEPT + rung: value for rung, value in (values if late is None else late).items()}
            return *impacts[term], _objects(every, term), _held(every.values())
    return None


def _held(values):
    """Return how many blocks hold objects, on each of some rungs."""
    return min(int(v.sums.any(axis=(1, 2)).sum()) for v in values)


def _ladders(found, paired):
    """Yield (population, values, values of the kept sample or None) of each ladder among {population: values}.

    The samples "centres" and "kept" are one ladder, whose terms say which of both they are of: its population is None.
    """
    rest = dict(found)
    if not paired and {"centres", "kept"} <= rest.keys():
        yield None, rest.pop("centres"), rest.pop("kept")
    for population, values in rest.items():
        yield population, values, None


def _order(rung):
    names = ORDER
    return names.index(rung) if rung in names else len(names), rung


def _row(about, kind, term, value, n, ends, note=""):
    return {
        **about,
        "kind": kind,
        "term": term,
        "value": value,
        "ci_low": ends.low,
        "ci_high": ends.high,
        "n": n,
        "method": ends.method,
        "note": notes(note, ends.note),
    }


def _blocks(about, values):
    return Blocks(about["n_blocks"], _held(values.values()))


def _value_rows(about, statistic, values):
    """Return the rows of the values on each rung."""
    blocks = _blocks(about, values)
    return [
        _row(about, "value", rung, values[rung].value, values[rung].count, statistic.ends(values[rung], blocks))
        for rung in sorted(values, key=_order)
    ]


def _values(fom, sums, weights, population, stratum, rungs):
    """Return {rung: `Value`}, against the isolated rung where the statistic is."""
    statistic, out = fom.statistic, {}
    for rung in rungs:
        part = sums.get(fom.source, rung, population, stratum, statistic.n_cells, statistic.width)
        total, copies = part.sum(axis=0), sums.copies(fom.source, rung, population, stratum)
        out[rung] = Value(
            np.float64(statistic.of(total)),
            statistic.samples(weights, part),
            part,
            round(statistic.count(total) / copies),
            copies,
        )
    if statistic.against and "isolated" in rungs:
        base = out["isolated"]
        out = {
            rung: v._replace(
                value=statistic.against(v.value, base.value), samples=statistic.against(v.samples, base.samples)
            )
            for rung, v in out.items()
        }
    return out


def _impacts(values, late, fixed):
    """Return {term: (value, samples)} and, under "split", whether detection and deblending can be told apart.

    ``late`` are the values on the kept sample; a figure that is ``fixed`` has no terms of a real detector.
    """
    best, drawn = (
        budget(
            {rung: getattr(v, what) for rung, v in values.items() if rung in ORDER},
            None if late is None else {rung: getattr(v, what) for rung, v in late.items()},
        )
        for what in ("value", "samples")
    )
    out = {term: (best[term], drawn[term]) for term in SHOWN if term in best}
    if fixed:
        return {term: pair for term, pair in out.items() if sample_of(term) == "centres"}
    late = values if late is None else late
    if set(SPLIT) <= late.keys():
        out["split"] = split_verdict({r: late[r].value for r in SPLIT}, {r: late[r].samples for r in SPLIT})
    return out


def _paired(values):
    """Return {term: (value, samples)} of a statistic that is stored for the terms of the budget."""
    return {term: (values[term].value, values[term].samples) for term in SHOWN if term in values}


def _behind(values, term):
    """Return the values that a term rests on: those of its rungs, or its own."""
    return {name: values[name] for name in ((term,) if term in values else TERMS[term])}


def _objects(values, term):
    """Return how many objects a term rests on: the fewest of any value behind it."""
    return min(v.count for v in _behind(values, term).values())


def _impact_rows(about, statistic, values, impacts):
    """Return the rows of a budget; a population of None is that of each term (`budget.sample_of`)."""
    rows, split = [], SPLIT_NOTES.get(impacts.get("split"), "")
    trials = statistic.least_trials(values)
    for term in SHOWN:
        if term in impacts:
            value, samples = impacts[term]
            n = _objects(values, term)
            rows.append(
                _row(
                    {**about, "population": about["population"] or sample_of(term)},
                    "impact",
                    term,
                    float(value),
                    n,
                    statistic.difference_ends(value, samples, n, trials, _blocks(about, _behind(values, term))),
                    split if term in ("deblending", "detection", "interaction") else "",
                )
            )
    return rows


def _selection_row(about, statistic, values, own, common):
    """Return the selection part of the detection stage: own selection minus common sample."""
    if not own or not common:
        return []
    value, samples = (own["detection"][k] - common["detection"][k] for k in (0, 1))
    n = _objects(values, "detection")
    return [
        _row(
            about,
            "impact",
            "selection",
            float(value),
            n,
            statistic.difference_ends(value, samples, n, (), _blocks(about, values)),
            "detection term of own selections minus that of the common sample",
        )
    ]
