"""Figures of merit of crowded stellar fields (ids CF-*)."""

import numpy as np

from ...stats.figures_of_merit import CROWDED
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import CrowdingLimit, Falling, Hidden, Median, Nmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Count, Density, Deviation, Fraction, Ratio, quadrature

BRIGHT_SNR = 10.0  # isolated S/N of the stars of which more is asked than whether they are found
MAG = 2.5 / np.log(10)  # magnitudes per relative error, to first order: also of fluxes that are not positive
AXES = ("x", "y")
MAGNITUDE_EDGES = tuple(np.arange(8.0, 28.01, 0.5))  # of completeness curves and of the counts of stars
MAGNITUDE_STRATA = (8.0, 16.0, 18.0, 20.0, 21.0, 22.0, 23.0, 24.0, 28.0)
SEPARATION_EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 1e9)  # in full widths of the PSF
RATIO_EDGES = (0.3, 0.6, 1.0, 2.0, 5.0, 1e9)  # flux of the neighbour over the star's
COLOUR_EDGES = tuple(np.arange(-1.0, 5.01, 0.25))
CMD_EDGES = tuple(np.arange(8.0, 28.01, 0.5))
# An odd number of bins, so that no residual is the middle of a bin and not an edge.
DM_EDGES = tuple(residual_edges(limit=10.0, scale=0.01, n_bins=301))
PULL_EDGES = tuple(residual_edges(limit=1e3, scale=2.0, n_bins=201))
MAS_EDGES = tuple(residual_edges(limit=1e3, scale=5.0, n_bins=201))
REPEAT_MMAG_EDGES = tuple(residual_edges(limit=1e4, scale=2.0, n_bins=151))
REPEAT_MAS_EDGES = tuple(residual_edges(limit=300.0, scale=1.0, n_bins=121))
METALLICITY = 0.563
"""d[Fe/H] / d(u-i)0 of red-clump stars, dex per mag: the relation [Fe/H] = 0.563 (u-i)0 - 2.074 of the Blanco DECam
Bulge Survey (Johnson et al. 2020), from memory and not verified [M]. It gives -1.00 for the red clump of the isochrone
that stars are drawn from, which has [Fe/H] = -1; that is one point of the relation, not its slope."""
FEH_EDGES = tuple(METALLICITY * e for e in DM_EDGES)
FOUND = "a detection within 0.5 arcsec whose magnitude is within 0.75 mag of the true one"

FIGURES_OF_MERIT = (
    F(
        "CF-D1",
        "detection",
        "completeness lost to crowding",
        "fraction of artificial stars (isolated S/N > 10, "
        "found by "
        f"the same detector on empty sky) that are recovered: {FOUND}; at true centres by the magnitude alone",
        "1",
        Fraction(),
    ),
    F(
        "CF-D1.all",
        "detection",
        "completeness",
        "fraction of all artificial stars that are recovered; those below the truth-side S/N cut count as missed",
        "1",
        Fraction(),
    ),
    F(
        "CF-D1.m50",
        "detection",
        "magnitude of 50 % completeness",
        "where the fraction of all artificial stars that are recovered falls through 50 %",
        "mag",
        Falling(MAGNITUDE_EDGES, 0.5),
        stored_as="CF-D1.m",
    ),
    F(
        "CF-D1.limit",
        "detection",
        "magnitude of the analytic crowding limit",
        f"where the analytic crowding error (Olsen et al. 2003) of the true stars reaches {CROWDED:g} of the flux",
        "mag",
        CrowdingLimit(MAGNITUDE_EDGES, CROWDED),
    ),
    F(
        "CF-D1.false",
        "detection",
        "false discovery rate",
        "fraction of detections without a true star within 0.5 arcsec and 0.75 mag, simulated sky only",
        "1",
        Fraction(),
    ),
    F(
        "CF-D1.lf",
        "detection",
        "luminosity function",
        "detections in a bin of measured magnitude over true stars in "
        "the "
        "same bin of true magnitude, simulated sky only",
        "1",
        Ratio(),
    ),
    F(
        "CF-D1.cmd",
        "detection",
        "colour-magnitude diagram",
        "stars per cell of colour (first band minus shape band) "
        "and "
        "magnitude: true ones, and detections as measured; simulated sky, fiducial scenario",
        "1",
        Count(),
    ),
    F(
        "CF-D1.repeat",
        "detection",
        "stars measured in every visit",
        "fraction of artificial stars with isolated S/N > "
        "10 that have a PSF flux and position in all visits of their block; where the sky has repeat visits",
        "1",
        Fraction(),
    ),
    F(
        "CF-D2",
        "detection",
        "split parents",
        "fraction of artificial stars whose parent has more stars than the deblender fits at once",
        "1",
        Fraction(),
    ),
    F(
        "CF-Q1",
        "detection",
        "density of stars",
        "true stars of the field brighter than population.stars.limit per area "
        "(without a limit: above the truth-side S/N cut)",
        "deg-2",
        Density(),
    ),
    F(
        "CF-B1",
        "deblending",
        "crowding error",
        "normalised median absolute deviation of 1.086 (F - F_isolated) / "
        "F_isolated "
        "of artificial stars, same noise: what neighbours and the sky add to the error of the flux; simulated sky only",
        "mag",
        Nmad(DM_EDGES),
    ),
    F("CF-B1.bias", "deblending", "crowding bias", "median of the same", "mag", Median(DM_EDGES), stored_as="CF-B1"),
    F(
        "CF-B1.excess",
        "deblending",
        "crowding error in quadrature",
        "normalised median absolute deviation of 1.086 "
        "(F - "
        "F_true) / F_true beyond that of the isolated rung, in quadrature",
        "mag",
        Nmad(DM_EDGES, against=quadrature),
    ),
    F(
        "CF-B1.rms",
        "deblending",
        "crowding error, standard deviation",
        "standard deviation of 1.086 (F - F_isolated) / "
        "F_isolated of artificial stars without a brighter star within 2 FWHM, on raw pixels; and of the analytic "
        "curve for "
        "the same stars",
        "mag",
        Deviation(),
    ),
    F(
        "CF-B1.failed",
        "deblending",
        "failed fluxes",
        "fraction of measured objects without a PSF flux, or with one that is not positive",
        "1",
        Fraction(),
    ),
    F(
        "CF-B2",
        "deblending",
        "flux partition bias",
        "median of 1.086 (F - F_isolated) / F_isolated of artificial stars "
        "with a star of comparable brightness (at least 0.3 of the flux) within 2 FWHM, simulated sky only",
        "mag",
        Median(DM_EDGES),
    ),
    F(
        "CF-B2.all",
        "deblending",
        "flux partition against distance",
        "the same, by the distance to the nearest star of comparable brightness in FWHM",
        "mag",
        Median(DM_EDGES),
    ),
    F(
        "CF-M1",
        "measurement",
        "magnitude bias",
        "median of the PSF magnitude minus the true one of artificial stars common to all rungs",
        "mag",
        Median(DM_EDGES),
    ),
    F(
        "CF-M1.nmad",
        "measurement",
        "magnitude scatter",
        "normalised median absolute deviation of the same",
        "mag",
        Nmad(DM_EDGES),
        stored_as="CF-M1",
    ),
    F(
        "CF-M1.own",
        "measurement",
        "magnitude bias of own selections",
        "median of the PSF magnitude minus the true "
        "one of "
        "the artificial stars that each rung has with a measured S/N above 10",
        "mag",
        Median(DM_EDGES),
        common="CF-M1",
    ),
    F(
        "CF-M1.astrometry",
        "measurement",
        "astrometric scatter",
        "normalised median absolute deviation of fitted minus true positions, both axes together",
        "mas",
        Nmad(MAS_EDGES),
    ),
    F(
        "CF-M1.pull",
        "measurement",
        "pull of the flux, median",
        "median of (F - F_true) / error",
        "1",
        Median(PULL_EDGES),
    ),
    F(
        "CF-M1.pull_width",
        "measurement",
        "pull of the flux, width",
        "normalised median absolute deviation of the same",
        "1",
        Nmad(PULL_EDGES),
        stored_as="CF-M1.pull",
    ),
    F(
        "CF-M1.pull_xy",
        "measurement",
        "pull of the position, median",
        "median of (x - x_true) / error, both axes together",
        "1",
        Median(PULL_EDGES),
    ),
    F(
        "CF-M1.pull_xy_width",
        "measurement",
        "pull of the position, width",
        "normalised median absolute deviation of the same",
        "1",
        Nmad(PULL_EDGES),
        stored_as="CF-M1.pull_xy",
    ),
    F(
        "CF-M1.repeat",
        "measurement",
        "photometric repeatability",
        "normalised median absolute deviation of 1086 "
        "(F - mean F) / mean F over the visits of a star, times the root of K / (K - 1) for K visits; artificial stars "
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
    F(
        "CF-M2",
        "measurement",
        "colour bias",
        "median of the measured minus the true colour, first band minus last band of the configuration",
        "mag",
        Median(DM_EDGES),
    ),
    F(
        "CF-M2.nmad",
        "measurement",
        "colour scatter",
        "normalised median absolute deviation of the same",
        "mag",
        Nmad(DM_EDGES),
        stored_as="CF-M2",
    ),
    F(
        "CF-M2.feh",
        "measurement",
        "metallicity bias of red-clump stars",
        f"{METALLICITY} dex per mag (slope of the "
        "relation of (u-i)0 and [Fe/H] [M: from memory, not verified]) times the median of the measured minus the true "
        "u-i of red-clump stars; where the bands are u and i",
        "dex",
        Median(FEH_EDGES),
    ),
    F(
        "CF-M2.feh_nmad",
        "measurement",
        "metallicity scatter of red-clump stars",
        "normalised median absolute deviation of the same",
        "dex",
        Nmad(FEH_EDGES),
        stored_as="CF-M2.feh",
    ),
)
