"""Subtractors: from a science image and a template of the same sky to the light that has changed."""

from ..config.plugins import Family

SUBTRACTORS = Family("subtractor", "blendimpact.subtract", "subtractors", checked="subtract")
