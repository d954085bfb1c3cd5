"""Draw the figures that a case names."""

import os
from dataclasses import replace

from ..cases.base import load_case
from ..cases.requirements import load_requirements
from ..data import catalogues
from ..report.figures import CaseFoms, nothing, save

AGGREGATED_FROM = ()


def figure_list(cases, folders, panels):
    """Return (path, title, caption) of every figure of some cases: ``folders`` and ``panels`` are paths by case."""
    out = []
    for case in cases:
        out.append(
            (
                panels[case],
                f"{case}: one blend through the rungs",
                "The brightest clear blend of the first patch on every rung of the ladder.",
            )
        )
        out += [
            (os.path.join(folders[case], f"{spec.name}.png"), f"{case}: {spec.name}", spec.caption)
            for spec in load_case(case).figures
        ]
    return out


def run(case, foms, figures_out):
    """Draw all figures of a ``case`` from its table ``foms`` into the folder ``figures_out``."""
    table = catalogues.read(foms, columns=("case", "fom", "term", "value"))
    drawn_from = CaseFoms(table, case, requirements=load_requirements(cases=[case]))
    os.makedirs(figures_out, exist_ok=True)
    for spec in load_case(case).figures:
        save(draw(spec, drawn_from), os.path.join(figures_out, f"{spec.name}.png"))


def draw(spec, foms):
    """Return the figure of one `FigureSpec`; one that says why where there is nothing to draw."""
    named = spec.options.get("fom") or ", ".join(panel["fom"] for panel in spec.options.get("panels", ()))
    why = f"{foms.case} {spec.name}\n\nnothing to draw: {_lacking(spec, foms, named)}"
    shown = spec.draw(replace(foms, scenario=spec.scenario), **spec.options) if spec.scenario else None
    return shown or spec.draw(foms, **spec.options) or nothing(why)


def _lacking(spec, foms, named):
    """Return what a run lacks for a figure: the figure of merit, or only the scenario of it."""
    wanted = spec.scenario or foms.scenario
    there = sorted({str(row["scenario"]) for name in named.split(", ") for row in foms.rows(fom=name)})
    if there and wanted not in there:
        return f"it shows the scenario {wanted!r}, and this run has {named} of {', '.join(there)} alone"
    return f"this run has no rows of {named} for it"
