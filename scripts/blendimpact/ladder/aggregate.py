"""From sums per block of sky to values, impacts and their intervals."""

import numpy as np
from astropy.table import Table

from ..data import catalogues
from ..stats.detection_statistics import linked
from ..stats.figures_of_merit import N_SUMS, OF_HISTOGRAMS, quadrature
from ..stats.intervals import (
    bootstrap_weights,
    design_effect,
    dispersion,
    interval,
    needed_blocks,
    poisson_rate,
    resampled_sums,
    wilson,
)
from .budget import budget, split_verdict
from .rungs import REFERENCE, RUNGS

FOM_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "fom": (None, "figure of merit"),
    "stage": (None, "column of the board"),
    "title": (None, "what the figure of merit is"),
    "kind": (None, "value: on one rung; impact: a difference of rungs"),
    "term": (None, "the rung, or the term of the budget"),
    "population": (None, "which sources: common to all rungs, each rung's own selection, truth, all"),
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
TERMS = ("intrinsic", "measurement", "deblending", "detection", "interaction", "total",
         "shapley_deblending", "shapley_detection", "no_deblending")
MOST_GROUPS = 1000
LADDER = ("isolated", "oracle", "deblended", "merged", "pipeline")
# What separates two rungs, so how many objects a term of the budget rests on.
TERM_RUNGS = {"intrinsic": ("isolated", REFERENCE), "measurement": ("oracle", "isolated"),
              "deblending": ("deblended", "oracle"), "detection": ("pipeline", "deblended"),
              "selection": ("pipeline", "deblended"), "no_deblending": ("undeblended", "oracle")}
MIN_BLOCKS = 10  # blocks that must hold objects before resampling them says anything
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
        """Return {(population, stratum): [rungs]} of a figure of merit, in sorted order."""
        out = {}
        for name, rung, population, stratum in sorted(self._parts):
            if name == fom:
                out.setdefault((population, stratum), []).append(rung)
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
        for (population, stratum), rungs in sums.keys(fom.source).items():
            about = {"case": case, "scenario": scenario, "fom": fom.id, "stage": fom.stage,
                     "title": fom.title, "population": population, "stratum": stratum,
                     "n_blocks": len(sums.blocks), "unit": fom.unit}
            full, samples, counts, parts, copies = _values(fom, sums, weights, population, stratum, rungs)
            if fom.kind.startswith(("tpr", "auc")) and not any(counts.values()):
                continue  # a bin that holds what all positives are told from, and no positive
            trials = _least_trials(fom.kind, parts)
            if fom.kind == "contrast" and not all(trials):
                continue  # nothing on one side of the difference
            about["held"] = min(int(part.any(axis=(1, 2)).sum()) for part in parts.values())
            rows += [_value_row(about, fom, full[rung], samples[rung], counts[rung], parts[rung], rung, copies[rung])
                     for rung in sorted(rungs, key=_order)]
            impacts = _impacts(full, samples, fom.fixed)
            kept[fom.id, population, stratum] = impacts
            rows += _impact_rows(about, impacts, counts, trials)
            if fom.common:
                rows += _selection_row(about, impacts, kept.get((fom.common, "common", stratum)), counts)
    out = Table({name: [row[name] for row in rows] for name in FOM_COLUMNS})
    return catalogues.describe(out, FOM_COLUMNS)


def _order(rung):
    names = (REFERENCE, *RUNGS)
    return names.index(rung) if rung in names else len(names), rung


def _values(fom, sums, weights, population, stratum, rungs):
    n_cells = max(len(fom.edges) - 1, 1)
    full, samples, counts, parts, copies = {}, {}, {}, {}, {}
    for rung in rungs:
        part = sums.get(fom.source, rung, population, stratum, n_cells, fom.width)
        parts[rung] = part
        full[rung] = np.float64(fom.value(part.sum(axis=0)))
        samples[rung] = _samples(fom, weights, part)
        copies[rung] = sums.copies(fom.source, rung, population, stratum)
        counts[rung] = round(fom.count(part.sum(axis=0)) / copies[rung])
    if fom.relative and "isolated" in rungs:
        base, base_samples = full["isolated"], samples["isolated"]
        with np.errstate(invalid="ignore", divide="ignore"):
            full = {rung: _finite(value / base - 1) for rung, value in full.items()}
            samples = {rung: _finite(value / base_samples - 1) for rung, value in samples.items()}
    if fom.excess and "isolated" in rungs:
        base, base_samples = full["isolated"], samples["isolated"]
        full = {rung: quadrature(value, base) for rung, value in full.items()}
        samples = {rung: quadrature(value, base_samples) for rung, value in samples.items()}
    return full, samples, counts, parts, copies


def _samples(fom, weights, part):
    """Return the figure's value on each resample; of a histogram, without the work for bins beyond all objects."""
    if fom.kind not in OF_HISTOGRAMS:
        return fom.value(_resampled(weights, part))
    filled = np.flatnonzero(part.any(axis=(0, 2)))
    # With an empty bin at either end: the end bins of a histogram are open, those of this part of it must not hold any.
    first, last = (max(filled[0] - 1, 0), min(filled[-1] + 2, part.shape[1])) if len(filled) else (0, part.shape[1])
    return fom.value(_resampled(weights, part[:, first:last]), fom.edges[first : last + 1])


def _resampled(weights, part):
    """Return `resampled_sums`, without the work for cells that no block has anything in."""
    filled = part.any(axis=(0, 2))
    out = np.zeros((len(weights), *part.shape[1:]))
    out[:, filled] = resampled_sums(weights, part[:, filled])
    return out


def _finite(values):
    return np.where(np.isfinite(values), values, np.nan)[()]


def _value_row(about, fom, value, samples, count, part, rung, copies):
    method = "bootstrap over blocks"
    low, high, note = _ends(samples, about)
    if fom.kind.startswith("tpr"):
        share, negatives = float(fom.kind[len("tpr"):]), round(float(part[..., 0].sum()))
        few = f": fewer than {1 / share:.0f}, so the threshold is at their largest"
        note = "; ".join(t for t in (note, f"{negatives} negatives{few if negatives * share < 1 else ''}") if t)
    if fom.kind == "rate":
        counts, area = part[:, 0, 0], part[:, 0, 1]
        low, high = poisson_rate(counts.sum(), area.sum(), max(dispersion(counts, area), copies))
        method, note = "Poisson, widened by the dispersion of blocks", ""
    if fom.kind in ("fraction", "linking"):
        proportion = _pooled(part[:, 0, 0], part[:, 0, 1], copies)
        low, high = float(proportion.low), float(proportion.high)
        method, note = "Wilson, widened by the design effect of blocks", ""
        if fom.kind == "linking":  # it rises with the fraction
            low, high = float(linked(low)), float(linked(high))
    if fom.kind == "contrast":
        low, high = newcombe(*(_pooled(part[:, 0, k], part[:, 0, k + 1], copies) for k in (0, 2)))
        method = "Newcombe, of Wilson intervals widened by the design effect of blocks"
        few = note if about["held"] < MIN_BLOCKS else ""
        note = "; ".join(t for t in (few.replace("no interval", "no bootstrap"),
                                     undetermined(value, low, high, count, about["n_blocks"])) if t)
    return {**about, "kind": "value", "term": rung, "value": value, "ci_low": low, "ci_high": high,
            "n": count, "method": method, "note": note}


def _pooled(k, n, copies):
    """Return the proportion of counts by block; twins are copies: without a measured effect so many are one trial."""
    effect = design_effect(k, n)
    return wilson(k.sum(), n.sum(), design_effect=max(effect, copies) if np.isfinite(effect) else copies)


def newcombe(first, second):
    """Return the interval of the difference of two proportions, first minus second (Newcombe 1998, method 10).

    Parameters
    ----------
    first, second : Proportion
        With their Wilson intervals.

    Returns
    -------
    low, high : float
    """
    below, above = ([(p.value - p.low, p.high - p.value)[k] for p in (first, second)] for k in (0, 1))
    difference = first.value - second.value
    return (float(difference - np.hypot(below[0], above[1])), float(difference + np.hypot(above[0], below[1])))


def undetermined(value, low, high, count, n_blocks):
    """Return a note for a difference whose interval holds 0: how many objects would tell it from 0; else ""."""
    if not low <= 0 <= high:
        return ""
    needed = needed_blocks(value, value - low if value > 0 else high - value, 0.0, n_blocks)
    if not np.isfinite(needed):
        return "undetermined: no difference is seen, and the interval says how large one may be"
    return (f"undetermined: the interval holds 0; about {float(f'{count * needed / n_blocks:.2g}'):,.0f} objects (this "
            f"run: {count:,}) would tell it from 0, if the value stays")


def _ends(samples, about):
    """Return both ends of the bootstrap interval and what to mind about it."""
    if about["held"] < MIN_BLOCKS:
        return np.nan, np.nan, f"no interval: only {about['held']} blocks hold any object, {MIN_BLOCKS} are the least"
    ends = interval(samples, about["n_blocks"])
    note = f"{int(ends.n_nan)} of {len(samples)} resamples gave no value" if ends.n_nan else ""
    return float(ends.low), float(ends.high), note


def _impacts(full, samples, fixed=False):
    """Return {term: (value, samples)} and the note on the split, or {} without a whole ladder.

    The ladder of a figure that is ``fixed`` ends with the last rung of true centres.
    """
    if not set(LADDER if not fixed else LADDER[:3]) <= set(full):
        return {}
    ladder = [rung for rung in full if rung in (REFERENCE, *RUNGS)]
    full, samples = ({rung: values[rung] for rung in ladder} for values in (full, samples))
    best, drawn = budget(full), budget(samples)
    out = {term: (best[term], drawn[term]) for term in TERMS if term in best}
    if not fixed:
        out["split"] = split_verdict(full, samples)
    return out


def _least_trials(kind, parts):
    """Return the least numbers of trials that any rung has: of a fraction (one), of a contrast (two), else none."""
    columns = {"fraction": (1,), "contrast": (1, 3)}.get(kind, ())
    return [min(float(part[:, 0, k].sum()) for part in parts.values()) for k in columns]


def _impact_rows(about, impacts, counts, trials=()):
    """Return the rows of a budget.

    Of a fraction, or of the difference of two, that no block has more of (or less) on one rung than on the other no
    resample goes beyond 0, which is not to know that nothing does: that end is then Wilson's of 0 differences in each
    of the ``trials``.
    """
    rows = []
    note = SPLIT_NOTES.get(impacts.get("split"), "")
    for term in TERMS:
        if term not in impacts:
            continue
        value, samples = impacts[term]
        low, high, ends_note = _ends(samples, about)
        n = min(counts[r] for r in TERM_RUNGS.get(term, LADDER))
        method = "bootstrap over blocks, difference inside each resample"
        if n and trials and all(trials) and 0 in (low, high):
            tops = [wilson(0, n if len(trials) == 1 else number).high for number in trials]
            top = float(np.sqrt(np.sum(np.square(tops))))
            method = (f"{method}; " if low != high else "") + "an end of 0: Wilson's for 0 differences in n"
            low, high = low or -top, high or top
        if len(trials) == 2:
            ends_note = "; ".join(t for t in (ends_note, undetermined(value, low, high, n, about["n_blocks"])) if t)
        stage_note = note if term in ("deblending", "detection", "interaction") else ""
        rows.append({**about, "kind": "impact", "term": term, "value": float(value),
                     "ci_low": low, "ci_high": high, "n": n, "method": method,
                     "note": "; ".join(t for t in (stage_note, ends_note) if t)})
    return rows


def _selection_row(about, own, common, counts):
    """Return the selection part of the detection stage: own selection minus common sample."""
    if not own or not common:
        return []
    value = own["detection"][0] - common["detection"][0]
    samples = own["detection"][1] - common["detection"][1]
    low, high, ends_note = _ends(samples, about)
    return [{**about, "kind": "impact", "term": "selection", "value": float(value), "ci_low": low, "ci_high": high,
             "n": min(counts[r] for r in TERM_RUNGS["selection"]),
             "method": "bootstrap over blocks, difference inside each resample",
             "note": "; ".join(t for t in ("detection term of own selections minus that of the common sample",
                                           ends_note) if t)}]
