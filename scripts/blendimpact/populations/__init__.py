"""Populations: what can be on the sky, each with what it is built from and how it is drawn."""

from ..config.plugins import Family

POPULATIONS = Family("population", "blendimpact.populations", "populations")


def tables_of(settings):
    """Return the names of the populations whose built tables the targets of a case are drawn from.

    Nothing is imported for that: members say it in their source.
    """
    inject = settings["inject"] or {}
    if not inject.get("population"):
        return []
    kinds = [kind for kind, share in (inject.get("kinds") or {}).items() if share]
    found = []
    for name in (inject["population"], *kinds):
        declared = POPULATIONS.declaration(name)
        found += [name] * bool(declared.inputs) + list(declared.uses)
        if settings["sky"] == "simulate":
            found += [other for other in declared.follows if other == settings["population"]["stars"]["kind"]]
    return list(dict.fromkeys(found))
