"""Numbers, intervals, requirements and tags as people read them."""

import math

from ..stats.intervals import CONFIDENCE

TAGS = {
    "V": "read in the source",
    "D": "derived by this study from its formula",
    "M": "from memory, not verified",
    "A": "adopted by this study",
}
SENSES = {"within": "±", "at most": "≤ ", "at least": "≥ ", "known to": "known to ±"}
LEVEL = f"{100 * CONFIDENCE:g} %"
NOTHING_ELSE = "nothing else"
SAMPLES = ("centres", "kept", "both")
"""Of one budget: sources measured at true centres, those of them that detection keeps, terms between the two."""
DIMENSIONLESS = ("1", "", "-", None)


def decimals(low, high, value=0.0):
    """Return with how many decimals to print a value: its interval's half width to 17 % or better."""
    half = abs(high - low) / 2 if low is not None and high is not None else 0.0
    scale = half if half > 0 else abs(value) / 10
    return min(6, max(0, -math.floor(math.log10(scale / 3)))) if scale > 0 else 3


def quote(value, low, high, unit="1", percent=False):
    """Return a value and its interval as people read them.

    Returns
    -------
    value, interval : str
        E.g. ("−5.2 %", "−6.2 to −4.2"). A dash, or "no interval", where there is none.
    """
    if value is None or not math.isfinite(value):
        return "–", "no interval"
    factor, suffix = (100, " %") if percent else (1, "" if unit in DIMENSIONLESS else f" {unit}")
    ends = [e for e in (low, high) if e is not None and math.isfinite(e)]
    scaled = [factor * x for x in (value, *ends)]
    digits = decimals(*scaled[1:], scaled[0]) if len(ends) == 2 else decimals(None, None, scaled[0])
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    texts = [f"{round(x, digits) + 0.0:,.{digits}f}".replace("-", "−") for x in scaled]
    return texts[0] + suffix, f"{texts[1]} to {texts[2]}" if len(ends) == 2 else "no interval"


def also_lines(cell):
    """Return the further values of a cell, a text each."""
    text = cell.get("also", NOTHING_ELSE)
    return [] if text == NOTHING_ELSE else text.splitlines()


def limit_text(cell, percent=False):
    """Return the requirement of a cell as people read it, e.g. "±0.3 %"; "" where there is none."""
    if cell["requirement"] is None:
        return ""
    number = f"{100 * cell['requirement']:g} %" if percent else f"{cell['requirement']:g}"
    unit = "" if percent or cell["unit"] in DIMENSIONLESS else f" {cell['unit']}"
    return f"{SENSES[requirement_sense(cell)]}{number}{unit}"


def requirement_sense(cell):
    """Return the sense of a cell's requirement, which its source states unless it is the usual one."""
    return next((s for s in SENSES if cell["requirement_source"].startswith(f"{s}: ")), "within")


def split_tag(source):
    """Return a source without its tag and sense, and the tag, e.g. "[M]" ("" if it has none)."""
    tag = next((t for t in TAGS if f"[{t}: {TAGS[t]}]" in source), None)
    for sense in SENSES:
        source = source.removeprefix(f"{sense}: ")
    return (source.replace(f" [{tag}: {TAGS[tag]}]", ""), f"[{tag}]") if tag else (source, "")
