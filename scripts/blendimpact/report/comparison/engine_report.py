"""Table, costs, figure and page of the comparison of subtraction engines."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ...data import catalogues, missing_inputs
from ...data.catalogues import rows_of
from ...ladder.aggregate import FOM_COLUMNS, aggregate
from ...stats.figures_of_merit import bin_names
from ..figures import nothing
from . import pages
from .engines import FIGURES_OF_MERIT, SB_EDGES, score
from .figures import legend, point
from .pages import cell
from .tables import described, not_made

COLUMNS = {
    **{name: FOM_COLUMNS[name] for name in ("case", "scenario")},
    "engine": (None, "engine of the subtraction; patches, sources and places are the same for all"),
    "population": (None, "static sources; transients, hosted and hostless; differences"),
    **{
        name: FOM_COLUMNS[name]
        for name in ("stratum", "fom", "title", "value", "ci_low", "ci_high", "n", "n_blocks", "unit", "method")
    },
    "definition": (None, "what the figure of merit is"),
    "note": FOM_COLUMNS["note"],
}
COST_COLUMNS = {
    "engine": "engine",
    "differences": "patches that were subtracted",
    "megapixels": "their pixels, in millions",
    "cpu_per_megapixel": "CPU s per million pixels, median of the patches but the first of each job, which compiles",
    "first_cpu": "CPU s of a job's first patch, mean of the jobs",
    "peak_mb": "largest peak memory of a job (MB), with measuring",
    "note": "why there is no number",
}
HEADLINES = (
    ("chi2.median", "static sources"),
    ("chi2.mean", "static sources"),
    ("spurious5", "differences"),
    ("alarms5", "differences"),
    ("alarms4", "differences"),
    ("bias", "hosted"),
    ("bias", "hostless"),
    ("pull.mean", "hosted"),
    ("pull.mean", "hostless"),
    ("pull.width", "hosted"),
    ("pull.width", "hostless"),
    ("pull.nmad", "hosted"),
    ("pull.nmad", "hostless"),
    ("lost_snr", "transients"),
    ("failed", "static sources"),
)


def table(rows, engines, reasons, case, scenario, n_resamples, seed):
    """Return the table of the comparison.

    Parameters
    ----------
    rows : pandas.DataFrame or None
        `blendimpact.report.comparison.engines.ENGINE_COLUMNS` of the engines that ran.
    engines : sequence of str
    reasons : dict of str to str
        Why an engine did not run.
    case, scenario : str
    n_resamples, seed : int
        Of the bootstrap over patches; all engines share the resamples.

    Returns
    -------
    Table
        Columns `COLUMNS`; an engine that did not run has one row, whose note says why.
    """
    parts = []
    made = [name for name in engines if name not in reasons]
    if rows is not None and made:
        sums = score(rows, made, case, scenario).table()
        found = aggregate(sums, case, scenario, FIGURES_OF_MERIT, n_resamples, seed)
        found["engine"] = found["term"]
        texts = {fom.id: fom.definition for fom in FIGURES_OF_MERIT}
        found["definition"] = np.array([texts[str(fom)] for fom in found["fom"]], dtype=str)
        order = {name: k for k, name in enumerate(engines)}
        found = found[np.argsort([order[str(name)] for name in found["engine"]], kind="stable")]
        parts.append(described(found, COLUMNS))
    parts += [
        not_made(COLUMNS, reasons[name], case=case, scenario=scenario, engine=name)
        for name in engines
        if name in reasons
    ]
    return catalogues.stack(parts)


def costs(engine, paths):
    """Return one row of costs, keys as in `COST_COLUMNS`, from the cost files of an engine's jobs."""
    row = {**dict.fromkeys(COST_COLUMNS, np.nan), "engine": engine, "differences": 0, "note": ""}
    if reason := missing_inputs.reason(paths):
        return {**row, "note": f"not made: {reason}"}
    jobs = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    jobs = [job for job in jobs if job["cpu"]]
    if not jobs:
        return {**row, "note": "no patch"}
    rates = [c / m for job in jobs for c, m in list(zip(job["cpu"], job["megapixels"]))[1:]]
    return {
        **row,
        "differences": sum(len(job["cpu"]) for job in jobs),
        "megapixels": round(sum(sum(job["megapixels"]) for job in jobs), 3),
        "cpu_per_megapixel": round(float(np.median(rates)), 3) if rates else np.nan,
        "first_cpu": round(float(np.mean([job["cpu"][0] for job in jobs])), 3),
        "peak_mb": round(max(job["peak_mb"] for job in jobs)),
    }


def figure(found, engines):
    """Draw residuals against surface brightness, spurious peaks, bias and pull of the flux.

    Parameters
    ----------
    found : Table
        From `table`.
    engines : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not np.isfinite(np.asarray(found["value"], float)).any():
        return nothing("no engine ran")
    out = Figure(figsize=(11, 8), layout="constrained")
    axes, drawn = out.subplots(2, 2), {}
    names = [name for name in bin_names("sb", SB_EDGES) if len(rows_of(found, fom="chi2.median", stratum=name))]
    groups = {
        axes[0, 0]: [("chi2.median", "static sources", name) for name in names],
        axes[0, 1]: [("alarms4", "differences", "all"), ("alarms5", "differences", "all")],
        axes[1, 0]: [("bias", "hosted", "all"), ("bias", "hostless", "all")],
        axes[1, 1]: [(f"pull.{k}", g, "all") for k in ("width", "nmad") for g in ("hosted", "hostless")],
    }
    for axis, places in groups.items():
        labels = []
        for k, (fom, population, stratum) in enumerate(places):
            rows = rows_of(found, fom=fom, population=population, stratum=stratum)
            for number, engine in enumerate(engines):
                row = rows_of(rows, engine=engine)
                if len(row) and np.isfinite(row["value"][0]):
                    place = k + 0.7 * ((number + 0.5) / len(engines) - 0.5)
                    drawn[engine] = point(axis, place, row, number, 6)
            n = int(max(rows["n"])) if len(rows) else 0
            labels.append(_label(fom, population, stratum, n))
        axis.set_xticks(range(len(places)), labels, fontsize=8)
        axis.grid(axis="y", color="0.92")
        axis.spines[["top", "right"]].set_visible(False)
    for axis, level, text in (
        (axes[0, 0], 1, "median residual chi2 of static sources"),
        (axes[0, 1], 1, "spurious peaks over Kaiser's rate"),
        (axes[1, 0], 0, "median (F - F_alone) / F_alone"),
        (axes[1, 1], 1, "width of (F - F_alone) / error"),
    ):
        axis.axhline(level, color="#222222", lw=0.8)
        axis.set_ylabel(text)
        if level:
            axis.set_yscale("log")
        else:
            axis.set_yscale("symlog", linthresh=0.01)
    axes[0, 0].set_xlabel("surface brightness of the static light [AB mag / arcsec2]")
    legend(out, drawn)
    return out


def _label(fom, population, stratum, n):
    if fom.startswith("chi2"):
        return f"{stratum.split(':')[1].replace('-', '–')}\nN = {n}"
    if fom.startswith("alarms"):
        return f"beyond {fom[-1]} sigma"
    name = {"pull.width": "standard deviation\n", "pull.nmad": "NMAD\n"}.get(fom, "")
    return f"{name}{population}\nN = {n}"


def write_page(path, config, about, found, cost, pictures, downloads):
    """Write the page.

    Parameters
    ----------
    path : path-like
    config : dict
        The checked configuration.
    about : str
        The sky in a sentence.
    found : Table
        From `table`.
    cost : list of dict
        From `costs`.
    pictures, downloads : sequence of path-like
    """
    engines = config["subtraction_comparison"]["engines"]
    index = {tuple(str(row[k]) for k in ("engine", "population", "stratum", "fom")): row for row in found}
    foms = {fom.id: fom for fom in FIGURES_OF_MERIT}
    notes = {str(row["engine"]): str(row["note"]) for row in found if not str(row["fom"])}
    strata = [
        s for s in bin_names("sb", SB_EDGES) if any((e, "static sources", s, "chi2.median") in index for e in engines)
    ]
    bits = [
        fom
        for fom in foms
        if fom.startswith("status.") and any(key[3] == fom and row["value"] > 0 for key, row in index.items())
    ]
    spent = {row["engine"]: row for row in cost}
    rows = [
        {
            "name": name,
            "note": notes.get(name, ""),
            "cost": spent[name],
            "cells": [cell(index.get((name, population, "all", fom))) for fom, population in HEADLINES],
            "strata": [cell(index.get((name, "static sources", s, "chi2.median"))) for s in strata],
            "bits": [cell(index.get((name, "differences", "all", fom))) for fom in bits],
        }
        for name in engines
    ]
    pages.write_page(
        path,
        "engines.html",
        config["study"],
        engines,
        config["subtractors"],
        pictures,
        downloads,
        about=about,
        rows=rows,
        cost_columns=COST_COLUMNS,
        heads=[(foms[f].title, population, foms[f].definition) for f, population in HEADLINES],
        strata=[s.split(":")[1].replace("-", "–") for s in strata],
        bits=[(foms[f].title, foms[f].definition) for f in bits],
    )
