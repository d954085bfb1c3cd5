"""The targets of a patch, drawn by the population that its settings name."""

from blendimpact.populations.base import injected


def draw(settings, patch, truth, seed, case, block, realisation, **tables):
    """Return the targets; ``tables`` are what was built, by population."""
    tables = {name: table for name, table in tables.items() if table is not None}
    return injected(settings).draw(settings, patch, truth, seed, case, block, realisation, tables)
