"""Seals of products: what a job made is checked, to the last byte, by each job that reads it.

A seal is a small hidden file beside a product with the sha256 that it had when its job ended. The whole file is read
for the check, as it is for the provenance of what is made of it: dates and sizes do not tell of a flipped bit.
"""

import json
from pathlib import Path

from ..errors import StudyError
from . import receipts
from .provenance import checksum
from .whole import opened, remove


def seal(path, rule):
    """Write the seal of a product, a file or a folder, that ``rule`` has made."""
    with opened(_place(path)) as file:
        file.write(json.dumps({"rule": rule, "sha256": checksum(path)}) + "\n")


def unseal(path):
    """Remove the seal of a product that is about to be made again."""
    remove(_place(path))


def check(path):
    """Return the sha256 of an input and check it: by its seal, or if it is a receipt the files beside it too.

    What has no seal, as a user's own file, is not checked.

    Raises
    ------
    StudyError
        That names the file, the rule that makes it and what to do.
    """
    digest = checksum(path)
    if Path(path).name == receipts.RECEIPT:
        receipts.verify(path)
    try:
        known = json.loads(_place(path).read_text(encoding="utf-8"))
        rule, sealed = known["rule"], known["sha256"]
    except FileNotFoundError:
        return digest
    except (OSError, ValueError, LookupError, TypeError):
        rule, sealed = None, None
    if digest != sealed:
        made = f"the rule {rule} made" if rule else "was made (its seal cannot be read)"
        raise StudyError(
            f"it is not what {made}: its checksum is another one, so it was changed, cut or damaged since",
            str(path),
            "delete it and run again: it is made anew. If nobody has changed it, look after the disk",
        )
    return digest


def _place(path):
    path = Path(path)
    return path.with_name(f".{path.name}.sha256")
