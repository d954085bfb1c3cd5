"""Keyed random streams: every random number has a name.

A stream is a function of the study seed and of the key alone (case, patch, source, band,
purpose), never of the order of the work, of its batching or of the number of processes. Adding
a source or a band therefore changes no other number in the study.
"""

import hashlib

import numpy as np


def stream(seed, *key):
    """Return the random generator that belongs to ``key``.

    Parameters
    ----------
    seed : int
        Seed of the study.
    *key : str or int
        What the numbers are for, e.g. ``("two_point", 12, "sky", "i")``. Order and type matter:
        the integer 1 and the string "1" name two streams.

    Returns
    -------
    numpy.random.Generator
        A Philox generator, keyed by the 128-bit BLAKE2b digest of seed and key.

    Raises
    ------
    TypeError
        If a part of the key is neither a string nor an integer.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (seed, *key):
        if isinstance(part, (bool, np.bool_)) or not isinstance(part, (str, int, np.integer)):
            raise TypeError(f"a stream key holds strings and integers, not {part!r}")
        text = f"s{part}" if isinstance(part, str) else f"i{int(part)}"
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(4, "little") + encoded)
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest.digest(), "little")))
