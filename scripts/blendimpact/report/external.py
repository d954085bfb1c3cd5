"""External checks: this study beside published values, with conditions, verdict and reason."""

import fnmatch
import math

import numpy as np
from astropy.table import Table
from scipy.special import ndtri

from ..data.catalogues import describe, rows_of
from ..errors import StudyError
from ..stats.intervals import CONFIDENCE
from .words import LEVEL, TAGS

CHECK_COLUMNS = {
    "id": (None, "name of the check"),
    "target": (None, "number of the validation target, or name of the null test"),
    "title": (None, "what is compared"),
    "published": (None, "published value, with its provenance tag"),
    "published_value": (None, "published value as a number, in unit; NaN if it is a range"),
    "source": (None, "where it is published"),
    "published_conditions": (None, "conditions of the published value"),
    "our_conditions": (None, "conditions of this study's value"),
    "value": (None, "this study's value, in unit"),
    "ci_low": (None, f"lower end of its {LEVEL} interval"),
    "ci_high": (None, f"upper end of its {LEVEL} interval"),
    "n": (None, "number of objects behind it"),
    "unit": (None, "unit of the values"),
    "accept": (None, "what counts as agreement, written before the run"),
    "agrees": (None, "does the interval agree? yes, no, undetermined or not measured"),
    "expected": (None, "what the study should find under its own conditions"),
    "as_expected": (None, "yes, no, undetermined, not measured, or no other expectation"),
    "reason": (None, "why"),
}
"""Columns of the table of external checks: (unit, description)."""


def measured_values(foms, published, extra=None, conditions=None):
    """Return this study's values for the checks.

    Parameters
    ----------
    foms : astropy.table.Table
        Figures of merit (`blendimpact.ladder.aggregate.FOM_COLUMNS`).
    published : list of dict
        From `blendimpact.cases.external_checks.load_external_checks`.
    extra : dict of str to dict, optional
        Values that the run derives (`blendimpact.report.study.derived_values`), by the key that the checks name:
        ``value``, ``ci_low``, ``ci_high``, ``n``, and optionally ``reference`` (what takes the place of the
        published value: a closed form at the run's own parameters, a survey's stated depth) and ``conditions``.
    conditions : dict of str to dict of str to str, optional
        By case: the run's conditions by name, such as positions, seeing, detector, survey, density.

    Returns
    -------
    dict of str to dict
        By check, or by key for a key with a pattern: ``check`` (its id), ``value``, ``ci_low``, ``ci_high``,
        ``n``, ``n_blocks``, ``conditions``, and ``reference`` where given. Checks without a value are absent.
    """
    conditions, found = conditions or {}, {}
    for check in published:
        measure = check.get("measure") or {}
        if "key" in measure:
            for key in sorted(fnmatch.filter(extra or {}, measure["key"])):
                name = check["id"] if key == measure["key"] else key
                found[name] = {"n_blocks": 0, "conditions": {}, **extra[key], "check": check["id"]}
        elif measure:
            rows = [_row(foms, measure[k], check["id"]) for k in ("row", "to") if k in measure]
            if all(row is not None for row in rows):
                found[check["id"]] = {
                    **combined(rows, measure.get("combine")),
                    "check": check["id"],
                    "conditions": conditions.get(measure["row"]["case"], {}),
                }
    return found


def _row(foms, wanted, name):
    rows = rows_of(foms, **wanted)
    if len(rows) > 1:
        raise StudyError(
            f"{len(rows)} rows of figures of merit fit",
            f"external checks {name}.measure",
            "name the population and the stratum",
        )
    return rows[0] if len(rows) and np.isfinite(rows[0]["value"]) else None


def combined(rows, how):
    """Return one row, or the difference or ratio of two with an interval from theirs.

    Square-and-add limits (Zou & Donner 2008), for a ratio those of its logarithm: the two are taken
    as independent, which is too wide an interval where they share their sky.
    """
    value, low, high = (np.array([row[k] for row in rows], dtype=float) for k in ("value", "ci_low", "ci_high"))
    about = {k: int(min(row[k] for row in rows)) for k in ("n", "n_blocks")}
    if how is None:
        return {"value": value[0], "ci_low": low[0], "ci_high": high[0], **about}
    ratio = how == "ratio"
    if ratio and value[0] == 0 and value[1] > 0:  # of counts: there is no logarithm, but an upper end
        return {"value": 0.0, "ci_low": 0.0, "ci_high": float(high[0] / low[1]) if low[1] > 0 else math.nan, **about}
    if ratio:
        with np.errstate(invalid="ignore", divide="ignore"):
            value, low, high = np.log(value), np.log(low), np.log(high)
    difference = value[0] - value[1]
    ends = (
        difference - math.hypot(value[0] - low[0], high[1] - value[1]),
        difference + math.hypot(high[0] - value[0], value[1] - low[1]),
    )
    numbers = [math.exp(x) if ratio else float(x) for x in (difference, *ends)]
    return dict(zip(("value", "ci_low", "ci_high"), numbers, strict=True), **about)


def external_checks(measured, published):
    """Return the table of external checks.

    Parameters
    ----------
    measured : dict of str to dict
        From `measured_values`.
    published : list of dict
        From `blendimpact.cases.external_checks.load_external_checks`.

    Returns
    -------
    astropy.table.Table
        Columns `CHECK_COLUMNS`, a row per check (for a key with a pattern, per value). ``agrees`` is "yes" if
        the whole interval lies in the accepted range, "no" if all of it lies outside, else "undetermined".
    """
    rows = []
    for check in published:
        names = [name for name, value in measured.items() if value["check"] == check["id"]]
        rows += [_check(check, name, measured[name]) for name in names] or [_check(check, check["id"], None)]
    return describe(Table({name: [row[name] for row in rows] for name in CHECK_COLUMNS}), CHECK_COLUMNS)


def _check(check, name, found):
    reference = check["published"]["value"]
    text = f"{check['published']['text']} [{check['published']['tag']}: {TAGS[check['published']['tag']]}]"
    if found and found.get("reference") is not None:
        reference = float(found["reference"])
        text = f"{reference:.4g}{'' if check['unit'] == '1' else ' ' + check['unit']}: {text}"
    conditions = [
        (key, entry["published"], entry["ours"] or (found or {}).get("conditions", {}).get(key))
        for key, entry in check["conditions"].items()
    ]
    value, low, high = (float(found[k]) if found else math.nan for k in ("value", "ci_low", "ci_high"))
    accepted = _ends(check["agree"], reference)
    agrees = _within(value, low, high, accepted)
    row = {
        "id": name,
        "target": str(check["target"]),
        "title": check["title"],
        "published": text,
        "published_value": math.nan if reference is None else reference,
        "source": check["published"]["source"],
        "published_conditions": "; ".join(f"{k}: {theirs}" for k, theirs, _ in conditions),
        "our_conditions": "; ".join(f"{k}: {ours or 'not stated'}" for k, _, ours in conditions),
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "n": int(found["n"]) if found else 0,
        "unit": check["unit"],
        "accept": _accept(check["agree"], accepted, check["unit"]),
        "agrees": agrees,
        "expected": "as published",
        "as_expected": "no other expectation",
    }
    if check.get("expect"):
        expected = _ends(check["expect"], reference)
        row["expected"] = _accept(check["expect"], expected, check["unit"])
        row["as_expected"] = _within(value, low, high, expected)
    row["reason"] = _reason(check, agrees, row["as_expected"], found, accepted, conditions)
    return row


def _ends(given, reference):
    """Return (low, high) of a range of the configuration; infinite where it has no end."""
    if reference is not None and {"within", "relative"} & given.keys():
        half = given.get("within") or given["relative"] * abs(reference)
        return reference - half, reference + half
    low, high = given["low"], given["high"]
    return -math.inf if low is None else low, math.inf if high is None else high


def _within(value, low, high, ends):
    if not math.isfinite(value):
        return "not measured"
    if not (math.isfinite(low) and math.isfinite(high)):
        return "undetermined"
    if ends[0] <= low and high <= ends[1]:
        return "yes"
    return "no" if high < ends[0] or low > ends[1] else "undetermined"


def _accept(given, ends, unit):
    suffix = "" if unit == "1" else f" {unit}"
    if math.isinf(ends[0]) and math.isinf(ends[1]):
        return given["why"]
    text = f"{ends[0]:.4g} to {ends[1]:.4g}"
    if math.isinf(ends[0]):
        text = f"at most {ends[1]:.4g}"
    elif math.isinf(ends[1]):
        text = f"at least {ends[0]:.4g}"
    return f"{text}{suffix}: {given['why']}"


def _reason(check, agrees, as_expected, found, accepted, conditions):
    """Compose the reason: what lies where, and where it disagrees, the written explanation and the conditions.

    Whatever includes the range is as chance would have it, and needs no explanation.
    """
    if agrees == "not measured":
        return check.get("not_measured") or "The run has no such figure of merit."
    value, low, high = (float(found[k]) for k in ("value", "ci_low", "ci_high"))
    if agrees == "yes":
        parts = [f"the whole {LEVEL} interval lies in the accepted range"]
    elif not (math.isfinite(low) and math.isfinite(high)):
        parts = ["the value has no interval: more sky would give one"]
    elif agrees == "undetermined":
        parts = [f"the {LEVEL} interval includes an end of the accepted range: more sky would settle it"]
    else:
        side = "below" if value < accepted[0] else "above"
        parts = [f"the whole {LEVEL} interval lies {side} the accepted range{_distance(value, low, high, accepted)}"]
        if as_expected != "yes":
            parts[0] += f": {check[side]}"
    if as_expected not in ("no other expectation", "not measured"):
        parts.append(
            {
                "yes": "it is what this study should find under its own conditions",
                "no": "it is not what this study should find under its own conditions either",
                "undetermined": "whether it is what this study should find under its own conditions is undetermined",
            }[as_expected]
        )
    if agrees == "no":
        differ = [f"{key} ({theirs}; here: {ours})" for key, theirs, ours in conditions if ours and ours != theirs]
        parts += ["conditions that differ: " + ", ".join(differ)] if differ else []
    parts = [" ".join(part.split()) for part in parts]
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def _distance(value, low, high, accepted):
    """Return how many standard errors a value lies beyond a range, in words; nothing where nothing varies."""
    towards = high - value if value < accepted[0] else value - low
    beyond = accepted[0] - value if value < accepted[0] else value - accepted[1]
    return f", by {beyond / towards * ndtri(0.5 + CONFIDENCE / 2):.1f} standard errors" if towards > 0 else ""
