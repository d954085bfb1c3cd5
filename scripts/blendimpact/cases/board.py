"""Rows of the board: what each case shows in its cells, and what is known of it."""

from typing import Annotated, Literal

from pydantic import Field

from ..config.models import Distinct, Model, Name, Number, Problem, Text, absent, load_checked
from .files import BOARD, case_files

Kind = Literal["impact", "value"]


class Also(Model):
    """A further value of a cell; what is not given is as in the cell."""

    data: Text = Field(description="What it was measured on, or of what it is.")
    scenario: Text | None = absent(description="Scenario of the case.")
    fom: Text | None = absent(description="Id of the FoM; with one of its own, the population is whatever there is.")
    headline_term: Text | None = absent(description="Term of the budget; with kind value: the rung.")
    kind: Kind | None = absent(description="A difference of rungs, or a rung's own value.")
    population: Text | None = absent(description="Sample.")
    stratum: Text | None = absent(description="Subset of the sample.")
    percent: bool | None = absent(description="Show it in per cent.")


class Cell(Model):
    """A cell: its headline figure of merit (FoM) or why it has none, and what is known of it."""

    fom: Text | None = absent(description="Id of the headline FoM: the one that isolates the stage best.")
    name: Text | None = absent(description="Its short name, for people.")
    headline_term: Text | None = absent(
        description="Term of the budget that the cell shows; with kind value: the rung."
    )
    not_quantified: Text | None = absent(description="Why this study has no number, in place of a headline.")
    kind: Kind = Field("impact", description="A difference of rungs, or a rung's own value.")
    scenario: Text = Field("fiducial", description="Scenario of the case.")
    population: Text | None = absent(description="Sample: centres, kept, own, all; needed where there are several.")
    stratum: Text = Field("all", description="Subset of the sample.")
    also: Annotated[list[Also], Field(min_length=1)] | None = absent(
        description="Further values: of another scenario, or of other FoMs of the stage. They decide nothing."
    )
    percent: bool = Field(False, description="Show it in per cent.")
    parts: dict[Literal["photons", "sky"], Text] | None = absent(
        description="Of a measurement: what these two of its terms are here, where their names alone would mislead."
    )
    foms: Annotated[list[Text], Field(min_length=1), Distinct] | None = absent(
        description="Ids of the FoMs of the cell, the headline first; without a headline those that would fill it."
    )
    identified: Literal["yes", "partly", "no"] = Field(description="Is a FoM in use in the field? Quote yes and no.")
    identified_text: Text = Field(description="Which one.")
    published: str = Field(description="Published numbers with conditions; empty: none found.")
    published_tag: Literal["V", "M", "none"] = Field(
        description="V: read in a public copy. M: from memory, check before quoting. none: nothing found."
    )

    def problems(self):
        """Yield what the fields say of each other."""
        needed = {key: getattr(self, key) for key in ("fom", "name", "headline_term", "foms")}
        if self.not_quantified is None:
            for key in (key for key, given in needed.items() if given is None):
                text = type(self).model_fields[key].description
                yield Problem((), f"the key {key!r} is missing", f"add it, or say why with not_quantified: {text}")
        elif self.fom is not None:
            yield Problem(("not_quantified",), "is at odds with a headline", "keep either it or `fom`")
        if self.fom and self.foms and self.foms[0] != self.fom:
            yield Problem(("foms",), f"does not begin with the headline {self.fom}", "put the headline first")
        if bool(self.published) == (self.published_tag == "none"):
            yield Problem(
                ("published_tag",), "is at odds with `published`", "none belongs to an empty text, and only to it"
            )


class Cells(Model):
    """One cell per stage at which blending acts."""

    detection: Cell | None = absent(description="The cell of detection.")
    deblending: Cell | None = absent(description="The cell of deblending.")
    measurement: Cell | None = absent(description="The cell of measurement.")


class Subrow(Model):
    """One measured thing of a row: what its three cells are about."""

    name: Name = Field(description="Key of the sub-row in the tables of the board.")
    title: Text = Field(description="What its cells are about, and nothing that they are not about.")
    cells: Cells = Field(Cells(), description="One cell per stage.")
    not_quantified: Text | None = absent(description="Why stages without a cell have no number.")

    def problems(self):
        """Yield the first stage of which nothing is said."""
        missing = [stage for stage in Cells.model_fields if getattr(self.cells, stage) is None]
        if missing and self.not_quantified is None:
            yield Problem(
                ("cells",), f"nothing is said of {missing[0]}", "give a cell, or say why not with not_quantified"
            )


class Row(Model):
    """The row of a case."""

    order: Number = Field(description="Place on the board: rows go from the lowest number to the highest.")
    title: Text = Field(description="Title of the row.")
    science: Text = Field(description="What the row stands for.")
    data: Text = Field(description="Most useful data sets.")
    not_covered: Text | None = Field(None, description="Parts of the row that are in no sub-row.")
    subrows: Annotated[list[Subrow], Field(min_length=1)] = Field(description="What the row measures, or does not.")

    def problems(self):
        """Yield that two sub-rows share a name."""
        names = [subrow.name for subrow in self.subrows]
        if len(set(names)) < len(names):
            yield Problem(("subrows",), "two of them share a name", "name each once")


def load_board(cases=None):
    """Return the rows of the board, from top to bottom, as dicts: the fields of `Row`, and ``case``.

    Parameters
    ----------
    cases : sequence of str, optional
        Default all.

    Raises
    ------
    StudyError
        If a file is wrong.
    """
    rows = [{"case": case, **load_checked(path, Row).plain()} for case, path in case_files(BOARD, cases).items()]
    return sorted(rows, key=lambda row: row["order"])


def headlines(case):
    """Return the rows of figures of merit that are the headlines of a case, each once, whatever their scenario."""
    rows = []
    for row in load_board([case]):
        for subrow in row["subrows"]:
            for cell in subrow["cells"].values():
                if "fom" in cell:
                    found = {name: cell.get(name) for name in ("fom", "kind", "population", "stratum")}
                    rows.append({**found, "term": cell["headline_term"]})
    return [row for k, row in enumerate(rows) if row not in rows[:k]]
