"""Figures of merit of repeat visits (ids CF-M1.repeat*)."""

from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Hidden, Nmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Deviation

PULL_EDGES = tuple(residual_edges(limit=1e3, scale=2.0, n_bins=201))
REPEAT_MMAG_EDGES = tuple(residual_edges(limit=1e4, scale=2.0, n_bins=151))
REPEAT_MAS_EDGES = tuple(residual_edges(limit=300.0, scale=1.0, n_bins=121))
REPEAT_FIGURES = (
    F(
        "CF-M1.repeat",
        "measurement",
        "photometric repeatability",
        "normalised median absolute deviation of 1086 "
        "(F - mean F) / mean F over the visits of a star, times the root of K / (K - 1) for K visits; stars "
        "with isolated S/N > 10 that every rung measures in all visits; where the sky has repeat visits",
        "mmag",
        Nmad(REPEAT_MMAG_EDGES),
    ),
    F(
        "CF-M1.repeat_true",
        "measurement",
        "scatter about the truth of the same stars",
        "normalised median absolute deviation of 1086 (F - F_true) / F_true in the same visits of the same stars",
        "mmag",
        Nmad(REPEAT_MMAG_EDGES, which=1),
        stored_as="CF-M1.repeat",
    ),
    F(
        "CF-M1.repeat_hidden",
        "measurement",
        "photometric scatter that repeat visits do not show",
        "root of the difference of the squares of both, with its sign: errors that all visits of a star share",
        "mmag",
        Hidden(REPEAT_MMAG_EDGES),
        stored_as="CF-M1.repeat",
    ),
    F(
        "CF-M1.repeat_rms",
        "measurement",
        "photometric repeatability, rms",
        "root of the mean over the stars of the variance over the visits of a star (unbiased) of 1086 F / mean F",
        "mmag",
        Deviation(),
    ),
    F(
        "CF-M1.repeat_error",
        "measurement",
        "photometric repeatability that the errors promise",
        "root mean square of 1086 error / mean F of the same stars and visits",
        "mmag",
        Deviation(),
    ),
    F(
        "CF-M1.repeat_pull",
        "measurement",
        "photometric repeatability over the error",
        "normalised median absolute "
        "deviation of (F - mean F) / error over the visits of a star, times the root of K / (K - 1)",
        "1",
        Nmad(PULL_EDGES),
    ),
    F(
        "CF-M1.repeat_xy",
        "measurement",
        "astrometric repeatability",
        "normalised median absolute deviation of the "
        "fitted positions from their mean over the visits of a star, times the root of K / (K - 1); per axis, both "
        "axes together; the same stars",
        "mas",
        Nmad(REPEAT_MAS_EDGES),
    ),
    F(
        "CF-M1.repeat_xy_true",
        "measurement",
        "astrometric scatter about the truth of the same stars",
        "normalised median absolute deviation of fitted minus true positions in the same visits of the same stars",
        "mas",
        Nmad(REPEAT_MAS_EDGES, which=1),
        stored_as="CF-M1.repeat_xy",
    ),
    F(
        "CF-M1.repeat_xy_hidden",
        "measurement",
        "astrometric scatter that repeat visits do not show",
        "root of the difference of the squares of both, with its sign",
        "mas",
        Hidden(REPEAT_MAS_EDGES),
        stored_as="CF-M1.repeat_xy",
    ),
    F(
        "CF-M1.repeat_xy_pull",
        "measurement",
        "astrometric repeatability over the error",
        "the same as CF-M1.repeat_pull of positions",
        "1",
        Nmad(PULL_EDGES),
    ),
)
