"""Figures of the galaxies row."""

from ...report.figures import by_stratum, ladder
from ..base import FigureSpec

RUNGS = ("oracle", "undeblended", "deblended", "pipeline")
FIGURES = (
    FigureSpec(
        "ladder_GA-B1",
        ladder,
        {"fom": "GA-B1"},
        "Median magnitude change of injected galaxies next to a brighter real source.",
    ),
    FigureSpec("ladder_GA-M1", ladder, {"fom": "GA-M1"}, "Bias of the Kron magnitude of injected galaxies."),
    FigureSpec(
        "ladder_GA-D1",
        ladder,
        {"fom": "GA-D1"},
        "Injected galaxies that are recovered, of those that the detector finds on empty sky.",
    ),
    FigureSpec(
        "completeness_magnitude",
        by_stratum,
        {
            "fom": "GA-D1.all",
            "stratum": "magnitude",
            "rungs": ("pipeline", "alone"),
            "xlabel": "true magnitude (AB)",
            "ylabel": "fraction found",
        },
        "Injected galaxies found in the real image, and found alone on the same noise.",
    ),
    FigureSpec(
        "completeness_separation",
        by_stratum,
        {
            "fom": "GA-D1",
            "stratum": "separation",
            "rungs": ("pipeline",),
            "xlabel": "distance to the nearest brighter source [arcsec]",
            "ylabel": "fraction found",
        },
        "Recovered fraction against the distance to the nearest brighter real source.",
    ),
    FigureSpec(
        "completeness_blendedness",
        by_stratum,
        {
            "fom": "GA-D1.all",
            "stratum": "blendedness",
            "rungs": ("pipeline", "alone"),
            "xlabel": "blendedness (1 - purity)",
            "ylabel": "fraction found",
        },
        "Recovered fraction against blendedness.",
    ),
    FigureSpec(
        "flux_separation",
        by_stratum,
        {
            "fom": "GA-B1.all",
            "stratum": "separation",
            "rungs": RUNGS,
            "xlabel": "distance to the nearest brighter source [arcsec]",
            "ylabel": "median m - m_isolated [mag]",
        },
        "Aperture magnitude change against the distance to the nearest brighter real source.",
    ),
)
