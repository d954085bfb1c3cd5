"""Deblenders: from the pixels of a patch and a list of centres to one child image per centre."""

from ..config.plugins import Family

DEBLENDERS = Family("deblender", "blendimpact.deblend", "deblenders", checked="deblend")
