"""Damaged files end in a sentence that names them, whatever their bytes make a library raise."""

import contextlib
import warnings

from astropy.utils.exceptions import AstropyUserWarning

from ..errors import StudyError

AGAIN = "delete it and run again: the rule that makes it will"


@contextlib.contextmanager
def reading(path, what, remedy=AGAIN):
    """Turn all that is raised in the block into a `StudyError`: "``path``: not ``what`` (the reason)".

    FITS files that are shorter than their headers say, as with an absurd NAXIS, are refused when they are opened,
    before their pixels are asked for.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*truncated.*", category=AstropyUserWarning)
            yield
    except StudyError:
        raise
    except Exception as error:
        raise StudyError(f"not {what} ({error})", str(path), remedy) from error
