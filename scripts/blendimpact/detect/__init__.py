"""Detectors: from the pixels of a patch to the centres of objects."""

from ..core.registry import Family

DETECTORS = Family("detector", "blendimpact.detect", "detectors")
