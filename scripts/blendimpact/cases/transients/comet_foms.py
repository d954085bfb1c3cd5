"""Figures of merit of comets (CO-*)."""

from ...stats.detection_statistics import FALSE_POSITIVES, AreaUnderCurve, Missed, Negatives, TruePositives
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import PairedNmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Contrast, Fraction, Mean
from .foms import AROUND, DENSE, RECOVERED, SURE

FALSE = 0.05
"""Share of the asteroids that are taken for comets at the threshold of CO-D1."""
SHARE_EDGES = (0.0, 0.05, 0.2, 0.5, 1.0001)  # of a comet's light that is its nucleus
ACTIVITY_EDGES = tuple(residual_edges(limit=100.0, scale=0.2, n_bins=401))
PAIRED_EDGES = tuple(residual_edges(limit=100.0, scale=0.02, n_bins=301))
DM_BOUND, PART_BOUND = 0.5, 0.5
"""Beyond these an error of a flux (mag), and one of a part, of dust or of a slope, counts as this large."""
WHERE = 'those anywhere; "place:" strata: comet, comet_beside (over or beside a static source), coma_9p (a real coma)'
SPLIT = "at true places, of comets with isolated S/N above 10; nucleus, coma, its slope and extent are fitted"

FIGURES_OF_MERIT = (
    F(
        "CO-D1",
        "detection",
        "comets taken for asteroids",
        f"fraction of comets whose activity E = 1 - c F_line / F_ap is below what {FALSE:.0%} of the asteroids of the "
        "same rung exceed; F_line is that of the trail, or point, that fits best; isolated S/N above 10; anywhere, "
        'against asteroids anywhere; "place:comet_beside": beside static sources, against such asteroids',
        "1",
        Missed(ACTIVITY_EDGES, FALSE),
    ),
    *(
        F(
            f"CO-D1.fpr{round(100 * share)}",
            "detection",
            "comets told from asteroids",
            f"fraction of the comets of CO-D1 that are told where {share:.0%} of the asteroids are taken for active",
            "1",
            TruePositives(ACTIVITY_EDGES, share),
            stored_as="CO-D1.curve",
        )
        for share in FALSE_POSITIVES
    ),
    F(
        "CO-D1.negatives",
        "detection",
        "asteroids that set the threshold",
        "number of the asteroids of CO-D1",
        "1",
        Negatives(ACTIVITY_EDGES),
        stored_as="CO-D1.curve",
    ),
    F(
        "CO-D1.auc",
        "detection",
        "area under the detection curve",
        "chance that a comet of CO-D1 has a larger activity than an asteroid",
        "1",
        AreaUnderCurve(ACTIVITY_EDGES),
        stored_as="CO-D1.curve",
    ),
    F(
        "CO-D1.lost",
        "detection",
        "comets lost",
        f"fraction of comets ({SURE}) that are not recovered: {RECOVERED}; {WHERE}",
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
        "mean of the fitted minus the true flux of the nucleus, over the true light of nucleus and coma within 3 "
        f"arcsec, within {PART_BOUND:g}; {SPLIT}; {WHERE}",
        "1",
        Mean(bound=PART_BOUND),
        fixed=True,
    ),
    F(
        "CO-B1.nmad",
        "deblending",
        "what blending does to a nucleus",
        "normalised median absolute deviation of the paired differences of the same of two rungs",
        "1",
        PairedNmad(PAIRED_EDGES),
        fixed=True,
    ),
    F(
        "CO-B1.afrho",
        "deblending",
        "Afrho bias",
        f"mean of the fitted over the true flux of the coma within 3 arcsec, minus 1, which is that of Afrho, within "
        f"{PART_BOUND:g}; {SPLIT}; {WHERE}",
        "1",
        Mean(bound=PART_BOUND),
        fixed=True,
    ),
    F(
        "CO-B1.afrho_nmad",
        "deblending",
        "what blending does to Afrho",
        "normalised median absolute deviation of the paired differences of the same of two rungs",
        "1",
        PairedNmad(PAIRED_EDGES),
        fixed=True,
    ),
    F(
        "CO-B1.slope",
        "deblending",
        "bias of the coma's slope",
        f"mean of the fitted minus the true exponent of the coma's brightness, within {PART_BOUND:g}; {SPLIT}; {WHERE}",
        "1",
        Mean(bound=PART_BOUND),
        fixed=True,
    ),
    F(
        "CO-B1.failed",
        "deblending",
        "failed splits",
        "fraction of comets with isolated S/N above 10 without a nucleus or a coma, at true places",
        "1",
        Fraction(),
        fixed=True,
    ),
    F(
        "CO-M1",
        "measurement",
        "comet flux bias",
        f"mean of -1.086 (F - F_alone) / F_alone, within {DM_BOUND:g} mag, of the aperture flux of comets, F_alone the "
        f"noiseless comet's in the same aperture; isolated S/N above 10; {WHERE}",
        "mag",
        Mean(bound=DM_BOUND),
    ),
)
