"""Figures of merit of photometric redshifts (ids PZ-*)."""

from operator import sub

from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Median, Nmad, PairedNmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Count, Fraction, Mean

DZ_EDGES = tuple(residual_edges(limit=3.0, scale=0.01, n_bins=401))
COLOUR_EDGES = tuple(residual_edges(limit=5.0, scale=0.02, n_bins=401))
COLOUR_BOUND = 0.5
"""Changes of a colour, mag, beyond it count as it."""
DZ_BOUND = 1.0
"""Errors dz / (1 + z) beyond it count as it."""
OUTLIER = 0.15
FROZEN_LEAST, FROZEN_SIGMAS = 0.06, 3.0
"""Outliers by the usual rule, |dz'| > max(0.06, 3 sigma), with the sigma of isolated galaxies."""
REDSHIFT_BOUND = 2.0
"""No redshift of the galaxies over 1 + that of its bin is beyond it."""
MIXED_SHARE, MIXED_DZ = 0.1, 0.1
"""Of a detection that mixes redshifts: least share of its light that the second member has, least |dz| / (1 + z)."""

FIGURES_OF_MERIT = (
    F(
        "PZ-D1",
        "detection",
        "redshift-mixed detections",
        f"detections of galaxies with i < 25.3 (true light of all members) whose second member has at least "
        f"{100 * MIXED_SHARE:.0f} % of the light and differs by more than {MIXED_DZ} (1 + z) in redshift",
        "1",
        Fraction(),
    ),
    F(
        "PZ-D2",
        "detection",
        "catalogue blends",
        f"galaxies with i < 25.3 that have another of at least {MIXED_SHARE} of their flux in their group of friends "
        "(1 arcsec, all that can be detected)",
        "1",
        Fraction(),
    ),
    F(
        "PZ-D2.pixels",
        "detection",
        "pixel blends",
        "the same galaxies, that share a detection with such another",
        "1",
        Fraction(),
    ),
    F(
        "PZ-D2.invented",
        "detection",
        "invented blends",
        "catalogue blends that the detector tells apart",
        "1",
        Fraction(),
    ),
    F("PZ-D2.missed", "detection", "missed blends", "pixel blends that are no catalogue blends", "1", Fraction()),
    F(
        "PZ-D3",
        "detection",
        "outliers that blends add",
        f"fraction of galaxies with |dz'| > {OUTLIER} minus that of the same galaxies isolated, of those that are the "
        "brightest of a group of friends and of a detection",
        "1",
        Mean(bound=1.0, against=sub),
    ),
    F(
        "PZ-D3.bin",
        "detection",
        "mean redshift that blends shift",
        "mean redshift of dominant members in a tomographic bin minus that of the same galaxies isolated, over 1 + z",
        "1",
        Mean(bound=REDSHIFT_BOUND, against=sub),
    ),
    F(
        "PZ-D3.members",
        "detection",
        "mean redshift that blends shift, of all members",
        "the same, each object with the mean redshift of its members weighted by flux",
        "1",
        Mean(bound=REDSHIFT_BOUND, against=sub),
    ),
    F(
        "PZ-B1",
        "deblending",
        "colour bias",
        f"mean change of a colour (all: g - i) against isolated, asinh magnitudes, each within +-{COLOUR_BOUND} mag",
        "mag",
        Mean(bound=COLOUR_BOUND),
    ),
    F(
        "PZ-B1.scatter",
        "deblending",
        "colour scatter that is added",
        "normalised median absolute deviation of what the stage changes of g - i",
        "mag",
        PairedNmad(COLOUR_EDGES),
    ),
    F(
        "PZ-M1.outliers",
        "measurement",
        "photo-z outliers",
        f"fraction with |dz'| > {OUTLIER}, dz' = (z_phot - z) / (1 + z), z that of the dominant member",
        "1",
        Fraction(),
    ),
    F(
        "PZ-M1.frozen",
        "measurement",
        "photo-z outliers beyond 3 sigma of isolated galaxies",
        f"fraction with |dz'| > max({FROZEN_LEAST}, {FROZEN_SIGMAS:g} sigma), sigma the scatter of isolated galaxies",
        "1",
        Fraction(),
    ),
    F("PZ-M1.bias", "measurement", "photo-z bias", "median of dz'", "1", Median(DZ_EDGES), stored_as="PZ-M1.dz"),
    F(
        "PZ-M1.scatter",
        "measurement",
        "photo-z scatter",
        "normalised median absolute deviation of dz'",
        "1",
        Nmad(DZ_EDGES),
        stored_as="PZ-M1.dz",
    ),
    F(
        "PZ-M1.mean",
        "measurement",
        "mean photo-z error",
        f"mean of dz', each within +-{DZ_BOUND:g}",
        "1",
        Mean(bound=DZ_BOUND),
    ),
    F(
        "PZ-M1.added",
        "measurement",
        "photo-z scatter that is added",
        "normalised median absolute deviation of what the stage changes of dz'",
        "1",
        PairedNmad(DZ_EDGES),
    ),
    F(
        "PZ-M1.covered",
        "measurement",
        "coverage of p(z)",
        "fraction of true redshifts between the quantiles at 16 and 84 % of p(z): 0.68 where it is calibrated",
        "1",
        Fraction(),
    ),
    F(
        "PZ-M2",
        "measurement",
        "mean redshift of tomographic bins",
        "mean redshift of the dominant members, over 1 + that of the bin; bins by the estimate, edges of isolated ones",
        "1",
        Mean(bound=REDSHIFT_BOUND),
    ),
    F(
        "PZ-M2.members",
        "measurement",
        "mean redshift of tomographic bins, of all members",
        "the same, each object with the mean redshift of its members weighted by flux",
        "1",
        Mean(bound=REDSHIFT_BOUND),
    ),
    F(
        "PZ-M2.accuracy",
        "measurement",
        "objects in the right bin",
        "fraction whose estimate is in the tomographic bin of the true redshift",
        "1",
        Fraction(),
    ),
    F(
        "PZ-M1.cells",
        "measurement",
        "estimated against true redshift",
        "objects in cells of true redshift (first) and estimate, each 0.1 wide",
        "1",
        Count(),
    ),
)
