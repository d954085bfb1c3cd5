"""Figures of the figures of merit: ladders, completeness, density."""

from dataclasses import dataclass, field
from textwrap import wrap

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from ..config.settings import FIDUCIAL
from ..data.catalogues import rows_of
from ..ladder.rungs import ORDER, REFERENCE
from .verdicts import verdict_tag

STAGE_COLOURS = {
    "measurement": "#0072B2",
    "deblending": "#E69F00",
    "detection": "#D55E00",
    "interaction": "#999999",
    "intrinsic": "#56B4E9",
    "selection": "#CC79A7",
}
BUDGET_TERMS = ("intrinsic", "measurement", "deblending", "detection", "selection", "interaction")
MARKERS = "osD^v<>"


def save(figure, path):
    """Save a figure without a date, so that equal figures are equal files."""
    tight = None if figure.get_layout_engine() else "tight"  # a layout has room for everything: no second drawing
    figure.savefig(
        path,
        dpi=150,
        bbox_inches=tight,
        metadata={"Software": None} if str(path).endswith("png") else {"CreationDate": None},
    )


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


def strata_of(rows, name):
    """Return the rows that belong to bins of the stratum ``name``, and the bins' names in order."""
    rows = rows[[str(s).startswith(f"{name}:") for s in rows["stratum"]]]
    bins = list(dict.fromkeys(str(s) for s in rows["stratum"]))
    return rows, sorted(bins, key=lambda s: float(s.split(":")[1].split("-")[0]))


def plain(axis, which="both"):
    """Give an axis a light grid and no frame at top and right."""
    axis.grid(axis=which, color="0.92", zorder=0)
    axis.spines[["top", "right"]].set_visible(False)


def errors(rows):
    """Return values and their distances from the ends of the interval, (2, N), 0 where there is none."""
    value = np.asarray(rows["value"], float)
    low = np.clip(value - np.asarray(rows["ci_low"], float), 0, None)
    high = np.clip(np.asarray(rows["ci_high"], float) - value, 0, None)
    return value, np.nan_to_num([low, high])


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
    population = str(impacts["population"][0])
    values = rows_of(rows, kind="value", population=population)
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    names = [r for r in ORDER if r in list(values["term"])]
    order = [list(values["term"]).index(r) for r in names]
    value, error = errors(values[order])
    main = [k for k, r in enumerate(names) if r in (REFERENCE, "isolated", "oracle", "deblended", "pipeline")]
    left.plot(np.asarray(main), value[main], "-", color="0.75", lw=1.2, zorder=1)
    for k, name in enumerate(names):
        side = name in ("undeblended", "merged")
        left.errorbar(
            k,
            value[k],
            error[:, k : k + 1],
            fmt="s" if side else "o",
            ms=7,
            capsize=3,
            mfc="white" if side else "#333333",
            mec="#333333",
            color="#333333",
        )
    left.set_xticks(range(len(names)), names, rotation=25, ha="right")
    unit = "" if str(rows["unit"][0]) == "1" else f" [{rows['unit'][0]}]"
    left.set_ylabel(f"{fom}{unit}")
    left.set_title("value on each rung (open: side rungs)", fontsize=10)
    terms = [t for t in BUDGET_TERMS if t in list(impacts["term"])]
    order = [list(impacts["term"]).index(t) for t in terms]
    value, error = errors(impacts[order])
    for k, term in enumerate(terms):
        right.bar(k, value[k], color=STAGE_COLOURS[term], width=0.62, zorder=2)
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
        right.legend(fontsize=7, frameon=False)
    right.set_xticks(range(len(terms)), terms, rotation=25, ha="right")
    right.set_title("impact = difference of rungs", fontsize=10)
    n, blocks = int(impacts["n"].max()), int(impacts["n_blocks"][0])
    figure.suptitle(
        f"{rows['title'][0]}: {foms.case}, {foms.scenario}, {population} sample; N = {n:,}, "
        f"{blocks} patches, 95 % intervals",
        fontsize=11,
    )
    for axis in (left, right):
        plain(axis, "y")
    return figure


def by_stratum(foms, fom, stratum, rungs, xlabel, ylabel, log=False):
    """Draw a figure of merit against the bins of a stratum ("magnitude", "blendedness", ...).

    Returns
    -------
    matplotlib.figure.Figure or None
        None when there is no such stratum.
    """
    rows, bins = strata_of(foms.here(fom=fom, kind="value"), stratum)
    if not len(rows):
        return None
    figure = Figure(figsize=(6.2, 4), layout="constrained")
    axis = figure.subplots()
    for k, rung in enumerate(rungs):
        here = rows_of(rows, term=rung)
        if not len(here):
            continue
        where = [bins.index(str(s)) for s in here["stratum"]]
        value, error = errors(here)
        axis.errorbar(
            np.asarray(where) + 0.07 * (k - (len(rungs) - 1) / 2),
            value,
            error,
            fmt=MARKERS[k],
            capsize=3,
            ms=6,
            label=rung,
            alpha=0.9,
        )
    labels = [s.split(":")[1].replace("-", "–").replace("1e+09", "∞").replace("1.0001", "1") for s in bins]
    axis.set_xticks(range(len(bins)), labels)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    if log:
        axis.set_yscale("log")
    axis.legend(frameon=False, fontsize=8)
    plain(axis, "y")
    axis.set_title(
        f"{foms.case}, {foms.scenario}: {fom}, {int(rows['n_blocks'][0])} patches, 95 % intervals", fontsize=10
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
        value, error = errors(here)
        axis.errorbar(
            x[order],
            value[order],
            error[:, order],
            fmt=f"{MARKERS[k]}-",
            capsize=3,
            label=term,
            color=STAGE_COLOURS.get(term),
        )
    axis.axhline(0, color="#222222", lw=0.8)
    axis.set_xscale("log" if log else "linear")
    if not log:
        axis.set_xlim(left=0)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    axis.set_title(f"{foms.case}: {fom} against density, 95 % intervals", fontsize=10)
    return figure


def nothing(text):
    """Return a figure that holds a text."""
    figure = Figure(figsize=(6, 3))
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    return figure
