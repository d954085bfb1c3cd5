"""External checks: published values that the study's own are held against.

A range says beforehand what counts as agreement; nothing in the study is tuned to it.
"""

from typing import Annotated, Literal

from pydantic import Field

from ..config.models import Model, Name, Number, Positive, Problem, Text, Whole, absent, load_checked
from ..errors import StudyError
from .files import CHECKS, FOLDER, case_files

GENERAL = FOLDER / CHECKS
"""Checks that are of no case."""


class Published(Model):
    """The published value."""

    value: Number | None = Field(None, description="The number; null if it is a range or depends on the run.")
    text: Text = Field(description="The value as published, for people.")
    tag: Literal["V", "D", "M", "A"] = Field(description="V read in the source, D derived, M from memory, A adopted.")
    source: Text = Field(description="Where it is published.")


class Range(Model):
    """A range: its ends, or a distance from the published value."""

    low: Number | None = Field(None, description="Lower end; null for none.")
    high: Number | None = Field(None, description="Upper end; null for none.")
    within: Positive | None = absent(description="Instead of the ends: distance from the published value.")
    relative: Positive | None = absent(description="Instead of the ends: relative distance from it.")
    why: Text = Field(description="Where the range comes from.")

    def problems(self):
        """Yield that there is no end."""
        if all(end is None for end in (self.low, self.high, self.within, self.relative)):
            yield Problem((), "the range has no end", "give low, high, within or relative")


class FomRow(Model):
    """Columns that choose one row of the table of figures of merit."""

    case: Text = Field(description="Science case.")
    scenario: Text = Field("fiducial", description="Scenario.")
    fom: Text = Field(description="Id of the figure of merit.")
    kind: Literal["value", "impact"] = Field("value", description="A rung's own value, or a difference of rungs.")
    term: Text = Field(description="Rung, or term of the budget.")
    population: Text | None = absent(description="Sample.")
    stratum: Text = Field("all", description="Subset of the sample.")


class Measure(Model):
    """Value of this study: a row, two rows and how to combine them, or a key of what is derived of the run."""

    key: Text | None = absent(description="Key of a value that the run derives; * stands for anything.")
    row: FomRow | None = absent(description="Row of the table of figures of merit.")
    to: FomRow | None = absent(description="A second row.")
    combine: Literal["difference", "ratio"] | None = absent(description="row - to, or row / to.")

    def problems(self):
        """Yield what the fields say of each other."""
        if (self.key is None) == (self.row is None):
            yield Problem((), "needs either key or row", "give one of them")
        if (self.to is None) != (self.combine is None):
            yield Problem((), "to and combine go together", "give both or none")


class Condition(Model):
    """A condition of the published value, and this study's."""

    published: Text = Field(description="Of the published value.")
    ours: str | None = Field(description="Of this study; null: taken from the run's configuration.")


class Check(Model):
    """One published value, and what is held against it."""

    id: Name = Field(description="Name of the check.")
    order: Number | None = absent(description="Place in the table, where it is not that of the file.")
    target: Whole | Text = Field(description="Number in the study's list of targets, or name of a null test.")
    title: Text = Field(description="What is compared.")
    published: Published = Field(description="The published value.")
    unit: Text = Field(description="Unit of values and ranges; 1 for none.")
    measure: Measure | None = absent(
        description="This study's value. Absent: this study does not measure it, and not_measured says why."
    )
    not_measured: Text | None = absent(description="Why this study has no value.")
    agree: Range = Field(description="What counts as agreement with the published value.")
    expect: Range | None = absent(
        description="What the study should find under its own conditions, where they differ from the published ones."
    )
    conditions: Annotated[dict[str, Condition], Field(min_length=1)] = Field(
        description="Conditions by name: those of the published value, and this study's."
    )
    below: Text = Field(description="What explains a value below the range.")
    above: Text = Field(description="What explains a value above the range.")

    def problems(self):
        """Yield that nothing says how it is measured."""
        if self.measure is None and self.not_measured is None:
            yield Problem((), "neither measure nor not_measured is given", "say what is measured, or why it is not")


class Checks(Model):
    """The checks of a file."""

    order: Number = Field(description="Place of the checks in the table: from the lowest number to the highest.")
    checks: Annotated[list[Check], Field(min_length=1)] = Field(description="The checks, in their order.")


def read_checks(path):
    """Return the checks of one file as dicts with the fields of `Check`, ``order`` in each."""
    found = load_checked(path, Checks)
    return [{"order": found.order, **check.plain()} for check in found.checks]


def load_external_checks(cases=None):
    """Return the published values to hold the study against, in the order of the table.

    Parameters
    ----------
    cases : sequence of str, optional
        Default all; the checks of no case are always there.

    Returns
    -------
    list of dict
        The fields of `Check`.

    Raises
    ------
    StudyError
        That names file, key and remedy of everything that is wrong, or a name that two checks have.
    """
    checks = []
    for path in (GENERAL, *case_files(CHECKS, cases).values()):
        known = {check["id"] for check in checks}
        for check in read_checks(path):
            if check["id"] in known:
                raise StudyError(f"{check['id']!r} names two checks", str(path), "name each check once")
            known.add(check["id"])
            checks.append(check)
    return sorted(checks, key=lambda check: check["order"])
