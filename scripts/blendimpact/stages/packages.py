"""What the plug-ins of a study work with must be installed, where jobs have no environments of their own."""

import sys

from ..config.settings import roles
from ..errors import StudyError, all_of
from .plan import FAMILIES


def require_plain_python():
    """Refuse a Python whose path has a blank: Snakemake writes it into the command of each job as it is.

    Raises
    ------
    StudyError
    """
    if len(sys.executable.split()) > 1:
        remedy = "make the environment in a folder without blanks, e.g. python -m venv ~/blendimpact"
        raise StudyError("the path of Python has a blank, with which no job can start", sys.executable, remedy)


def require_packages(plan):
    """Refuse what cases work with and is not installed.

    What is compared side by side may be absent: its tables say so.

    Raises
    ------
    StudyError
        That names all of it.
    """
    refused = {}
    for key, settings in plan.settings.items():
        own = [(FAMILIES[role.options], settings[role.key], role.key) for role in roles(settings).values()]
        if settings["photo_z"]:
            own.append((FAMILIES["estimators"], settings["photo_z"]["estimator"], "photo_z.estimator"))
        for family, name, place in own if key not in plan.skies.values() else ():
            if package := family.absent(name):
                what = f"the {family.kind} {name!r} needs the package {package}, which is not installed"
                where = f"cases.{key[0]}, scenario {key[1]}: {place}"
                remedy = "see docs/deblenders.md, let jobs have environments (--sdm conda), or choose another"
                refused.setdefault(name, StudyError(what, where, remedy))
    if refused:
        raise all_of(list(refused.values()))
