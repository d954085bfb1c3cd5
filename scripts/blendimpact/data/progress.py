"""Progress lines of long jobs."""

import sys
import time


def progress(items, label, stream=None):
    """Yield ``items`` and print a line with the count and the time left after each.

    Parameters
    ----------
    items : sized iterable
    label : str
        What is being worked on.
    stream : file, optional
        Where to print, default the standard error.
    """
    stream = stream or sys.stderr
    start = time.monotonic()
    total = len(items)
    for number, item in enumerate(items, 1):
        yield item
        spent = time.monotonic() - start
        left = spent / number * (total - number)
        print(f"{label}: {number}/{total} in {spent:.1f} s, about {left:.0f} s left", file=stream, flush=True)
