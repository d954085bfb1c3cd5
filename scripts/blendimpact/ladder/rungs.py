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
    detector, deblender : str
        "truth", "none", or "real": the one that the configuration names.
    text : str
        What the rung holds, for tables and captions.
    colour : str
        In figures.
    """

    name: str
    scene: str
    detector: str
    deblender: str
    text: str
    colour: str


RUNGS = {
    rung.name: rung
    for rung in (
        Rung("isolated", "alone", "truth", "none", "the target alone, sky known", "#009E73"),
        Rung("oracle", "full", "truth", "truth", "true centres, exact deblending", "#0072B2"),
        Rung("undeblended", "full", "truth", "none", "true centres, raw pixels", "#333333"),
        Rung("deblended", "full", "truth", "real", "true centres, real deblender", "#E69F00"),
        Rung("merged", "full", "real", "truth", "real detector, exact deblending", "#CC79A7"),
        Rung("pipeline", "full", "real", "real", "real detector, real deblender", "#D55E00"),
    )
}
REFERENCE = "truth"  # noiseless isolated images measured the same way: F(truth)
ORDER = (REFERENCE, *RUNGS)
"""Of figures and tables."""
COLOURS = {REFERENCE: "#999999", **{rung.name: rung.colour for rung in RUNGS.values()}}
REAL = tuple(r.name for r in RUNGS.values() if r.detector == "real")
FIXED = tuple(r.name for r in RUNGS.values() if r.detector == "truth")
SEARCHED = ("isolated", "oracle", "undeblended", "pipeline")
"""Rungs whose whole difference is searched, where difference imaging is the deblender; the others share these."""
