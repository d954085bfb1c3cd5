"""Figures of the galaxies row."""

from ...report.figures import ladder
from ..base import FigureSpec
from .drawing import beside

DEBLENDED = {"deblending": "the deblender", "no_deblending": "raw pixels: without a deblender"}
LOST = {"detection": "lost by the detector"}
FOUND = {"pipeline": "found", "alone": "found alone, on the same noise"}
SEPARATION, BRIGHTER = "distance to the nearest brighter source [arcsec]", "magnitudes by which it is brighter"


def _against(name, fom, stratum, terms, xlabel, ylabel, caption, **others):
    options = {"fom": fom, "stratum": stratum, "terms": terms, "xlabel": xlabel, "ylabel": ylabel, **others}
    return FigureSpec(name, beside, options, caption)


def _ladder(fom, caption):
    return FigureSpec(f"ladder_{fom}", ladder, {"fom": fom}, caption, scenario="simulated")


FIGURES = (
    _ladder("GA-B1", "Mean magnitude change of simulated galaxies within 4 arcsec of a brighter source."),
    _ladder("GA-M1", "Bias of the Kron magnitude of simulated galaxies."),
    _against(
        "lost_separation",
        "GA-D1",
        "separation",
        LOST,
        SEPARATION,
        "fraction lost",
        "Galaxies that are lost to blending, against the distance to the nearest brighter source.",
    ),
    _against(
        "lost_brighter",
        "GA-D1",
        "brighter_by",
        LOST,
        BRIGHTER,
        "fraction lost",
        "Galaxies within 4 arcsec of a brighter source that are lost, against how much brighter it is.",
    ),
    _against(
        "completeness_magnitude",
        "GA-D1.all",
        "magnitude",
        FOUND,
        "true magnitude (AB)",
        "fraction found",
        "Galaxies that are found, and found alone on the same noise.",
        kind="value",
    ),
    _against(
        "flux_separation",
        "GA-B1",
        "separation",
        DEBLENDED,
        SEPARATION,
        "mean change of magnitude [mag]",
        "Aperture magnitude change against the distance to the nearest brighter source.",
    ),
    _against(
        "flux_brighter",
        "GA-B1",
        "brighter_by",
        DEBLENDED,
        BRIGHTER,
        "mean change of magnitude [mag]",
        "The same within 4 arcsec of a brighter source, against how much brighter it is.",
    ),
    _against(
        "size_separation",
        "GA-B1.size",
        "separation",
        DEBLENDED,
        SEPARATION,
        "mean relative change of size",
        "Change of the size, without the PSF, against the distance to the nearest brighter source.",
    ),
)
