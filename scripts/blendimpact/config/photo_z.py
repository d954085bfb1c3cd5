"""Photometric redshifts of a scenario: which estimator, what it is trained on, and what is wrong with these."""

from pydantic import Field

from ..errors import StudyError
from .files import Problem
from .models import Model, Number, Text
from .plugins import unknown

SAME = ("survey", "bands", "shape_band", "sky")
"""What the galaxies of the training must share with those whose redshifts are estimated."""


class PhotoZ(Model):
    """How photometric redshifts are estimated."""

    estimator: Text = Field("neighbours", description="Estimator, by name: docs/add-an-estimator.md.")
    training: Text = Field(
        description="Scenario of the same case whose isolated rung the estimator is trained on, once for all rungs: "
        "other patches (`patch.first`) in the same bands of the same survey."
    )
    fluxes: Text = Field(
        "matched",
        description="Fluxes that it is given: the columns flux_<fluxes> and flux_<fluxes>_err of a measurement, such "
        "as matched, ap or kron.",
    )
    limit: Number = Field(25.3, description="Faintest true magnitude, in `shape_band`, of training galaxies.")


def photo_z_problems(family, settings, scenario):
    """Return what is wrong with the photometric redshifts of a scenario: a list of `Problem`.

    Parameters
    ----------
    family : Family
        Estimators.
    settings : case.Settings
    scenario : callable
        ``scenario(name)`` returns the settings of another scenario of the case, as a dict without defaults.
    """
    chosen, key = settings.photo_z, ("photo_z", "training")
    wrong = unknown(family, chosen.estimator) or family.problems(chosen.estimator, {})
    found = [problem.below("photo_z", "estimator") for problem in wrong]
    if settings.subtractor:
        return [*found, Problem(("photo_z",), "a case with a subtractor measures no colours", "remove it")]
    try:
        training = scenario(chosen.training)
    except StudyError as error:
        return [*found, Problem(key, error.what, error.remedy)]
    own = settings.plain()
    for name in SAME:
        if training.get(name, own[name]) != own[name]:
            what = f"the {name} of the scenario {chosen.training} is {training.get(name)}, here it is {own[name]}"
            found.append(Problem(key, what, "train where the photometry is the same"))
    if "isolated" not in (training.get("rungs") or ("isolated",)):
        found.append(Problem(key, f"{chosen.training} has no rung 'isolated'", "add it to its rungs"))
    if _overlap(training["patch"], own["patch"]):
        found.append(
            Problem(key, f"{chosen.training} has the same patches", f"give it a patch.first of {own['patch']['count']}")
        )
    return found


def _overlap(*patches):
    """Return whether two scenarios have a block of sky in common."""
    (first, end), (other, last) = (
        (patch.get("first") or 0, (patch.get("first") or 0) + (patch.get("count") or 1)) for patch in patches
    )
    return first < last and other < end
