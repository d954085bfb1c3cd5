"""Figures of merit of galaxy detection and photometry (ids GA-*)."""

import numpy as np

from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Falling, PairedNmad
from ...stats.histograms import residual_edges
from ...stats.statistic import WeightedFraction, WeightedMean

MAGNITUDE_EDGES = tuple(np.arange(18.0, 28.01, 0.5))
BOUND = 1.0
"""Magnitudes, and relative sizes: an error beyond counts as this."""
# An odd number of bins, so that no residual is the middle of a bin and not an edge. Errors end at BOUND.
DM_EDGES = tuple(residual_edges(limit=5.0, scale=0.02, n_bins=401))
SEPARATION_EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 8.0, 1e9)
BRIGHTER_EDGES = (0.0, 0.5, 1.0, 2.0, 3.0, 20.0)

SHARE, ERROR = WeightedFraction(), WeightedMean(bound=BOUND)
CHANCE = "weighted to targets that are spread evenly over the sky"

FIGURES_OF_MERIT = (
    F(
        "GA-D1",
        "detection",
        "completeness lost to blending",
        f"fraction of galaxies (isolated S/N > 10, found by the same detector on empty sky) that are not the brightest "
        f"member of a detection; {CHANCE}",
        "1",
        SHARE,
    ),
    F(
        "GA-D1.all",
        "detection",
        "completeness",
        f"fraction of all galaxies that are the brightest member of a detection; those below the truth-side S/N cut "
        f"count as missed; {CHANCE}",
        "1",
        SHARE,
    ),
    F(
        "GA-D1.m50",
        "detection",
        "magnitude of 50 % completeness",
        f"where the fraction of all galaxies that are recovered falls through 50 %; {CHANCE}",
        "mag",
        Falling(MAGNITUDE_EDGES, 0.5),
        stored_as="GA-D1.m",
    ),
    F(
        "GA-D1.m90",
        "detection",
        "magnitude of 90 % completeness",
        f"where the fraction of all galaxies that are recovered falls through 90 %; {CHANCE}",
        "mag",
        Falling(MAGNITUDE_EDGES, 0.9),
        stored_as="GA-D1.m",
    ),
    F(
        "GA-D2.shred",
        "detection",
        "shredding",
        f"fraction of galaxies with two or more detections; {CHANCE}",
        "1",
        SHARE,
    ),
    F(
        "GA-D2.merge",
        "detection",
        "merging",
        f"fraction of galaxies that share one detection with another source, real or injected; {CHANCE}",
        "1",
        SHARE,
    ),
    F(
        "GA-B1",
        "deblending",
        "flux leakage near a brighter source, mean",
        f"mean of the aperture magnitude minus that of the noiseless galaxy alone, an error beyond 1 mag counted as 1 "
        f"mag, of galaxies (isolated S/N > 10) within 4 arcsec of a brighter source; {CHANCE}",
        "mag",
        ERROR,
    ),
    F(
        "GA-B1.scatter",
        "deblending",
        "flux leakage near a brighter source, scatter",
        "normalised median absolute deviation of the differences per galaxy, not weighted",
        "mag",
        PairedNmad(DM_EDGES),
    ),
    F(
        "GA-B1.size",
        "deblending",
        "size leakage near a brighter source, mean",
        f"mean of the size (adaptive moments, the PSF's subtracted in quadrature) over that of the noiseless galaxy "
        f"alone, minus 1, at most 1, of resolved galaxies (isolated S/N > 10) within 4 arcsec of a brighter source; "
        f"{CHANCE}",
        "1",
        ERROR,
    ),
    F(
        "GA-M1",
        "measurement",
        "Kron magnitude bias",
        f"mean of the Kron magnitude minus the true total magnitude, an error beyond 1 mag counted as 1 mag, of "
        f"galaxies (isolated S/N > 10); {CHANCE}",
        "mag",
        ERROR,
    ),
    F(
        "GA-M1.scatter",
        "measurement",
        "Kron magnitude scatter",
        "normalised median absolute deviation of the differences per galaxy, not weighted",
        "mag",
        PairedNmad(DM_EDGES),
    ),
)
