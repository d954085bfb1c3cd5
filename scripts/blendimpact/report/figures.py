"""Figures of the figures of merit: ladders, completeness, density."""

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from ..config.settings import FIDUCIAL
from ..data.catalogues import rows_of
from ..data.whole import opened
from ..ladder.rungs import COLOURS, ORDER, REAL
from .verdicts import verdict_tag
from .words import SAMPLES

STAGE_COLOURS = {
    "measurement": "#0072B2",
    "photons": "#0072B2",
    "sky": "#0072B2",
    "survival": "#8A3A78",
    "deblending": "#E69F00",
    "detection": "#D55E00",
    "interaction": "#999999",
    "intrinsic": "#56B4E9",
    "selection": "#CC79A7",
}
ADDED = ("intrinsic", "measurement", "deblending", "survival", "detection")
"""Terms of the budget that add up to the total; the others are parts of them."""
BUDGET_TERMS = (
    "intrinsic",
    "measurement",
    "photons",
    "sky",
    "deblending",
    "survival",
    "detection",
    "selection",
    "interaction",
)
MARKERS = "osD^v<>"


def save(figure, path):
    """Save a figure without a date, so that equal figures are equal files."""
    tight = None if figure.get_layout_engine() else "tight"  # a layout has room for everything: no second drawing
    kind = Path(path).suffix[1:]
    metadata = {"Software": None} if kind == "png" else {"CreationDate": None}
    with opened(path, "wb") as file:
        figure.savefig(file, format=kind, dpi=150, bbox_inches=tight, metadata=metadata)


@dataclass(frozen=True)
class CaseFoms:
    """What the figures of a case are drawn from.

    Attributes
    ----------
    table : astropy.table.Table
        Figures of merit (`blendimpact.ladder.aggregate.FOM_COLUMNS`).
    case, scenario : str
        The scenario of figures that show one.
    requirements : dict of str to dict
        By figure of merit (`blendimpact.cases.requirements.load_requirements`).
    """

    table: Table
    case: str
    scenario: str = FIDUCIAL
    requirements: dict = field(default_factory=dict)

    def rows(self, **conditions):
        """Return the rows of the case, of all scenarios, whose columns have these values."""
        return rows_of(self.table, case=self.case, **conditions)

    def here(self, **conditions):
        """Return the rows of the scenario whose columns have these values."""
        return self.rows(scenario=self.scenario, **conditions)

    def density(self, fom, scenarios=None):
        """Return {scenario: value} of a figure of merit that is a density, of the ``scenarios`` that have it."""
        return {
            str(r["scenario"]): float(r["value"])
            for r in self.rows(fom=fom, kind="value", stratum="all")
            if scenarios is None or str(r["scenario"]) in scenarios
        }


def one_sample(rows):
    """Return rows of which each rung has one: of two samples, that of all true centres where they are the rung's."""
    kept = np.asarray(rows["population"]).astype(str) == "kept"
    both = "centres" in set(map(str, rows["population"]))
    return rows[~kept | np.isin(np.asarray(rows["term"]).astype(str), REAL)] if both else rows


def strata_of(rows, name):
    """Return the rows that belong to bins of the stratum ``name``, of one sample each, and the bins' names in order."""
    rows = one_sample(rows[[str(s).startswith(f"{name}:") for s in rows["stratum"]]])
    bins = list(dict.fromkeys(str(s) for s in rows["stratum"]))
    return rows, sorted(bins, key=lambda s: float(s.split(":")[1].split("-")[0]))


def plain(axis, which="both"):
    """Give an axis a light grid and no frame at top and right."""
    axis.grid(axis=which, color="0.92", zorder=0)
    axis.spines[["top", "right"]].set_visible(False)


def errors(rows):
    """Return values and their distances from the ends of the interval, (2, N), NaN where there is none."""
    value = np.asarray(rows["value"], float)
    low, high = (np.asarray(rows[end], float) for end in ("ci_low", "ci_high"))
    return value, np.array([np.clip(value - low, 0, None), np.clip(high - value, 0, None)])


def points(axis, x, rows, number, label, line="", colour=None, sign=1):
    """Draw values with their intervals; a value without one is open and faint, so that it is not taken for exact.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    x : (N,) array
    rows : Table
        N rows with ``value``, ``ci_low``, ``ci_high``.
    number : int
        Of the series: its marker, and its colour where none is given.
    label : str
        In the legend.
    line : str
        Style of the line through the points that have an interval.
    sign : int
        -1 turns values and intervals round.
    """
    value, error = errors(rows)
    value, error = sign * value, error[::sign]
    colour, marker = f"C{number}" if colour is None else colour, MARKERS[number % len(MARKERS)]
    bare = np.isnan(error).any(axis=0)
    if line:
        axis.plot(x[~bare], value[~bare], line, color=colour, lw=1, zorder=2)
    axis.errorbar(
        x[~bare], value[~bare], error[:, ~bare], fmt=marker, capsize=3, ms=5.5, color=colour, label=label, zorder=3
    )
    axis.plot(x[bare], value[bare], marker, mfc="white", mec=colour, ms=5.5, alpha=0.5, zorder=3)


def without_interval(rows):
    """Return what a title adds where a value has no interval, else ""."""
    bare = np.isfinite(np.asarray(rows["value"], float)) & ~np.isfinite(np.asarray(rows["ci_low"], float))
    return "\nopen: too few patches for an interval" if bare.any() else ""


def bin_labels(bins, rows):
    """Return the label of each bin of a stratum: its range, and N; from the fewest to the most objects of any rung."""
    labels = []
    for name in bins:
        n = [int(v) for v in rows_of(rows, stratum=name)["n"]] or [0]  # of a study without these rungs
        text = name.split(":")[1].replace("-", "–").replace("1e+09", "∞").replace("1.0001", "1")
        labels.append(f"{text}\n{min(n):,}" + (f"–{max(n):,}" if max(n) > min(n) else ""))
    return labels


def legend(figure, axes):
    """Put one legend of all axes below them, where it cannot be taken for data."""
    known = {}
    for axis in np.ravel(axes):
        known |= dict(zip(*reversed(axis.get_legend_handles_labels())))
    figure.legend(
        known.values(), known, loc="outside lower center", ncols=min(len(known), 4), frameon=False, fontsize=8
    )


def ladder(foms, fom):
    """Draw one figure of merit on every rung, and the terms of its budget.

    A requirement on the impact is a band of that half width about 0 over the terms; requirements of other senses are
    about the figure of merit itself.

    Parameters
    ----------
    foms : CaseFoms
    fom : str

    Returns
    -------
    matplotlib.figure.Figure or None
        None when the figure of merit has no ladder.
    """
    rows = foms.here(fom=fom, stratum="all")
    impacts = rows_of(rows, kind="impact")
    if not len(impacts):
        return None
    samples = ladder_samples(impacts)
    rows = rows[np.isin(np.asarray(rows["population"]).astype(str), samples)]
    impacts, values = rows_of(rows, kind="impact"), rows_of(rows, kind="value")
    figure = Figure(figsize=(10.5, 4.1), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    present = [population for population in samples if population in set(map(str, values["population"]))]
    names = [r for r in ORDER if r in set(map(str, values["term"]))]
    for number, population in enumerate(present):
        here = rows_of(values, population=population)
        order = [k for r in names for k in np.flatnonzero(np.asarray(here["term"]) == r)]
        x = np.array([names.index(str(r)) for r in here["term"][order]]) + 0.12 * (number - (len(present) - 1) / 2)
        points(left, x, here[order], number, f"sample: {population}", colour=("#333333", "#8A3A78")[number])
    left.set_xticks(range(len(names)), names, rotation=25, ha="right")
    unit = "" if str(rows["unit"][0]) == "1" else f" [{rows['unit'][0]}]"
    left.set_ylabel(f"{fom}{unit}")
    left.set_title("value on each rung" if names else "of differences per object: no values on rungs", fontsize=10)
    terms = [t for t in BUDGET_TERMS if t in list(impacts["term"])]
    shown = impacts[[list(impacts["term"]).index(t) for t in terms]]
    value, error = errors(shown)
    for k, term in enumerate(terms):
        known = np.isfinite(error[:, k]).all()
        face = STAGE_COLOURS[term] if term in ADDED and known else "none"
        right.bar(k, value[k], fc=face, ec=STAGE_COLOURS[term], ls="-" if known else ":", width=0.62, zorder=2)
        if known:
            right.errorbar(k, value[k], error[:, k : k + 1], color="#222222", capsize=3, lw=1.2, zorder=3)
    right.axhline(0, color="#222222", lw=0.8)
    requirement = foms.requirements.get(fom) or {}
    if requirement.get("value") and requirement.get("sense", "within") == "within":
        half = requirement["value"]
        right.axhspan(
            -half,
            half,
            color="#009E73",
            alpha=0.25,
            lw=0,
            zorder=1,
            label=f"requirement ±{half:g} [{verdict_tag(requirement)}]\n" + "\n".join(wrap(requirement["source"], 52)),
        )
    right.set_xticks(
        range(len(terms)),
        [f"{t}\nN = {int(n):,}" for t, n in zip(terms, shown["n"])],
        rotation=25,
        ha="right",
        fontsize=8,
    )
    right.set_title("impact = difference of rungs (open: part of the others)", fontsize=10)
    legend(figure, (left, right))
    figure.suptitle(
        f"{rows['title'][0]}: {foms.case}, {foms.scenario}, {int(impacts['n_blocks'][0])} patches, 95 % intervals"
        + without_interval(rows).replace("open", "open and faint, or dotted"),
        fontsize=11,
    )
    for axis in (left, right):
        plain(axis, "y")
    return figure


def ladder_samples(impacts):
    """Return the samples of one budget: those of true centres, of what detection keeps, of both; or its only one."""
    found = list(dict.fromkeys(map(str, impacts["population"])))
    return [name for name in SAMPLES if name in found] or found[:1]


def by_stratum(foms, fom, stratum, rungs, xlabel, ylabel, log=False, population=None):
    """Draw a figure of merit against the bins of a stratum ("magnitude", ...), of one sample if it is named.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there is no such stratum.
    """
    sample = {} if population is None else {"population": population}
    rows, bins = strata_of(foms.here(fom=fom, kind="value", **sample), stratum)
    if not len(rows):
        return None
    figure = Figure(figsize=(6.2, 4), layout="constrained")
    axis = figure.subplots()
    for k, rung in enumerate(rungs):
        here = rows_of(rows, term=rung)
        if not len(here):
            continue
        where = [bins.index(str(s)) for s in here["stratum"]]
        points(
            axis,
            np.asarray(where) + 0.07 * (k - (len(rungs) - 1) / 2),
            here,
            k,
            rung,
            colour=COLOURS.get("isolated" if rung == "alone" else rung),
        )
    axis.set_xticks(range(len(bins)), bin_labels(bins, rows), fontsize=8)
    axis.set_xlabel(f"{xlabel}, N below")
    axis.set_ylabel(ylabel)
    if log:
        axis.set_yscale("log")
    legend(figure, axis)
    plain(axis, "y")
    axis.set_title(
        f"{foms.case}, {foms.scenario}: {fom}, {int(rows['n_blocks'][0])} patches, 95 % intervals"
        + without_interval(rows),
        fontsize=10,
    )
    return figure


def against_density(
    foms,
    fom,
    density,
    terms,
    ylabel,
    xlabel="detectable sources (isolated S/N ≥ cut) per arcmin²",
    log=False,
    scenarios=None,
):
    """Draw terms of a budget against source density, one point per scenario.

    Parameters
    ----------
    density : str
        Figure of merit that holds the sources per area, as ``xlabel`` says.
    scenarios : sequence of str, optional
        Default all.

    Returns
    -------
    matplotlib.figure.Figure or None
        None when fewer than two scenarios have the figure of merit.
    """
    density = foms.density(density, scenarios)
    rows = foms.rows(fom=fom, kind="impact", stratum="all")
    rows = rows[[str(s) in density for s in rows["scenario"]]]
    if len(set(map(str, rows["scenario"]))) < 2:
        return None
    figure = Figure(figsize=(6.2, 4), layout="constrained")
    axis = figure.subplots()
    for k, term in enumerate(terms):
        here = rows_of(rows, term=term)
        x = np.array([density[str(s)] for s in here["scenario"]])
        order = np.argsort(x)
        points(axis, x[order], here[order], k, term, "-", STAGE_COLOURS.get(term))
    axis.axhline(0, color="#222222", lw=0.8)
    axis.set_xscale("log" if log else "linear")
    if not log:
        axis.set_xlim(left=0)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    legend(figure, axis)
    plain(axis)
    n = [int(v) for v in rows["n"][np.isin(np.asarray(rows["term"]).astype(str), terms)]]
    axis.set_title(
        f"{foms.case}: {fom} against density, N = {min(n):,} to {max(n):,}, 95 % intervals{without_interval(rows)}",
        fontsize=10,
    )
    return figure


def nothing(text):
    """Return a figure that holds a text."""
    figure = Figure(figsize=(6, 3))
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    return figure
