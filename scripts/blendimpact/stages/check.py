"""Read all that a study will use, before any job, and say on one page what was understood of it.

What cannot be used is collected: all of it is said at once.
"""

import os
from pathlib import Path

from ..cases.board import load_board
from ..cases.declared import check_cases
from ..cases.external_checks import load_external_checks
from ..config.files import CONFIG_DIR, shown
from ..config.settings import roles
from ..config.study import jobs, load_config
from ..config.surveys import survey_of
from ..data.packages import read_receipt
from ..data.whole import opened
from ..errors import StudyError, all_of
from .check_inputs import adopted, catalogue_lines, fetched_image, image_lines
from .packages import require_packages
from .paths import INPUTS
from .plan import Job, Plan, read_study

CPU_PER_MEGAPIXEL = 17.0
"""CPU-s per 1e6 pixels of a patch, band and copy (twins, pairs): 16 of the laptop study, 17 of the preset reference."""
BYTES_PER_PIXEL = 65.0
"""Of images and child images of a patch, per pixel, band and copy."""
SAMPLED = 2.0
"""Pixels of FWHM from which a PSF is well sampled."""


class Page:
    """Lines of the page, and what was refused on the way."""

    def __init__(self):
        self.lines, self.refused = [], []

    def add(self, make, *arguments):
        """Add the lines that a function returns; what it refuses is kept, and None is returned."""
        try:
            self.lines += make(*arguments)
        except StudyError as error:
            self.refused.append(error)

    def ask(self, make, *arguments):
        """Return what a function returns, or None if it refuses."""
        try:
            return make(*arguments)
        except StudyError as error:
            self.refused.append(error)


def run(study, missing=None):
    """Write ``results/<study>/check.txt``.

    Parameters
    ----------
    study : dict
        The checked configuration.
    missing : str, optional
        Why an input is not to be had; the page says which.

    Raises
    ------
    StudyError
        That names all that cannot be used.
    """
    check(Plan(study))


def check_files(paths):
    """Check the study of ``config/config.yaml`` with overlays laid over it; return the lines of the page.

    Raises
    ------
    StudyError
        That names all that cannot be used.
    """
    plan = read_study(load_config(paths), [CONFIG_DIR / "config.yaml", *paths])
    return check(plan)


def check(plan):
    """Return the lines of the page of a plan, which is written too.

    Raises
    ------
    StudyError
        That names all that cannot be used; what can be is on the page.
    """
    page = Page()
    page.add(study_lines, plan)
    page.ask(require_packages, plan)
    for add in (add_images, add_surveys, add_plugins, add_board, add_needs):
        add(page, plan)
    notes = [f"note: {sentence}" for sentence in plan.notes()]
    text = [*page.lines, *notes, *(f"REFUSED: {error}" for error in page.refused)]
    path = Path(plan.results) / "check.txt"
    os.makedirs(path.parent, exist_ok=True)
    with opened(path) as stream:
        stream.write("\n".join(text) + "\n")
    if page.refused:
        raise all_of(page.refused, f"{shown(path)} says what was understood of the rest")
    return text


def study_lines(plan):
    """Return what is made: a line for each case and scenario."""
    yield f"study {plan.study['study']}, seed {plan.seed}: products in {plan.results}"
    for (case, scenario), settings in plan.settings.items():
        parts = roles(settings)
        patch, number = settings["patch"], sum(map(len, plan.chunks[case, scenario].values()))
        sky = settings["image"] if settings["sky"] == "adopt" else settings["survey"]
        yield (
            f"  {case} / {scenario}: {number} patches of {patch['size']} pixels, {sky} {''.join(settings['bands'])}, "
            + ", ".join(settings[parts[task].key] for task in ("find", "separate"))
        )


def add_images(page, plan):
    """Add each image and each catalogue, on its image."""
    uses = {}
    for settings in plan.settings.values():
        if settings["sky"] == "adopt":
            uses.setdefault(settings["image"], []).append(settings)
    images = {}
    for name, settings in uses.items():
        if not fetched_image(name, INPUTS):
            page.lines.append(f"image {name}: not fetched yet (`snakemake check` fetches it)")
        elif (image := page.ask(adopted, name, INPUTS, settings)) is not None:
            images[name] = image
            page.add(image_lines, name, settings, image)
    seen = set()
    for settings in plan.settings.values():
        image = settings["image"] if settings["sky"] == "adopt" else None
        path = (settings["inject"] or {}).get("catalogue")
        if path and (path, image) not in seen and (image is None or image in images):
            page.add(catalogue_lines, settings, images.get(image))
            seen.add((path, image))


def add_surveys(page, plan):
    """Add how each survey that is simulated samples its PSF, and its depth."""
    chosen = {}
    for settings in plan.settings.values():
        if settings["sky"] == "simulate":
            template = ((settings["epochs"] or {}).get("template") or {}).get("survey")
            for name in filter(None, (settings["survey"], template)):
                chosen.setdefault(name, dict.fromkeys(settings["bands"])).update(dict.fromkeys(settings["bands"]))
    for name, bands in chosen.items():
        survey, said = survey_of(name), []
        for band in (survey.bands[b] for b in bands):
            pixels = band.fwhm / survey.pixel_scale
            few = ", undersampled" if pixels < SAMPLED else ""
            said.append(f"{band.name} {band.fwhm:.2f} arcsec = {pixels:.1f} pixels{few}, depth {band.depth_5sigma:.2f}")
        page.lines += [f"survey {name}: pixels of {survey.pixel_scale:g} arcsec; FWHM", *(f"  {one}" for one in said)]


def add_plugins(page, plan):
    """Add what finds, separates and measures, with the options that differ from their defaults."""
    chosen = {}
    for settings in plan.settings.values():
        for role in roles(settings).values():
            chosen[role.options, settings[role.key]] = plan.study[role.options].get(settings[role.key], {})
        for name, options in settings["measure"]["measurements"].items():
            chosen["measurements", name] = options
    for name in (plan.study["comparison"] or {}).get("deblenders", ()):
        chosen["deblenders", name] = plan.study["deblenders"].get(name, {})
    for name in plan.engines:
        chosen["subtractors", name] = plan.study["subtractors"].get(name, {})
    for family in dict.fromkeys(key for key, _ in sorted(chosen)):
        mine = {name: options for (key, name), options in sorted(chosen.items()) if key == family}
        said = [f"{name} ({', '.join(f'{k}: {v}' for k, v in more.items())})" for name, more in mine.items() if more]
        usual = [name for name, more in mine.items() if not more]
        page.lines.append(f"{family}: {', '.join(said + usual)}" + (" (defaults)" if usual else ""))


def add_board(page, plan):
    """Add the rows of the board, and read what they are compared with."""
    page.ask(check_cases, plan.cases)
    page.ask(load_external_checks)
    for row in page.ask(load_board, plan.cases) or ():
        names = [cell["fom"] for subrow in row["subrows"] for cell in subrow["cells"].values() if "fom" in cell]
        page.lines.append(f"board {row['case']}: {row['title']}; headlines {', '.join(names) or 'none'}")


def add_needs(page, plan):
    """Add what the study takes: downloads, jobs, CPU, memory, disk."""
    wanted = {name for key in plan.settings for name in _packages(plan, Job(*key))}
    lacking = [n for n in sorted(wanted) if (read_receipt(f"{INPUTS}/{n}") or {}).get("status") != "ok"]
    size = sum(plan.packages[name]["size_mb"] for name in lacking)
    fetch = f"{size:.2g} MB to fetch ({', '.join(lacking)})" if lacking else "nothing to fetch"
    work = {key: _megapixels(plan, key) for key in plan.settings}
    total = sum(work.values())
    images = total * BYTES_PER_PIXEL / 1e3
    most = max(work[key] / len(plan.chunks[key]) for key in work) * BYTES_PER_PIXEL / 1e3
    kept = f"{images:.1f} GB, all images are kept" if plan.study["keep_images"] else f"{most:.2g} GB per core at a time"
    memory = max(plan.declaration(Job(*key), task).memory_mb for key in plan.settings for task in ("find", "separate"))
    page.lines += [
        f"needs: {fetch}; about {jobs(plan.study)} jobs on patches, {total * CPU_PER_MEGAPIXEL / 3600:.2g} CPU-hours "
        f"within a factor of 2 with the usual deblenders, {max(memory, 2000) / 1e3:g} GB of memory per core",
        f"  disk for images: {kept}; free here: {_free():.0f} GB",
    ]


def _packages(plan, job):
    """Return the names of the inputs that are fetched for a case and scenario."""
    settings = plan.settings_of(job)
    paths = [*plan.drawn(job), *plan.tables(job)] if settings["sky"] == "simulate" else plan.tables(job)
    paths = [*paths, plan.visits(job)] if settings["sky"] == "simulate" and plan.visits(job) else paths
    found = [name for path in paths for name in plan.populations[Path(path).stem].inputs]
    if settings["sky"] == "adopt":
        found += [path.split("/")[-2] for path in plan.image_files(job) if path.startswith(f"{INPUTS}/")]
    return found


def _megapixels(plan, key):
    """Return the pixels of all patches of a case and scenario, times bands and copies, in 1e6."""
    settings = plan.settings[key]
    side = settings["patch"]["size"] + 2 * settings["patch"]["border"]
    copies = 2 ** sum(bool(settings[name]) for name in ("shear", "ring", "noise_pairs"))
    return sum(map(len, plan.chunks[key].values())) * side**2 * len(settings["bands"]) * copies / 1e6


def _free():
    stat = os.statvfs(".")
    return stat.f_bavail * stat.f_frsize / 1e9
