"""Build what one population is drawn from."""

from pathlib import Path

from ..populations.base import prepare


def run(population, receipts, table_out, cards=None, meta=None, missing=None):
    """Build the table of a population from what was fetched.

    Parameters
    ----------
    population : str
        Its name.
    receipts : list of path-like
        Of its inputs, each beside the files of one.
    table_out, cards, meta, missing
        As in `populations.base.prepare`.
    """
    folders = {Path(receipt).parent.name: Path(receipt).parent for receipt in receipts}
    prepare(population, folders, table_out, cards, meta, missing)
