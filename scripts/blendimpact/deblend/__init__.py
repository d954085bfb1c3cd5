"""Deblenders: from the pixels of a patch and a list of centres to one child image per centre."""

from ..core.registry import Family

DEBLENDERS = Family("deblender", "blendimpact.deblend", "deblenders")
