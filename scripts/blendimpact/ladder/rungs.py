"""The rungs of the ladder: which component is real and which an oracle."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """One way to take a catalogue from the same sky.

    Attributes
    ----------
    name : str
    scene : str
        "alone" (the target with its own and the sky's noise) or "full".
    sky : str
        "known" or "estimated".
    detector, deblender : str
        "truth", "none", or "real": the one that the configuration names.
    text : str
        What the rung holds, for tables and captions.
    colour : str
        In figures.
    """

    name: str
    scene: str
    sky: str
    detector: str
    deblender: str
    text: str
    colour: str


RUNGS = {
    rung.name: rung
    for rung in (
        Rung("isolated", "alone", "known", "truth", "none", "the target alone, sky known", "#009E73"),
        Rung("exact", "full", "known", "truth", "truth", "true centres, exact deblending, sky known", "#56B4E9"),
        Rung("oracle", "full", "estimated", "truth", "truth", "true centres, exact deblending", "#0072B2"),
        Rung("undeblended", "full", "estimated", "truth", "none", "true centres, raw pixels", "#333333"),
        Rung("deblended", "full", "estimated", "truth", "real", "true centres, real deblender", "#E69F00"),
        Rung("merged", "full", "estimated", "real", "truth", "real detector, exact deblending", "#CC79A7"),
        Rung("pipeline", "full", "estimated", "real", "real", "real detector, real deblender", "#D55E00"),
    )
}
REFERENCE = "truth"  # noiseless isolated images measured the same way: F(truth)
ORDER = (REFERENCE, *RUNGS)
"""Of figures and tables."""
COLOURS = {REFERENCE: "#999999", **{rung.name: rung.colour for rung in RUNGS.values()}}
REAL = tuple(r.name for r in RUNGS.values() if r.detector == "real")
FIXED = tuple(r.name for r in RUNGS.values() if r.detector == "truth")
BOUND = "undeblended"
"""A side rung: what cannot be measured on raw pixels, the worst blends, is left in the samples."""
SEARCHED = ("isolated", "merged", "undeblended", "pipeline")
"""Rungs whose whole difference is searched, where difference imaging is the deblender."""


def rungs_of(settings):
    """Return the names of the rungs that a case and scenario has, in order: all, or those that its ``rungs`` names."""
    named = settings.get("rungs")
    return tuple(rung for rung in RUNGS if named is None or rung in named)
