"""Try one population: a sample of it on simulated sky, or injected into it."""

from pathlib import Path

import numpy as np

from ..config.settings import FIDUCIAL, case_settings
from ..config.study import load_config
from ..config.surveys import load_survey
from ..errors import StudyError
from ..populations import POPULATIONS, drawn_tables, tables_of
from ..populations.base import Population, injected
from ..populations.source_types import completed
from ..report.trial import draw_sample
from ..sky.injection import inject
from ..sky.patches import simulate_patch
from .paths import prepared
from .plan import read_study

CASE, LABEL = "two_point", "tried"
FEW = {"per_patch": 9, "separation": 8}
PERCENTILES = (25, 50, 75)


def try_population(name, options, size, survey, seed):
    """Draw a population on an empty sky or, if it can only be injected, into one.

    Parameters
    ----------
    name : str
    options : dict
        Of the population, and what is common to all that are drawn (``density``, ``mag_max``) or injected (``mag``,
        ``per_patch``).
    size : int
        Side of the patch in pixels.
    survey : str
    seed : int

    Returns
    -------
    lines : list of str
        Counts, magnitudes and sizes of what came.
    draw : callable
        Makes the figure of a title.

    Raises
    ------
    StudyError
        If it can be neither drawn nor injected, is not there, or does not take the options.
    """
    member = POPULATIONS.member(name)
    on_sky, into = (getattr(member, m) is not getattr(Population, m) for m in ("scatter", "draw"))
    if not (on_sky or into) or POPULATIONS.declaration(name).transient:
        what = f"{name!r} cannot be drawn on one epoch of simulated sky"
        raise StudyError(
            what, member.__module__, "give it the method `scatter` or `draw`; transients need a case's epochs"
        )
    empty = {"galaxies": {"density": 0}, "stars": {"density": 0}}
    layer = {"survey": survey, "shear": 0, "noise_pairs": False, "patch": {"size": size, "border": 30, "count": 1}}
    if on_sky:
        layer["population"] = empty | {"others": {LABEL: {"kind": name, **options}}}
    else:
        if "isochrone" in POPULATIONS.declaration(name).follows:  # its colours, and none of its stars
            empty["stars"] = {"kind": "isochrone", "surface_density": 0, "limit": 25.0}
        layer |= {"population": empty, "inject": {"population": name, **FEW, **options}}
    layer["scenarios"] = {other: None for other in load_config()["cases"][CASE]["scenarios"] if other != FIDUCIAL}
    study = read_study(load_config(overrides={"cases": {CASE: layer}}), None).study
    settings = case_settings(study, CASE)
    tables = {other: _table(other) for other in (*drawn_tables(settings), *tables_of(settings))}
    patch, truth = simulate_patch(settings, 0, seed, CASE, FIDUCIAL, load_survey(survey), tables)[0]
    if not on_sky:
        population = injected(settings)
        drawn = population.draw(settings, patch, truth, seed, CASE, 0, 0, tables)
        drawn = completed(drawn, f"the population {name!r}")
        patch, truth = inject(patch, truth, drawn, seed, CASE, settings, population.columns)
    sample = truth[patch.inside(truth["x"], truth["y"])]
    band = settings["shape_band"]
    return report(sample, band, patch), lambda title: draw_sample(patch, sample, band, title)


def _table(name):
    """Return what a population is drawn from, which the workflow has made."""
    path = Path(prepared(name))
    if not path.is_file():
        raise StudyError(
            f"the population {name!r} is drawn from a table that is not there", str(path), f"snakemake {path}"
        )
    return POPULATIONS.member(name).read(path)


def report(sample, band, patch):
    """Return the lines of a table: counts and quartiles of size by magnitude in a band."""
    side = (min(patch.shape) - 2 * patch.border) * patch.pixel_scale / 60
    kinds, counts = np.unique(np.asarray(sample["kind"]).astype(str), return_counts=True)
    said = ", ".join(f"{n} {kind}" for kind, n in zip(kinds, counts)) or "nothing"
    lines = [f"inside the border, {side**2:.3f} arcmin2: {said}"]
    mag, size = (np.asarray(sample[name], float) for name in (f"mag_{band}", "hlr"))
    if len(mag):
        lines.append(f"{band:>10s} {'N':>6s} {'per arcmin2':>12s}   half-light radius, arcsec: quartiles")
    for low in np.unique(np.floor(mag[np.isfinite(mag)])):
        here = np.floor(mag) == low
        radii = size[here & (size > 0)]
        shown = " ".join(f"{r:.3f}" for r in np.percentile(radii, PERCENTILES)) if len(radii) else "points"
        lines.append(f"{low:4.0f} to {low + 1:.0f} {here.sum():6d} {here.sum() / side**2:12.2f}   {shown}")
    return lines
