"""Figures of merit of galaxy detection and photometry (ids GA-*)."""

import numpy as np

from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Falling, Median, Nmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Fraction

MAGNITUDE_EDGES = tuple(np.arange(18.0, 28.01, 0.5))
# An odd number of bins, so that no residual is the middle of a bin and not an edge.
DM_EDGES = tuple(residual_edges(limit=5.0, scale=0.02, n_bins=401))
SEPARATION_EDGES = (0.0, 2.0, 4.0, 8.0, 1e9)

FIGURES_OF_MERIT = (
    F(
        "GA-D1",
        "detection",
        "completeness lost to blending",
        "fraction of injected galaxies (isolated S/N > 10, found by the same detector on empty sky) that are "
        "the brightest member of a detection",
        "1",
        Fraction(),
    ),
    F(
        "GA-D1.all",
        "detection",
        "completeness",
        "fraction of all injected galaxies that are the brightest "
        "member of a detection; those below the truth-side S/N cut count as missed",
        "1",
        Fraction(),
    ),
    F(
        "GA-D1.m50",
        "detection",
        "magnitude of 50 % completeness",
        "where the fraction of all injected galaxies that are recovered falls through 50 %",
        "mag",
        Falling(MAGNITUDE_EDGES, 0.5),
        stored_as="GA-D1.m",
    ),
    F(
        "GA-D1.m90",
        "detection",
        "magnitude of 90 % completeness",
        "where the fraction of all injected galaxies that are recovered falls through 90 %",
        "mag",
        Falling(MAGNITUDE_EDGES, 0.9),
        stored_as="GA-D1.m",
    ),
    F(
        "GA-D2.shred",
        "detection",
        "shredding",
        "fraction of injected galaxies with two or more detections",
        "1",
        Fraction(),
    ),
    F(
        "GA-D2.merge",
        "detection",
        "merging",
        "fraction of injected galaxies that share one detection with another source, real or injected",
        "1",
        Fraction(),
    ),
    F(
        "GA-B1",
        "deblending",
        "flux leakage, median",
        "median magnitude change m - m_true (aperture, both) of injected galaxies within 4 arcsec of a brighter "
        "real source",
        "mag",
        Median(DM_EDGES),
    ),
    F(
        "GA-B1.nmad",
        "deblending",
        "flux leakage, scatter",
        "normalised median absolute deviation of the same",
        "mag",
        Nmad(DM_EDGES),
        stored_as="GA-B1",
    ),
    F(
        "GA-B1.all",
        "deblending",
        "flux change of all injected galaxies, median",
        "median of m - m_true (aperture, both), any distance from real sources",
        "mag",
        Median(DM_EDGES),
    ),
    F(
        "GA-M1",
        "measurement",
        "Kron magnitude bias",
        "median of the Kron magnitude minus the true total magnitude",
        "mag",
        Median(DM_EDGES),
    ),
    F(
        "GA-M1.nmad",
        "measurement",
        "Kron magnitude scatter",
        "normalised median absolute deviation of the same",
        "mag",
        Nmad(DM_EDGES),
        stored_as="GA-M1",
    ),
)
