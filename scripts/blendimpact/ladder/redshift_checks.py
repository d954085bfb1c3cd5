"""What photometric redshifts need of the measurements, asked before any job."""

from ..measure.objects import columns_of, made
from .redshifts import require_fluxes


def check_fluxes(settings):
    """Raise a `StudyError` if scenarios, {(case, scenario): settings}, do not measure the fluxes of their redshifts."""
    for (case, scenario), own in settings.items():
        chosen = own["photo_z"]
        for name in (scenario, chosen["training"]) if chosen else ():
            where = f"cases.{case}.scenarios.{name}"
            require_fluxes(columns_of(made(settings[case, name]["measure"]["measurements"])), chosen["fluxes"], where)
