"""Difference finders: from the difference of two epochs to a list of what has changed."""

from ..config.plugins import Family

FINDERS = Family("finder", "blendimpact.search", "finders", checked="find")
