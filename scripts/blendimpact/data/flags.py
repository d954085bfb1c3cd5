"""Bit flags: every trouble with one object is a bit that has a name and a text.

A registry is a dict of bit number to (name, text), as `data.images.MASK_BITS`.
"""

from types import SimpleNamespace


def values(registry):
    """Return a namespace of the bits' values (1 << number) by name: ``values(REGISTRY).EDGE``."""
    return SimpleNamespace(**{name: 1 << number for number, (name, _) in registry.items()})


def decode(registry, status):
    """Return the list of (name, text) of the bits that are set in ``status``, lowest first.

    Raises
    ------
    ValueError
        If a bit is set that the registry does not know: a product of another version.
    """
    status = int(status)
    unknown = status & ~sum(1 << number for number in registry)
    if status < 0 or unknown:
        raise ValueError(f"status {status} has bits that the registry does not know")
    return [registry[number] for number in sorted(registry) if status >> number & 1]
