"""Detectors: from the pixels of a patch to the centres of objects."""

from ..config.plugins import Family

DETECTORS = Family("detector", "blendimpact.detect", "detectors", checked="detect")
