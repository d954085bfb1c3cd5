"""Figures of merit of asteroids (MO-*)."""

from ...stats.detection_statistics import LEAST_NIGHTS, NIGHTS, Linking
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Median, Nmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Contrast, Fraction, quadrature
from .foms import ABOVE, AROUND, DENSE, DM_EDGES, EACH, FORCED, MAS_EDGES, RECOVERED, SURE

ARCSEC_EDGES = tuple(residual_edges(limit=100.0, scale=0.05, n_bins=201))

FIGURES_OF_MERIT = (
    F(
        "MO-D1",
        "detection",
        "trails lost",
        f"fraction of trails ({SURE}) that are not recovered: {RECOVERED}",
        "1",
        Fraction(),
    ),
    F(
        "MO-D1.dense",
        "detection",
        "trails lost among many galaxies",
        f"MO-D1 where {DENSE:g} or more galaxies per arcmin2 lie around a trail minus MO-D1 where fewer do: {AROUND}",
        "1",
        Contrast(),
    ),
    F(
        "MO-D1.efficiency",
        "detection",
        "efficiency of the search for trails",
        "fraction of trails, by isolated S/N, "
        f"with a positive candidate of the bank {ABOVE} within match_radius of their line",
        "1",
        Fraction(),
    ),
    F(
        "MO-D2",
        "detection",
        "chance to be linked",
        f"twice in a night on {LEAST_NIGHTS} of {NIGHTS} nights, at the "
        "efficiency of trails of MO-D1 (1 minus the loss)",
        "1",
        Linking(),
    ),
    F(
        "MO-D2.all",
        "detection",
        "chance to be linked, S/N above 5",
        "the same at the efficiency of MO-D1.efficiency above S/N 5",
        "1",
        Linking(),
    ),
    F(
        "MO-B1",
        "deblending",
        "flux bias of trails near static sources",
        "median of -1.086 (F - F_true) / F_true of the "
        f"trail fit, isolated S/N above 10, trails within 1 FWHM of a static source, {FORCED}, fitted on {EACH}",
        "mag",
        Median(DM_EDGES),
        fixed=True,
    ),
    F(
        "MO-B1.all",
        "deblending",
        "flux bias of trails",
        "the same of all trails, by the distance from the nearest static source in FWHM",
        "mag",
        Median(DM_EDGES),
        fixed=True,
    ),
    F(
        "MO-B1.length",
        "deblending",
        "length bias of trails near static sources",
        "median of the fitted minus the true length of the same trails as MO-B1",
        "arcsec",
        Median(ARCSEC_EDGES),
        fixed=True,
    ),
    F(
        "MO-B1.length_all",
        "deblending",
        "length bias of trails",
        "the same of all trails",
        "arcsec",
        Median(ARCSEC_EDGES),
        fixed=True,
    ),
    F(
        "MO-B1.failed",
        "deblending",
        "failed fits of trails",
        f"fraction of trails with isolated S/N above 10 whose fit did not converge, {FORCED}",
        "1",
        Fraction(),
        fixed=True,
    ),
    F(
        "MO-M1",
        "measurement",
        "astrometric scatter",
        "normalised median absolute deviation of fitted minus true "
        "positions of trails (of a point's fit where a rung has none of a line), isolated S/N above 10, both axes "
        "together, common to all rungs",
        "mas",
        Nmad(MAS_EDGES),
    ),
    F(
        "MO-M1.excess",
        "measurement",
        "astrometric scatter in quadrature",
        "the same beyond that of the isolated rung, in quadrature",
        "mas",
        Nmad(MAS_EDGES, against=quadrature),
        stored_as="MO-M1",
    ),
)
