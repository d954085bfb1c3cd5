"""What there is to work with: the real data that a study fetches, and the tools and data sets that are known."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from .files import CONFIG_DIR, Problem
from .models import Distinct, Model, Name, Positive, Text, absent, load_checked


class Input(Model):
    """Files inside a package of the Python package index, or of a Debian archive, pinned by version and sha256."""

    title: Text = Field(description="What it is.")
    package: str = Field(
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name on the package index, or in the Debian archive."
    )
    version: str = Field(pattern="^[A-Za-z0-9.+!~:-]+$", description="Exact version.")
    kind: Literal["sdist", "wheel", "deb"] = Field(
        description="Which archive of the package holds the files; deb: fetched with apt-get, not installed."
    )
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Checksum of the archive.")
    size_mb: Positive = Field(description="Size of the archive in MB, to show progress.")
    members: Annotated[list[Annotated[str, Field(pattern="^[^/].*[^/]$")]], Distinct] = Field(
        min_length=1, description="Files to take, by their path in the archive; base names must differ."
    )
    optional: bool = Field(
        False, description="true: the study goes on without it, and says which cells it could not fill."
    )
    used_by: Text = Field(description="What cannot be done without it.")
    licence: Text = Field(description="Licence of the package.")
    acknowledgement: Text = Field(description="What a user of the data has to say.")
    note: str | None = absent(description="What else a user should know.")

    def problems(self):
        names = [PurePosixPath(member).name for member in self.members]
        for twice in sorted({n for n in names if names.count(n) > 1}):
            yield Problem(("members",), f"two files are called {twice!r}", "take them as two entries")


class Inputs(Model):
    """Real data that a study fetches. They land in results/inputs/<name>/<file>, beside a receipt.json."""

    inputs: dict[Name, Input] = Field(description="Entries by name.")


Kind = Literal[
    "simulator",
    "parameters",
    "shear",
    "detector",
    "deblender",
    "photometry",
    "subtraction",
    "pipeline",
    "metrics",
    "morphology",
    "photo-z",
    "statistics",
    "matching",
    "catalogue",
    "simulation",
    "images",
]


class Resource(Model):
    """A tool or a data set."""

    name: Text = Field(description="Name.")
    type: Kind = Field(description="What it is.")
    cases: Annotated[list[Literal["two_point", "transients", "crowded_fields", "galaxies"]], Distinct] = Field(
        min_length=1, description="Science cases that it serves."
    )
    access: Literal["pip", "git", "heavy", "public", "registration", "rights"] = Field(
        description="pip: open, on PyPI. git: open, from its repository. heavy: open, large installation. public: data "
        "for anyone. registration: data after registration. rights: rights holders or collaboration only."
    )
    install: Text | None = absent(description="Name on PyPI, where it differs or is easily mistaken.")
    link: str = Field(pattern="^https?://", description="Home.")
    version: str | None = Field(description="Version that was looked at, with its date; null: none.")
    reference: Text | None = absent(description="Paper.")
    used: bool = Field(False, description="true: this study uses it.")
    note: Text | None = absent(description="What a user should know.")


class Trap(Model):
    """A name on PyPI that belongs to something else."""

    name: Text = Field(description="Name on PyPI.")
    installs: Text = Field(description="What it installs.")


class Resources(Model):
    """Registry of tools and data sets for the study of blending."""

    resources: list[Resource] = Field(description="Entries, in the order of the list.")
    traps: list[Trap] = Field(description="Names on PyPI that belong to something else.")
    missing: list[Text] = Field(description="What nobody offers yet.")

    def problems(self):
        names = [entry.name for entry in self.resources]
        yield from (
            Problem(("resources", n, "name"), f"{name!r} is there twice", "keep one entry")
            for n, name in enumerate(names)
            if names.index(name) != n
        )


def load_inputs(path=None):
    """Return the inputs of a YAML file (default ``config/inputs.yaml``) by name: dicts, with ``name``.

    Raises
    ------
    StudyError
        If the file is wrong, or an entry has two files of one name.
    """
    inputs = load_checked(path or CONFIG_DIR / "inputs.yaml", Inputs).inputs
    return {name: {**entry.plain(), "name": name} for name, entry in inputs.items()}


def load_resources(path=None):
    """Return the registry (default ``config/resources.yaml``): ``resources``, ``traps``, ``missing``.

    Raises
    ------
    StudyError
        If the file is wrong or a name is there twice.
    """
    return load_checked(path or CONFIG_DIR / "resources.yaml", Resources).plain()
