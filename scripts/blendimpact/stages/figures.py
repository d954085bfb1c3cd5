"""Draw the figures that a case names."""

import os

from ..cases.base import load_case
from ..cases.crowded_fields import figures_repeats
from ..cases.transients import figures_difference
from ..config.requirements import load_requirements
from ..config.settings import FIDUCIAL
from ..data import catalogues
from ..report import figures, figures_density

PANELS = "panels"
FIGURES = "figures"
BY_DENSITY = {"density": figures.against_density, "scenarios": figures_density.by_scenario,
              "stages": figures_density.crowding_stages, "repeats": figures_repeats.repeat_visits}

BY_KIND = {"stratum": figures.by_stratum, "diagram": figures_density.colour_magnitude,
           "side_by_side": figures_difference.side_by_side, "spurious": figures_difference.spurious,
           "places": figures_difference.by_place, "curve": figures_difference.detection_curve}


def figure_list(cases):
    """Return (path in the study's folder, title, caption) of every figure of some cases."""
    out = []
    for case in sorted(cases):
        out.append((f"{PANELS}/{case}.png", f"{case}: one blend through the rungs",
                    "The brightest clear blend of the first patches on every rung of the ladder."))
        out += [(f"{FIGURES}/{case}/{spec.name}.png", f"{case}: {spec.name}", spec.caption)
                for spec in load_case(case).figures]
    return out


def run(case, foms, figures_out):
    """Draw all figures of a ``case`` from its table ``foms`` into the folder ``figures_out``."""
    table = catalogues.read(foms, columns=("case", "fom", "term", "value"))
    requirements = load_requirements()
    os.makedirs(figures_out, exist_ok=True)
    for spec in load_case(case).figures:
        figures.save(draw(spec, table, case, requirements), os.path.join(figures_out, f"{spec.name}.png"))


def draw(spec, table, case, requirements):
    """Return the figure of one `FigureSpec`; one that says why where there is nothing to draw."""
    options = dict(spec.options)
    if spec.kind == "ladder":
        required = requirements.get(options["fom"]) or {}
        # Other senses are about the figure of merit itself, not a band about an impact of 0.
        band = required if required.get("value") and required.get("sense", "within") == "within" else None
        figure = figures.ladder(table, case, FIDUCIAL, requirement=band, **options)
    elif spec.kind in BY_KIND:
        figure = BY_KIND[spec.kind](table, case, FIDUCIAL, **options)
    elif spec.kind in BY_DENSITY:
        density = densities(table, case, options.pop("density"), options.pop("scenarios", None))
        figure = BY_DENSITY[spec.kind](table, case, density=density, **options)
    else:
        raise ValueError(f"unknown kind of figure {spec.kind!r}")
    return figure or figures.nothing(f"{case} {spec.name}\n\nnothing to draw: this run has no rows of "
                             f"{options.get('fom') or ', '.join(p['fom'] for p in options.get('panels', ()))} for it")


def densities(table, case, fom, scenarios=None):
    """Return the density of sources, figure of merit ``fom``, of the ``scenarios`` (default all) that have it."""
    rows = figures.rows_of(table, case=case, fom=fom, kind="value", stratum="all")
    return {str(r["scenario"]): float(r["value"]) for r in rows if scenarios is None or str(r["scenario"]) in scenarios}
