"""Figures of merit of comets (CO-*)."""

from ...stats.detection_statistics import FALSE_POSITIVES, AreaUnderCurve, Negatives, TruePositives
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Median, Nmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Contrast, Fraction
from .foms import AROUND, DENSE, DM_EDGES, EACH, FORCED, RECOVERED, SURE

SHARE_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0001)  # of a comet's light that is its nucleus
ACTIVITY_EDGES = tuple(residual_edges(limit=100.0, scale=0.2, n_bins=401))

FIGURES_OF_MERIT = (
    F(
        "CO-D1",
        "detection",
        "comets told from points",
        f"fraction of comets whose activity E = 1 - F_psf / F_ap "
        f"exceeds what {FALSE_POSITIVES[0]:.0%} of the supernovae of the same rung exceed; isolated S/N above 10, "
        "common to all rungs",
        "1",
        TruePositives(ACTIVITY_EDGES, FALSE_POSITIVES[0]),
    ),
    F(
        "CO-D1.forced",
        "detection",
        "comets told from points, at true places",
        "the same of all comets and supernovae, found or not",
        "1",
        TruePositives(ACTIVITY_EDGES, FALSE_POSITIVES[0]),
        fixed=True,
    ),
    *(
        F(
            f"CO-D1.fpr{round(100 * share)}",
            "detection",
            "comets told from points",
            f"as CO-D1, where {share:.0%} of the supernovae are taken for active",
            "1",
            TruePositives(ACTIVITY_EDGES, share),
            stored_as="CO-D1.curve",
        )
        for share in FALSE_POSITIVES[1:]
    ),
    F(
        "CO-D1.negatives",
        "detection",
        "points that set the threshold",
        "number of the supernovae of CO-D1",
        "1",
        Negatives(ACTIVITY_EDGES),
        stored_as="CO-D1.curve",
    ),
    F(
        "CO-D1.auc",
        "detection",
        "area under the detection curve",
        "chance that a comet of CO-D1 has a larger activity than a supernova",
        "1",
        AreaUnderCurve(ACTIVITY_EDGES),
        stored_as="CO-D1.curve",
    ),
    F(
        "CO-D1.lost",
        "detection",
        "comets lost",
        f"fraction of comets ({SURE}) that are not recovered: {RECOVERED}",
        "1",
        Fraction(),
    ),
    F(
        "CO-D1.dense",
        "detection",
        "comets lost among many galaxies",
        f"CO-D1.lost where {DENSE:g} or more galaxies per "
        f"arcmin2 lie around a comet minus CO-D1.lost where fewer do: {AROUND}",
        "1",
        Contrast(),
    ),
    F(
        "CO-B1",
        "deblending",
        "nucleus bias",
        "median of the fitted over the true flux of the nucleus, minus 1, of "
        f"comets with isolated S/N above 10 and at least a fifth of their light in the nucleus, {FORCED}, split on "
        f"{EACH}; not of real comae",
        "1",
        Median(DM_EDGES),
        fixed=True,
    ),
    F(
        "CO-B1.nmad",
        "deblending",
        "nucleus scatter",
        "normalised median absolute deviation of the same",
        "1",
        Nmad(DM_EDGES),
        fixed=True,
        stored_as="CO-B1",
    ),
    F(
        "CO-B1.afrho",
        "deblending",
        "Afrho bias",
        "median of the fitted over the true flux of the coma, minus 1, which "
        "is that of Afrho, of comets with isolated S/N above 10 and at least a fifth of their light in the coma, "
        f"{FORCED}, split on {EACH}",
        "1",
        Median(DM_EDGES),
        fixed=True,
    ),
    F(
        "CO-B1.afrho_nmad",
        "deblending",
        "Afrho scatter",
        "normalised median absolute deviation of the same",
        "1",
        Nmad(DM_EDGES),
        fixed=True,
        stored_as="CO-B1.afrho",
    ),
    F(
        "CO-B1.failed",
        "deblending",
        "failed splits",
        f"fraction of comets with isolated S/N above 10 without a nucleus or a coma, {FORCED}",
        "1",
        Fraction(),
        fixed=True,
    ),
    F(
        "CO-M1",
        "measurement",
        "comet flux bias",
        "median of -1.086 (F - F_alone) / F_alone of the aperture flux of "
        "comets, F_alone the noiseless comet's in the same aperture, common to all rungs, isolated S/N above 10",
        "mag",
        Median(DM_EDGES),
    ),
)
