"""Requirements: what figures of merit (FoMs) are held against, with its source."""

from typing import Annotated, Literal

from pydantic import Field

from ..config.models import Model, Number, Problem, Text, absent, load_checked
from ..errors import StudyError
from .files import REQUIREMENTS, case_files

YEARS = ("Y1", "Y10")


class Comparison(Model):
    """A threshold or forecast that a reader will want to see; it decides nothing."""

    value: Number = Field(description="Number in the unit of the entry.")
    text: Text = Field(description="What it is.")
    tag: Literal["V", "M", "A"] = Field(description="As of the entry.")


class Requirement(Model):
    """What one FoM is held against, in one survey year or in both."""

    fom: Annotated[str, Field(pattern=r"^[A-Z]{2,3}-[A-Z][0-9]+(\.[A-Za-z0-9_]+)?$")] = Field(
        description="Id of the FoM."
    )
    value: Number | None = Field(description="Threshold; null: nobody has published one and we adopt none.")
    unit: Text = Field("1", description="Unit of the value; 1: a pure number.")
    sense: Literal["within", "at most", "at least", "known to"] = Field(
        "within",
        description="How the value is read. within: |impact| <= value. at most, at least: the FoM itself. "
        "known to: half the width of its interval <= value.",
    )
    about: Literal["value", "calibration"] = Field(
        "value",
        description="value: a limit on the quantity as it is. calibration: a limit on what is unknown of it after "
        "calibration; an impact within it is negligible, one beyond it needs calibration.",
    )
    application: Literal["V", "M", "A"] = Field(
        "A",
        description="Is the requirement written for this quantity? V: the text that was read says so. M: from memory "
        "it is. A: it is written for another quantity, or by this study.",
    )
    year: Literal["Y1", "Y10"] | None = Field(None, description="Survey year; null: any.")
    source: Text = Field(description="Document, or why there is none.")
    tag: Literal["V", "M", "A", "none"] = Field(
        description="V: read in a public copy of the source. M: from memory or second hand, check before quoting. "
        "A: adopted by this study, the community has published none. none: no value."
    )
    note: str | None = absent(description="Conditions.")
    comparisons: list[Comparison] = Field([], description="Other thresholds or forecasts.")

    def problems(self):
        """Yield what the fields say of each other."""
        if (self.value is None) != (self.tag == "none"):
            yield Problem(("tag",), "is at odds with the value", "tag: none belongs to value: null, and only to it")


class Requirements(Model):
    """The requirements of one case."""

    requirements: list[Requirement] = Field(description="One entry per FoM and survey year.")

    def problems(self):
        """Yield FoMs that have two requirements for one year."""
        seen = set()
        for number, entry in enumerate(self.requirements):
            keys = {(entry.fom, year) for year in YEARS if entry.year in (None, year)}
            for fom, year in sorted(keys & seen)[:1]:
                yield Problem(("requirements", number), f"{fom} has two requirements for {year}", "keep one")
            seen |= keys


def load_requirements(year="Y10", cases=None):
    """Return the requirements of one survey year by id of the figure of merit.

    Parameters
    ----------
    year : str or None
        "Y1" or "Y10"; entries without a year belong to both. None stands for Y10.
    cases : sequence of str, optional
        Default all.

    Returns
    -------
    dict of str to dict
        The fields of `Requirement`.

    Raises
    ------
    StudyError
        If a file is wrong, or two cases have a requirement for the same figure of merit.
    """
    known = {}
    for path in case_files(REQUIREMENTS, cases).values():
        entries = load_checked(path, Requirements).requirements
        mine = {entry.fom: entry.plain() for entry in entries if entry.year in (None, year or "Y10")}
        if twice := sorted(mine.keys() & known.keys()):
            raise StudyError(f"another case has a requirement for {', '.join(twice)}", str(path), "keep one")
        known |= mine
    return known
