"""Figures of merit of crowded stellar fields (ids CF-*)."""

import numpy as np

from ...stats.crowding import DeviationRatio
from ...stats.figures_of_merit import CROWDED
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import CrowdingLimit, Falling, Median, Nmad, PairedMedian, PairedNmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Count, Density, Deviation, Fraction, Mean, Ratio, quadrature
from .repeat_foms import PULL_EDGES, REPEAT_FIGURES

FOUND_RADIUS, FOUND_DM = 0.5, 0.75  # arcsec, mag: the usual test of artificial stars
BRIGHT_SNR = 10.0  # isolated S/N of the stars of which more is asked than whether they are found
BOUND = FOUND_DM  # mag: what goes further wrong counts as this, and as lost in CF-D1
CURVE_BOUND = 0.3  # mag: of errors that are compared with the analytic curve, so that no five stars hold the variance
MAG = 2.5 / np.log(10)  # magnitudes per relative error, to first order: also of fluxes that are not positive
AXES = ("x", "y")
MAGNITUDE_EDGES = tuple(np.arange(8.0, 28.01, 0.5))  # of completeness curves and of the counts of stars
MAGNITUDE_STRATA = (8.0, 14.0, 16.0, 18.0, 20.0, 21.0, 22.0, 23.0, 24.0, 28.0)
SEPARATION_EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 1e9)  # in full widths of the PSF
RATIO_EDGES = (0.3, 0.6, 1.0, 2.0, 5.0, 1e9)  # flux of the neighbour over the star's
COLOUR_EDGES = tuple(np.arange(-1.0, 5.01, 0.25))
CMD_EDGES = tuple(np.arange(8.0, 28.01, 0.5))
# An odd number of bins, so that no residual is the middle of a bin and not an edge.
DM_EDGES = tuple(residual_edges(limit=10.0, scale=0.01, n_bins=301))
MAS_EDGES = tuple(residual_edges(limit=1e3, scale=5.0, n_bins=201))
METALLICITY = 0.563
"""d[Fe/H] / d(u-i)0 of red-clump stars, dex per mag: the relation [Fe/H] = 0.563 (u-i)0 - 2.074 of the Blanco DECam
Bulge Survey (Johnson et al. 2020), from memory and not verified [M]. It gives -1.00 for the red clump of the isochrone
that stars are drawn from, which has [Fe/H] = -1; that is one point of the relation, not its slope."""
FOUND = f"a detection within {FOUND_RADIUS:g} arcsec whose magnitude is within {FOUND_DM:g} mag of the true one"

FIGURES_OF_MERIT = (
    F(
        "CF-D1",
        "detection",
        "completeness lost to crowding",
        "fraction of stars (isolated S/N > 10, found by the same detector on empty sky) that are lost, where recovered "
        f"is: {FOUND}; at true centres by the magnitude alone",
        "1",
        Fraction(),
    ),
    F(
        "CF-D1.all",
        "detection",
        "completeness",
        "fraction of all stars that are recovered; those below the truth-side S/N cut count as missed",
        "1",
        Fraction(),
    ),
    F(
        "CF-D1.m50",
        "detection",
        "magnitude of 50 % completeness",
        "where the fraction of all stars that are recovered falls through 50 %",
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
        "simulated sky: fraction of detections without a true star within 0.5 arcsec and 0.75 mag; real image with "
        "several realisations: of the detections that artificial stars bring, those that are not these stars",
        "1",
        Fraction(),
    ),
    F(
        "CF-D1.lf",
        "detection",
        "luminosity function",
        "detections in a bin of measured magnitude over true stars in the same bin of true magnitude, simulated sky "
        "only",
        "1",
        Ratio(),
    ),
    F(
        "CF-D1.cmd",
        "detection",
        "colour-magnitude diagram",
        "stars per cell of colour (first band minus shape band) and magnitude: true ones, and detections as measured; "
        "simulated sky, fiducial scenario",
        "1",
        Count(),
    ),
    F(
        "CF-D1.repeat",
        "detection",
        "stars measured in every visit",
        "fraction of stars with isolated S/N > 10 that have a PSF flux and position in all visits of their block; "
        "where the sky has repeat visits",
        "1",
        Fraction(),
    ),
    F(
        "CF-D2",
        "detection",
        "split parents",
        "fraction of stars whose parent has more stars than the deblender fits at once",
        "1",
        Fraction(),
    ),
    F(
        "CF-Q1",
        "detection",
        "density of stars",
        "true stars, of the field and artificial ones, brighter than population.stars.limit per area (without a limit: "
        "above the truth-side S/N cut)",
        "deg-2",
        Density(),
    ),
    F(
        "CF-Q2",
        "detection",
        "artificial stars",
        "part of the stars that are artificial: on simulated sky of all to population.stars.limit, on a real image of "
        "the sources known there",
        "1",
        Fraction(),
    ),
    F(
        "CF-Q2.light",
        "detection",
        "light of artificial stars",
        "the same of the light of these stars, without artificial ones",
        "1",
        Ratio(),
    ),
    F(
        "CF-B1",
        "deblending",
        "crowding error",
        "normalised median absolute deviation of the change of 1.086 F / F_true of each star from rung to rung, same "
        "noise: what neighbours (photons), the sky estimate and the deblender add to the error of the flux; simulated "
        "sky only",
        "mag",
        PairedNmad(DM_EDGES),
    ),
    F(
        "CF-B1.bias",
        "deblending",
        "crowding bias",
        "median of the same",
        "mag",
        PairedMedian(DM_EDGES),
        stored_as="CF-B1",
    ),
    F(
        "CF-B1.excess",
        "deblending",
        "crowding error in quadrature",
        "normalised median absolute deviation of 1.086 (F - F_true) / F_true beyond that of the isolated rung, in "
        "quadrature",
        "mag",
        Nmad(DM_EDGES, against=quadrature),
        stored_as="CF-M1.nmad",
    ),
    F(
        "CF-B1.rms",
        "deblending",
        "crowding error, standard deviation",
        f"standard deviation of 1.086 (F - F_isolated) / F_isolated, bounded at {CURVE_BOUND:g}, of stars without a "
        "brighter star within 2 FWHM, on raw pixels; and of the light, less its mean, that the same stars of the field "
        "have in the beam of the PSF fit, and in the disc of the analytic curve, bounded alike",
        "mag",
        Deviation(),
    ),
    F(
        "CF-B1.curve",
        "deblending",
        "crowding error over Campbell's theorem",
        "the first of these over the second",
        "1",
        DeviationRatio(),
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
        f"mean of 1.086 (F - F_isolated) / F_isolated, bounded at {BOUND:g}, of stars with a star of comparable "
        "brightness (at least 0.3 of the flux) within 2 FWHM, simulated sky only",
        "mag",
        Mean(bound=BOUND),
    ),
    F(
        "CF-B2.all",
        "deblending",
        "flux partition against distance",
        "the same of all, by the distance to the nearest star of comparable brightness in FWHM",
        "mag",
        Mean(bound=BOUND),
    ),
    F(
        "CF-M1",
        "measurement",
        "magnitude bias",
        f"mean of 1.086 (F_true - F) / F_true, the PSF magnitude minus the true one to first order, bounded at "
        f"{BOUND:g}, of stars with isolated S/N > 10",
        "mag",
        Mean(bound=BOUND),
    ),
    F(
        "CF-M1.median",
        "measurement",
        "magnitude bias, median",
        "median of 1.086 (F - F_true) / F_true: bright is positive",
        "mag",
        Median(DM_EDGES),
        stored_as="CF-M1.nmad",
    ),
    F(
        "CF-M1.nmad",
        "measurement",
        "magnitude scatter",
        "normalised median absolute deviation of the same",
        "mag",
        Nmad(DM_EDGES),
    ),
    F(
        "CF-M1.own",
        "measurement",
        "magnitude bias of own selections",
        "CF-M1 of the stars that each rung has with a measured S/N above 10",
        "mag",
        Mean(bound=BOUND),
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
        "median of (F - F_true) / error; the error is that of the deblender's fit where there is one",
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
    *REPEAT_FIGURES,
    F(
        "CF-M2",
        "measurement",
        "colour bias",
        f"mean of the measured minus the true colour, bounded at {BOUND:g}, first band minus last band of the "
        "configuration",
        "mag",
        Mean(bound=BOUND),
    ),
    F(
        "CF-M2.nmad",
        "measurement",
        "colour scatter",
        "normalised median absolute deviation of the same",
        "mag",
        Nmad(DM_EDGES),
    ),
    F(
        "CF-M2.feh",
        "measurement",
        "metallicity bias of red-clump stars",
        f"{METALLICITY} dex per mag (slope of the relation of (u-i)0 and [Fe/H] [M: from memory, not verified]) times "
        "the mean of the measured minus the true u-i of red-clump stars; where the bands are u and i",
        "dex",
        Mean(bound=METALLICITY * BOUND),
    ),
)
