"""Fetch real inputs by name, version and checksum."""

from .packages import fetch, forget_missing, load_inputs, members, read_receipt

__all__ = ["fetch", "forget_missing", "load_inputs", "members", "read_receipt"]
