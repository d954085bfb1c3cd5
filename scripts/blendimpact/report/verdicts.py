"""Verdicts: what an interval says of a requirement, why, and what would settle it."""

import math

from ..stats.intervals import needed_blocks
from .words import LEVEL, SENSES, TAGS

VERDICTS = {
    "meets": "the whole interval lies within the requirement",
    "exceeds": "the whole interval lies beyond the requirement",
    "negligible": "the whole interval lies within what may be unknown after calibration: none is needed",
    "needs calibration": "the whole interval lies beyond what may be unknown after calibration: it matters as it is",
    "undetermined": "the interval includes the requirement",
    "no requirement": "measured, but nobody has published a requirement",
    "not quantified": "no number; the reason says why",
}
"""A requirement is about a value as it is (meets, exceeds) or about what calibration leaves (negligible, needs it)."""
WORDS = {"value": ("meets", "exceeds"), "calibration": ("negligible", "needs calibration")}
DECIDED = sum(WORDS.values(), ())
LEAST_BLOCKS = 30
NO_REQUIREMENT = "none published"
STRENGTH = "VDMA"
"""Tags from the strongest to the weakest."""
APPLIED = {"A": "; applied here to another quantity [A]", "M": "; that it is about this quantity is from memory [M]"}


def verdict(value, low, high, limit, sense="within", about="value"):
    """Return the verdict of an interval on a requirement.

    Parameters
    ----------
    value, low, high : float
        Value and interval; NaN ends when there is no interval.
    limit : float or None
        The requirement; None when there is none.
    sense : str
        "within": |x| <= limit; "at most": x <= limit; "at least": x >= limit; "known to": half the width of
        the interval <= limit, which more sky always reaches, so nothing exceeds it.
    about : str
        "value": the limit is on the quantity as it is. "calibration": on what is unknown of it after calibration.

    Returns
    -------
    str
        One of `VERDICTS`.
    """
    if value is None or not math.isfinite(value):
        return "not quantified"
    if limit is None:
        return "no requirement"
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "undetermined"
    if sense == "within":
        inside, outside = -limit <= low and high <= limit, low > limit or high < -limit
    elif sense == "at most":
        inside, outside = high <= limit, low > limit
    elif sense == "at least":
        inside, outside = low >= limit, high < limit
    elif sense == "known to":
        inside, outside = (high - low) / 2 <= limit, False
    else:
        raise ValueError(f"unknown sense {sense!r}; one of {', '.join(SENSES)}")
    good, bad = WORDS[about]
    return good if inside else bad if outside else "undetermined"


def verdict_tag(required):
    """Return the tag of a verdict: the weaker of the number's and of its application; "none" without a number."""
    if not required or required.get("value") is None:
        return "none"
    return max(required.get("tag", "M"), required.get("application", "A"), key=STRENGTH.index)


def requirement_source(required):
    """Return the origin of a requirement with its tag, and what is weaker in its application.

    E.g. "LSST SRD LPM-17, PA1 [V: read in the source]; applied here to another quantity [A]".
    """
    if not required or required.get("value") is None:
        why = (required or {}).get("source")
        if not why:
            return NO_REQUIREMENT
        return why if why.startswith("no") else f"{NO_REQUIREMENT}: {why}"
    tag, sense = required.get("tag", "M"), required.get("sense", "within")
    prefix = "" if sense == "within" else f"{sense}: "
    weaker = "" if verdict_tag(required) == tag else APPLIED[required.get("application", "A")]
    return f"{prefix}{required['source']} [{tag}: {TAGS[tag]}]{weaker}"


def room(limit, sense):
    """Return how far a value may be from its ideal: of a fraction that must be at least 0.9, 0.1."""
    return 1 - limit if sense == "at least" and 0 < limit < 1 else abs(limit)


def forecast(low, high, n, n_blocks, limit, sense="within"):
    """Return what would settle a verdict, wherever the value lies: from the width of the interval alone.

    Returns
    -------
    list of (float, int, int)
        For half a width equal to the `room` of the requirement, and to half of it: that half width, the blocks of sky
        that reach it, and the objects in them.
    """
    out = []
    for share in (1, 0.5):
        wanted = share * room(limit, sense)
        blocks = needed_blocks((high - low) / 2, wanted, n_blocks)
        out.append((wanted, _rounded(blocks), _rounded(n * blocks / n_blocks)))
    return out


def _rounded(number):
    """Round a number up to two significant digits: it is an extrapolation."""
    step = 10 ** max(0, math.floor(math.log10(number)) - 1) if number > 0 else 1
    return int(math.ceil(number / step) * step)


def reason(cell, n_blocks, sense, few):
    """Return why a cell with a row of figures of merit has its verdict.

    Parameters
    ----------
    cell : dict
        With its value, interval, ``n``, ``requirement`` and ``verdict``.
    n_blocks : int
        Blocks of sky behind it.
    sense : str
        Of its requirement.
    few : bool
        Whether they are too few for the verdict that the interval alone would give.
    """
    low, high, limit = (cell[k] for k in ("ci_low", "ci_high", "requirement"))
    if few:
        return f"{LEAST_BLOCKS} blocks of sky are the least for a verdict, this run has {n_blocks}"
    if cell["verdict"] == "not quantified":
        return "the run gave no number: no object was left to measure it on"
    if cell["verdict"] == "no requirement":
        return "measured; there is no published requirement to hold it against"
    line = SENSES[sense] + f"{limit:g}"
    if low is None or high is None:
        return f"no interval to hold against {line}: this run has too few blocks of sky that hold objects ({n_blocks})"
    if sense == "known to":
        says = f"it is known to ±{(high - low) / 2:.2g}, the requirement is {limit:g}"
    elif cell["verdict"] == "undetermined":
        says = f"the {LEVEL} interval includes the line {line}"
    else:
        side = "within" if cell["verdict"] in ("meets", "negligible") else "beyond"
        return f"the whole {LEVEL} interval lies {side} {line}"
    return says if cell["verdict"] != "undetermined" else f"{says}; {_settles(cell, n_blocks, sense)}"


def _settles(cell, n_blocks, sense):
    half = (cell["ci_high"] - cell["ci_low"]) / 2
    known = forecast(cell["ci_low"], cell["ci_high"], cell["n"], n_blocks, cell["requirement"], sense)
    parts = [
        f"±{wanted:.2g}: about {blocks:,} blocks of sky, {n:,} objects" for wanted, blocks, n in known if wanted < half
    ]
    text = "; ".join(parts) or "half its width is below half of the requirement already, and the value is near the line"
    return f"{text}; this run: {n_blocks:,}, {cell['n']:,}"
