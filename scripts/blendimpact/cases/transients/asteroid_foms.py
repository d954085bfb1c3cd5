"""Figures of merit of asteroids (MO-*)."""

from ...stats.detection_statistics import LEAST_NIGHTS, NIGHTS, Linking
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import PairedNmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Contrast, Fraction, Mean
from .foms import ABOVE, AROUND, DENSE, RECOVERED, SURE

LENGTH_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 1e9)  # of trails, in FWHM of the visit
LINK_EDGES = (0.0, 5.0, 6.0, 8.0, 12.0, 20.0, 1e9)  # S/N of objects that are as easily found
DM_BOUND, MAS_BOUND, ARCSEC_BOUND = 0.5, 300.0, 2.0
"""Beyond these an error of a flux (mag), a position (mas) or a length (arcsec) counts as this large."""
OFFSET_EDGES = tuple(residual_edges(limit=1e4, scale=2.0, n_bins=201))  # mas
WHERE = 'those anywhere; "place:" strata: main belt (trail), near-Earth, and those put beside a static source'
AS_IT_IS = "of trails longer than the FWHM of the visit those of a fitted line, of others of a point"

FIGURES_OF_MERIT = (
    F(
        "MO-D1",
        "detection",
        "asteroids lost",
        f"fraction of asteroids ({SURE}) that are not recovered: {RECOVERED}; {WHERE}",
        "1",
        Fraction(),
    ),
    F(
        "MO-D1.dense",
        "detection",
        "asteroids lost among many galaxies",
        f"MO-D1 where {DENSE:g} or more galaxies per arcmin2 lie around one minus MO-D1 where fewer do: {AROUND}",
        "1",
        Contrast(),
    ),
    F(
        "MO-D1.efficiency",
        "detection",
        "efficiency of the search with trails",
        "fraction of asteroids whose S/N standing still is above 5 (strata: by it, and by the length in FWHM) "
        f"with a positive candidate of the bank {ABOVE} within match_radius of their line; {WHERE}",
        "1",
        Fraction(),
    ),
    F(
        "MO-D1.point",
        "detection",
        "efficiency of the point filter alone",
        "the same with the filter of a point alone: what is less than MO-D1.efficiency is what trails are searched for",
        "1",
        Fraction(),
    ),
    F(
        "MO-D2",
        "detection",
        "chance to be linked",
        f"mean over asteroids of the chance to be found twice in a night on {LEAST_NIGHTS} of {NIGHTS} nights, each at "
        "the efficiency (1 - MO-D1) of those as bright",
        "1",
        Linking(LINK_EDGES),
    ),
    F(
        "MO-D2.all",
        "detection",
        "chance to be linked, S/N above 5",
        "the same at the efficiency of MO-D1.efficiency, of all with a S/N of 5 standing still",
        "1",
        Linking(LINK_EDGES),
    ),
    F(
        "MO-B1",
        "deblending",
        "flux bias of asteroids",
        f"mean of -1.086 (F - F_alone) / F_alone, within {DM_BOUND:g} mag; fluxes are, {AS_IT_IS}; F_alone is that of "
        f"the noiseless asteroid alone; isolated S/N above 10; {WHERE}",
        "mag",
        Mean(bound=DM_BOUND),
    ),
    F(
        "MO-B1.length",
        "deblending",
        "length bias of trails",
        f"mean of the fitted minus the true length, within {ARCSEC_BOUND:g} arcsec, of those of MO-B1 whose trail is "
        "longer than the FWHM of the visit: shorter ones have no length that can be measured",
        "arcsec",
        Mean(bound=ARCSEC_BOUND),
    ),
    F(
        "MO-B1.failed",
        "deblending",
        "asteroids that are not measured",
        "fraction of asteroids with isolated S/N above 10, of those that a rung has, without a flux or a position",
        "1",
        Fraction(),
    ),
    F(
        "MO-M1",
        "measurement",
        "error of positions",
        f"mean distance of the measured from the true middle, within {MAS_BOUND:g} mas, of the asteroids of MO-B1; "
        f"{AS_IT_IS}",
        "mas",
        Mean(bound=MAS_BOUND),
    ),
    F(
        "MO-M1.added",
        "measurement",
        "what blending moves positions by",
        "normalised median absolute deviation of the paired differences of positions of two rungs, both axes together",
        "mas",
        PairedNmad(OFFSET_EDGES),
    ),
)
