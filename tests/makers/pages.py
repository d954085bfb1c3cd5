"""What the tests of the README and of docs share: the blocks of a page, its commands, its files laid out."""

import contextlib
import io
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import band_maker
import numpy as np
import pytest
import sky_maker
from astropy.io import fits
from blendimpact.cases.base import case_names
from blendimpact.config import files, surveys
from blendimpact.config import study as config
from blendimpact.deblend import DEBLENDERS
from blendimpact.detect import DETECTORS
from harness import ROOT
from snakemake.cli import get_argument_parser

CASE_PAGE = "docs/add-a-case.md"
CASE_PAGES = {case: f"scripts/blendimpact/cases/{case}/numbers.md" for case in case_names()}
PAGES = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "add-a-detector",
            "add-a-survey",
            "add-a-real-image",
            "inject-your-own",
            "numbers",
            "slurm",
            "matrix",
            "check",
            "deblenders",
            "architecture",
            "add-a-measurement",
            "add-an-estimator",
        )
    ),
    CASE_PAGE,
    *CASE_PAGES.values(),
)
WORKED = (
    "docs/add-a-detector.md",
    "docs/add-a-survey.md",
    "docs/add-a-real-image.md",
    "docs/inject-your-own.md",
    "docs/add-a-measurement.md",
    "docs/add-an-estimator.md",
)


@dataclass
class Block:
    """A block of code of a page: its language, text, and the path that the page says to save it as."""

    page: str
    language: str
    text: str
    path: str | None


def blocks(page, language=None):
    """Return the blocks of a page; "Save it as `path`:" before a block names its file."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.M | re.S):
        before = " ".join(text[: match.start()].rstrip().split("\n\n")[-1].split())
        saved = re.search(r"Save it as `([^`]+)`:$", before)
        found.append(Block(page, match[1], match[2], saved and saved[1]))
    return [b for b in found if language in (None, b.language)]


def saved(page, ending):
    """Return the blocks of a page that are to be saved under a name with this ending."""
    return [b for b in blocks(page) if b.path and b.path.endswith(ending)]


def commands(page):
    """Return the shell commands of a page as lists of words, without comments."""
    return [
        shlex.split(line, comments=True)
        for b in blocks(page, "sh")
        for line in b.text.splitlines()
        if line.strip() and not line.startswith("#")
    ]


def snakemake_calls(page):
    """Return (arguments as Snakemake parses them, words) of the page's calls of Snakemake."""
    parser = get_argument_parser()
    return [(parser.parse_args(words[1:]), words) for words in commands(page) if words[0].endswith("snakemake")]


def lay_out(page, folder):
    """Write the files of a page below a folder."""
    for block in blocks(page):
        if block.path:
            (folder / block.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.path).write_text(block.text, encoding="utf-8")


def table_after(page, heading):
    """Return the rows of the first table after a line that contains ``heading``, as lists of cells."""
    lines = (ROOT / page).read_text(encoding="utf-8").split(heading, 1)[1].splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def run_code(text, name="example"):
    """Run the code of a page; return what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, name, "exec"), {"__name__": "example"})
    return printed.getvalue()


def write_field(path):
    """Write the image that docs/add-a-real-image.md describes; return its stars and their fluxes."""
    image, places, fluxes = sky_maker.make_sky(galaxies=30)
    header = sky_maker.tan_header(image.shape)
    header["MAGZERO"], header["GAIN"], header["BUNIT"] = sky_maker.ZERO_POINT, sky_maker.GAIN, "adu"
    mask = np.zeros(image.shape, np.int32)
    mask[100:110, 200:230] = 8
    mask[300:305] = 1
    mask[310, :40] = 4
    weight = np.full(image.shape, 1 / sky_maker.RMS**2, np.float32)
    fits.HDUList(
        [fits.PrimaryHDU(), fits.ImageHDU(image.astype(np.float32), header), fits.ImageHDU(weight), fits.ImageHDU(mask)]
    ).writeto(path, overwrite=True)
    return places, fluxes


def write_pair(folder):
    """Write the visit and the template that docs/add-a-real-image.md describes."""
    sky_maker.write(folder / "my_visit.fits", sky_maker.epoch(1.1, 1.5, 1.0, 1))
    sky_maker.write(folder / "my_template.fits", sky_maker.epoch(0.9, 0.3, 10**-0.4, 2), MAGZERO=29.0)


def write_bands(folder):
    """Write the image in three bands that docs/add-a-real-image.md describes."""
    band_maker.write_one(folder / "my_bands.fits", band_maker.make()[0])


@contextlib.contextmanager
def directory(folder, *pages):
    """Go to a directory with the project's configuration and the files of some pages, for a while."""
    shutil.copytree(ROOT / "config", folder / "config")
    for page in pages:
        lay_out(page, folder)
    write_field(folder / "my_field.fits")
    sky_maker.write(folder / "my_visit.fits", np.zeros(sky_maker.PAIR))  # its header is enough
    band_maker.write_one(folder / "my_bands.fits", dict.fromkeys(band_maker.BANDS, np.zeros((300, 320))))
    surveys.survey_of.cache_clear()
    with pytest.MonkeyPatch.context() as patcher:
        patcher.chdir(folder)
        for module in (config, files):
            patcher.setattr(module, "CONFIG_DIR", folder / "config")
        yield folder
    surveys.survey_of.cache_clear()


def checked(overlay):
    """Return a configuration of the directory with an overlay, checked as the workflow does."""
    families = {family.config_key: Extended(family) for family in (DETECTORS, DEBLENDERS)}
    return config.validate(config.load_config([overlay]), cases=case_names(), families=families)


class Extended:
    """A family with the members that files of the directory add."""

    def __init__(self, family):
        self.family, self.kind = family, family.kind
        self.added = [p.stem for p in Path("scripts", *family.package.split(".")).glob("*.py")]

    def names(self):
        """Return the names of the members."""
        return [*self.family.names(), *self.added]

    def problems(self, name, options):
        """Return what is wrong with the options of a member that is installed."""
        return [] if name in self.added else self.family.problems(name, options)
