"""Values of the case that its external checks need beside the figures of merit."""

from ...config.settings import FIDUCIAL
from ...config.surveys import load_survey
from ...data.catalogues import rows_of

SKY = "sky"
"""Scenario of the largest area of random positions: numbers of the true sky are taken from it, if the run has it."""
NUMBERS = ("value", "ci_low", "ci_high", "n")


def derived(foms, settings, conditions):
    """Return the values of the case's external checks (`blendimpact.cases.base.ScienceCase`).

    They are the depth of each band beside what the survey states, and close pairs beside those of a random sky.
    """
    rows = rows_of(foms, kind="value", scenario=FIDUCIAL)
    survey, out = load_survey(settings["survey"]), {}
    for row in rows_of(rows, fom="WL-Q1"):
        band = str(row["stratum"]).partition(":")[2]
        out[f"depth_{settings['case']}_{band}"] = {
            **{k: row[k] for k in NUMBERS},
            "reference": survey.bands[band].depth_5sigma,
            "conditions": {"band": band, "survey": settings["survey"]},
        }
    wide = rows_of(foms, kind="value", scenario=SKY)
    pairs, formula = (rows_of(wide if len(wide) else rows, fom=fom) for fom in ("WL-N4", "WL-N4.formula"))
    if len(pairs) and len(formula) and settings["population"]["positions"]["kind"] == "random":
        out["poisson_pairs"] = {**{k: pairs[-1][k] for k in NUMBERS}, "reference": float(formula[-1]["value"])}
    return out
