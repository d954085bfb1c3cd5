"""Progress lines of long jobs."""

from tqdm import tqdm

_LINE = "{desc}: {n_fmt}/{total_fmt} in {elapsed}, about {remaining} left\n"


def progress(items, label):
    """Return an iterator over ``items`` that prints how many are done, and the time left, every few seconds.

    Parameters
    ----------
    items : sized iterable
    label : str
        What is being done.
    """
    return tqdm(items, desc=label, mininterval=5, bar_format=_LINE)
