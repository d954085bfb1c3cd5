"""Populations: what can be on the sky, each with what it is built from and how it is drawn."""

from pathlib import Path

from ..config.plugins import Family

POPULATIONS = Family("population", "blendimpact.populations", "populations")


def drawn_tables(settings):
    """Return the names of the populations whose built tables a case's simulated sky is drawn from.

    Nothing is imported for that: members say it in their source.
    """
    found = []
    for block in _drawn(settings):
        if block["density"]:
            declared = POPULATIONS.declaration(block["kind"])
            found += [block["kind"]] * bool(declared.inputs) + list(declared.uses)
    return list(dict.fromkeys(found))


def _drawn(settings):
    population = settings["population"]
    return population["galaxies"], population["stars"], *population.get("others", {}).values()


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
            # also where none of them are drawn: it is their colours that are followed
            found += [other for other in declared.follows if other in [block["kind"] for block in _drawn(settings)]]
    return list(dict.fromkeys(found))


def read_tables(paths):
    """Return {population: what it is drawn from} of files that have the names of populations."""
    return {Path(path).stem: POPULATIONS.member(Path(path).stem).read(path) for path in paths}
