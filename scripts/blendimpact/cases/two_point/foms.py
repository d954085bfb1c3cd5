"""Figures of merit of weak-lensing shapes (ids WL-*)."""

import numpy as np

from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Median, Nmad, TrimmedMean
from ...stats.histograms import residual_edges
from ...stats.statistic import Density, Fraction, HarmonicMean, Offset, Ratio, Response, RmsRatio, Slope, relative

# An odd number of bins, so that no residual is the middle of a bin and not an edge.
RESIDUAL_EDGES = tuple(residual_edges(limit=5.0, scale=0.02, n_bins=401))
RESPONSE_EDGES = tuple(residual_edges(limit=100.0, scale=1.0, n_bins=1201))
PURITY_EDGES = tuple(np.round(np.linspace(0, 1, 401), 6))
CLASSES = ("isolated", "recognised", "unrecognised", "shredded", "missed")
BLENDEDNESS_EDGES = (0.0, 0.01, 0.05, 0.2, 1.0001)

FIGURES_OF_MERIT = (
    F(
        "WL-D1",
        "detection",
        "unrecognised-blend fraction",
        "detections with 23 < i < 24.5 that hold more true galaxies within 1 arcsec (i < 28, within 2.5 mag "
        "of the brightest of them) than there are detections within 1 arcsec",
        "1",
        Fraction(),
    ),
    F(
        "WL-D3.recall",
        "detection",
        "recall",
        "true sources above the truth-side S/N cut that are the brightest member of a detection",
        "1",
        Fraction(),
    ),
    F(
        "WL-D3.precision",
        "detection",
        "precision",
        "detections that hold at least one true source above the cut",
        "1",
        Fraction(),
    ),
    F(
        "WL-D3.f1",
        "detection",
        "F1 score",
        "harmonic mean of recall and of the precision without detections of stars and of the border",
        "1",
        HarmonicMean(),
    ),
    *(
        F(
            f"WL-D3.{c}",
            "detection",
            f"{c} sources",
            f"fraction of true sources whose blend outcome is {c}",
            "1",
            Fraction(),
        )
        for c in CLASSES
    ),
    F(
        "WL-D3.E",
        "detection",
        "efficiency matrix",
        "P(k detections | n true sources in a group that is linked "
        "within the match radius); the last n and k hold all that have more",
        "1",
        Fraction(),
    ),
    F(
        "WL-D3.spurious",
        "detection",
        "spurious detections",
        "fraction of detections without any true source above the cut",
        "1",
        Fraction(),
    ),
    F(
        "WL-D4",
        "detection",
        "ellipticity dispersion of unrecognised blends",
        "rms shape of detections that hold two or more true sources over that of detections that hold one",
        "1",
        RmsRatio(),
    ),
    F(
        "WL-B1",
        "deblending",
        "aperture flux residual, median",
        "median of (F - F_isolated) / F_isolated in the aperture, shape band",
        "1",
        Median(RESIDUAL_EDGES),
    ),
    F(
        "WL-B1.nmad",
        "deblending",
        "aperture flux residual, scatter",
        "normalised median absolute deviation of the same",
        "1",
        Nmad(RESIDUAL_EDGES),
        stored_as="WL-B1",
    ),
    F(
        "WL-B1.tail",
        "deblending",
        "aperture flux residual, tail",
        "fraction of sources with |F - F_isolated| / F_isolated > 0.1",
        "1",
        Fraction(),
    ),
    F(
        "WL-B1.colour",
        "deblending",
        "colour residual, median",
        "median change of the aperture colour of the first two bands against isolated",
        "mag",
        Median(RESIDUAL_EDGES),
    ),
    F(
        "WL-B1.failed",
        "deblending",
        "failed children",
        "fraction of measured objects whose child image the deblender could not make",
        "1",
        Fraction(),
    ),
    F(
        "WL-B3",
        "deblending",
        "ellipticity slope",
        "mu in e = (1 + mu) e_true + nu, e_true from the noiseless isolated image (adaptive moments, "
        "reduced-shear convention, not corrected for the PSF)",
        "1",
        Slope(),
    ),
    F(
        "WL-M1",
        "measurement",
        "shear response",
        "(<e>_+g - <e>_-g) / 2g of the sources common to all rungs, relative to isolated: the multiplicative bias m "
        "that the rung adds. Regularised moments under a Gaussian weight of fixed width (1.2 arcsec) on the centre",
        "1",
        Response(against=relative),
    ),
    F(
        "WL-M1.trimmed",
        "measurement",
        "shear response of the bulk of sources",
        "mean of each source's own "
        "(e_+g - e_-g) / 2g, 5 % cut off at either end, relative to isolated: robust against child images that flip "
        "between the twins, but without the blends that lose most, so not m",
        "1",
        TrimmedMean(RESPONSE_EDGES, against=relative),
    ),
    F(
        "WL-D2",
        "detection",
        "detection-induced shear bias",
        "response of the mean shape of each rung's own sample (measured S/N and magnitude cuts), relative to isolated "
        "galaxies; its detection term is what re-detection on sheared images adds",
        "1",
        Response(against=relative),
        common="WL-M1",
    ),
    F(
        "WL-M1.adaptive",
        "measurement",
        "shear response of adaptive moments",
        "the same of adaptive moments, for the sources that have them on every rung",
        "1",
        Response(against=relative),
    ),
    F(
        "WL-M1.failed",
        "measurement",
        "failed shapes",
        "fraction of measured objects without usable adaptive moments, at any S/N",
        "1",
        Fraction(),
    ),
    F("WL-M1.c1", "measurement", "additive shear bias c1", "mean of e1 over the +g and -g twins", "1", Offset()),
    F("WL-M1.c2", "measurement", "additive shear bias c2", "mean of e2 over the +g and -g twins", "1", Offset()),
    F(
        "WL-M2",
        "measurement",
        "effective number density (Chang)",
        "sum of s_e^2 / (s_e^2 + s_m^2) per area, s_e = 0.26, s_m the shape error of the rung's own sample",
        "arcmin-2",
        Density(),
    ),
    F(
        "WL-M2.unblended",
        "measurement",
        "effective number density without serious blends",
        "the same without sources whose blendedness exceeds 0.2",
        "arcmin-2",
        Density(),
    ),
    F(
        "WL-Q1",
        "measurement",
        "5-sigma depth",
        "5-sigma point-source depth measured on the noise of the patches",
        "mag",
        Ratio(),
    ),
    F(
        "WL-Q2",
        "detection",
        "detectable sources",
        "true galaxies above the truth-side S/N cut per area",
        "arcmin-2",
        Density(),
    ),
    F(
        "WL-N4",
        "detection",
        "close pairs",
        "galaxies with 23.5 < i < 24.5 that have another true galaxy within 1 arcsec, no more than 2.5 mag fainter",
        "1",
        Fraction(),
    ),
    F(
        "WL-N4.formula",
        "detection",
        "close pairs of a Poisson field",
        "the same expected of a Poisson field with the observed galaxy counts",
        "1",
        Ratio(),
    ),
    F(
        "WL-P1",
        "measurement",
        "sources with foreign light",
        "fraction of detectable galaxies (isolated S/N > 6) with blendedness > 1 %",
        "1",
        Fraction(),
    ),
    F("WL-P2", "measurement", "median purity", "median purity of detectable galaxies", "1", Median(PURITY_EDGES)),
)
