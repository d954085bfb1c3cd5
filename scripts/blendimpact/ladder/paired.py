"""Differences of one object between rungs, for statistics that are stored for the terms of a budget."""

import pandas as pd

from .budget import KEPT, TERMS, sample_of
from .objects import KEY


def paired(samples, column):
    """Yield the differences of each object that the terms of a budget are made of.

    Parameters
    ----------
    samples : dict of str to pandas.DataFrame
        From `objects.samples`: one row per object and rung.
    column : str
        What is differenced.

    Yields
    ------
    term : str
        Of `budget.TERMS`; not those that compare two samples, for they are no differences of one object.
    population : str
        The sample.
    rows : pandas.DataFrame
        One row per object that has the column on all rungs of the term, as on one of these, with ``difference``.
    """
    for population, rows in samples.items():
        values = rows.pivot(index=KEY, columns="rung", values=column)
        objects = rows.drop_duplicates(KEY).set_index(KEY)
        for term, parts in TERMS.items():
            shares = pd.Series({name.removeprefix(KEPT): share for name, share in parts.items()})
            if sample_of(term) == population and set(shares.index) <= set(values.columns):
                difference = values[shares.index].mul(shares, axis=1).sum(axis=1, skipna=False).dropna()
                yield term, population, objects.loc[difference.index].assign(difference=difference).reset_index()


def add_paired(scores, fom, samples, column, edges, by=None, copies=None):
    """Add the histograms of a paired statistic, such as `stats.histogram_statistics.PairedMedian`.

    Parameters
    ----------
    scores : stats.figures_of_merit.Scores
    fom : str
    samples, column
        As in `paired`; rows have ``block``.
    edges : sequence of float
    by : callable, optional
        ``by(rows)`` yields the strata of rows.
    copies : int, optional
        Of each source among the rows.
    """
    for term, population, rows in paired(samples, column):
        strata = by(rows) if by else None
        scores.add_histogram(fom, term, rows["block"], rows["difference"], edges, strata, population, copies)
