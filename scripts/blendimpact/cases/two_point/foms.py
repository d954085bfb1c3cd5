"""Figures of merit of weak-lensing shapes (ids WL-*)."""

import numpy as np

from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Median, PairedMedian, PairedNmad, TrimmedMean
from ...stats.histograms import residual_edges
from ...stats.statistic import Density, Fraction, HarmonicMean, Mean, Offset, Ratio, Response, RmsRatio, Slope, relative
from ...stats.swapped import Merging, SwappedLists

# An odd number of bins, so that no residual is the middle of a bin and not an edge.
RESIDUAL_EDGES = tuple(residual_edges(limit=5.0, scale=0.02, n_bins=401))
RESPONSE_EDGES = tuple(residual_edges(limit=100.0, scale=1.0, n_bins=1201))
PURITY_EDGES = tuple(np.round(np.linspace(0, 1, 401), 6))
CLASSES = ("isolated", "recognised", "unrecognised", "shredded", "missed")
FLUX_BOUND = 0.5
"""Residuals of flux, and of colour in mag, beyond it count as it."""
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
        "WL-D2",
        "detection",
        "detection-induced shear bias",
        "shear response of centres detected anew on each sheared image over that of the same centres carried through "
        "the shear, minus 1: same pixels, same estimator (weighted moments), exact children, all detections but stars, "
        "no further cut: most are faint, so the value depends on the constant of the estimator",
        "1",
        SwappedLists(),
    ),
    F(
        "WL-D2.cuts",
        "detection",
        "detection-induced shear bias with a cut on S/N",
        "the same of detections with an S/N of 10 under the weight of the estimator on the image that they were "
        "detected on: with the selection by S/N",
        "1",
        SwappedLists(),
    ),
    F(
        "WL-D2.bright",
        "detection",
        "detection-induced shear bias of the lensing sample",
        "the same of detections whose brightest source is in the lensing sample by truth (magnitude and isolated S/N): "
        "no cut on what is measured",
        "1",
        SwappedLists(),
    ),
    F(
        "WL-D2.deblended",
        "detection",
        "detection-induced shear bias with the deblender",
        "the same on children of the deblender, which is run on the carried centres too",
        "1",
        SwappedLists(),
    ),
    F(
        "WL-D2.raw",
        "detection",
        "detection-induced shear bias on raw pixels",
        "the same without any deblending",
        "1",
        SwappedLists(),
    ),
    F(
        "WL-D2.merging",
        "detection",
        "response of detections over that of true sources",
        "response of detections that are carried over that of their brightest source alone at its true centre, minus "
        "1 (exact children): what the centres of detections, the light that no detection holds and unrecognised blends "
        "do together",
        "1",
        Merging(),
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
        "aperture flux residual",
        f"mean of (F - F_isolated) / F_isolated in the aperture, shape band, each within +-{FLUX_BOUND}",
        "1",
        Mean(bound=FLUX_BOUND),
    ),
    F(
        "WL-B1.median",
        "deblending",
        "aperture flux residual, median of the changes",
        "median over sources of what the stage changes of (F - F_isolated) / F_isolated",
        "1",
        PairedMedian(RESIDUAL_EDGES),
        stored_as="WL-B1.paired",
    ),
    F(
        "WL-B1.nmad",
        "deblending",
        "aperture flux residual, scatter of the changes",
        "normalised median absolute deviation of the same changes",
        "1",
        PairedNmad(RESIDUAL_EDGES),
        stored_as="WL-B1.paired",
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
        "colour residual",
        f"mean change of the aperture colour of the first two bands against isolated, each within +-{FLUX_BOUND} mag",
        "mag",
        Mean(bound=FLUX_BOUND),
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
        "reduced-shear convention, not corrected for the PSF); of ring pairs, e is half the difference of a source and "
        "of itself turned by 90 degrees",
        "1",
        Slope(),
    ),
    F(
        "WL-M1",
        "measurement",
        "shear response",
        "(<e>_+g - <e>_-g) / 2g of the sources of each sample, relative to isolated: the multiplicative bias m "
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
