"""Files that are complete or not there: written under a name that no other process uses, then renamed.

A job claims its outputs by its log, which Snakemake removes before it starts another job for the same outputs: what a
job that was left behind writes after that never gets the name of a product.
"""

import contextlib
import errno
import glob
import os
import secrets
import shutil
from pathlib import Path

from ..errors import StudyError

_claims = []
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def claim(log):
    """Within it, this process may name products only as long as ``log``, an open file, has its name."""
    _claims.append(log)
    try:
        yield
    finally:
        _claims.pop()


@contextlib.contextmanager
def whole(path):
    """Give the name of a new file or folder beside ``path`` that gets the name ``path`` when the block ends well.

    What earlier processes left unfinished under such names is removed.

    Raises
    ------
    StudyError
        If the disk is full, or another job makes this product by now.
    """
    path = Path(path)
    for left in glob.glob(f"{glob.escape(str(path))}.*.part"):
        remove(left)
    part = f"{path}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        yield part
        _check_claim(path)
        if os.path.isdir(part):
            shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
    except Exception as error:
        if told := full_disk(error, path, os.path.getsize(part) if os.path.isfile(part) else 0):
            raise told from error
        raise
    finally:
        remove(part)


@contextlib.contextmanager
def opened(path, mode="w", **options):
    """Open a file to write that appears under its name when it is complete; text is UTF-8."""
    if "b" not in mode:
        options = {"encoding": "utf-8", **options}
    with whole(path) as part, open(part, mode, **options) as file:
        yield file


def remove(path):
    """Remove a file or folder, if it is there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.remove(path)


def full_disk(error, path, written=0):
    """Return a `StudyError` that says what space there is, if an error says that a disk is full, else None.

    Parameters
    ----------
    error : Exception
        It, and what it came after, is asked.
    path : path-like
        What was to be written.
    written : int, optional
        Bytes of it that were written.
    """
    chain = [error]
    while error := error.__cause__ or error.__context__:
        chain.append(error)
    if not any(getattr(e, "errno", None) in _FULL or os.strerror(errno.ENOSPC) in str(e) for e in chain):
        return None
    folder = next(f for f in Path(path).absolute().parents if f.is_dir())
    free = shutil.disk_usage(folder).free
    said = StudyError(
        f"the disk is full, or a quota: {free / 1e6:.0f} MB are left, and more than {written / 1e6:.0f} MB are needed",
        str(path),
        f"make space on the file system of {folder}, then run again: what is done stays done",
    )
    return next((e for e in chain if isinstance(e, StudyError)), said)


def _check_claim(path):
    for log in _claims[-1:]:
        try:
            mine = os.path.samestat(os.fstat(log.fileno()), os.stat(log.name))
        except FileNotFoundError:
            mine = False
        if not mine:
            raise StudyError(
                "not written: the log of this job is no longer its own, so another run makes this product by now",
                str(path),
                "nothing, if that run goes on; else run again",
            )
