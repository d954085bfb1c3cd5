"""Figures of merit of difference imaging: supernovae (TR-*), and what those of asteroids and comets share."""

from ...data.transient_geometry import THRESHOLD
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.histogram_statistics import Falling, Median, Nmad, PairedMedian, PairedNmad, Rising
from ...stats.histograms import residual_edges
from ...stats.statistic import Contrast, Density, ExcessChi2, Fraction, Mean, Rate
from .places import CROWD_MAG, CROWD_RADIUS

SNR_EDGES = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 25.0, 50.0, 1e9)  # isolated S/N
THRESHOLDS = (4.0, 4.5, 5.0, 5.5, 6.0)
SB_EDGES = (12.0, 18.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 27.0, 40.0)  # mag per arcsec2, with the PSF
MAGNITUDE_EDGES = (14.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 28.0)
DEPTH_EDGES = (14.0, *(20.0 + 0.5 * k for k in range(17)), 32.0)  # AB, of the efficiency curve
DISTANCE_EDGES = (0.0, 1.0, 2.0, 3.0, 5.0, 1e9)  # from the nearest static source, in FWHM
GALAXY_EDGES = (0.0, 5.0, 15.0, 30.0, 1e9)  # per arcmin2: about 0, 1, 2 and more within 10 arcsec
DENSE = GALAXY_EDGES[2]
CONTRAST_EDGES = (0.0, 0.1, 0.5, 1.0, 3.0, 10.0, 1e9)  # static light in a point's filter over the transient's own
BESIDE_EDGES = (10.0, 18.0, 20.0, 22.0, 24.0)  # AB, of static sources beside which candidates lie
BOUND = 0.3
"""Mag: errors of the magnitudes of supernovae beyond it count as it."""
PLACES = ("hosted", "nuclear", "hostless")
# Odd numbers of bins: no residual is the middle of a bin and not an edge.
DM_EDGES = tuple(residual_edges(limit=10.0, scale=0.02, n_bins=301))
PULL_EDGES = tuple(residual_edges(limit=1e3, scale=2.0, n_bins=201))
MAS_EDGES = tuple(residual_edges(limit=1e4, scale=5.0, n_bins=201))
CHI2_EDGES = tuple(residual_edges(limit=1e5, scale=0.1, n_bins=301))
ABOVE = f"above the threshold of the search ({THRESHOLD:g} sigma unless it is configured)"
RECOVERED = (
    f"with a real search a candidate {ABOVE} within match_radius, and everywhere a flux within 0.75 mag "
    "of what the noiseless source alone has in the same filter"
)
SURE = "isolated S/N above 6, found by the same search on empty sky"
AROUND = (
    f"true galaxies brighter than {CROWD_MAG:g} within {CROWD_RADIUS:g} arcsec of its place or line, per area; "
    "simulated sky alone"
)
FORCED, EACH = "at true places", "each rung of true places but raw pixels"

FIGURES_OF_MERIT = (
    F(
        "TR-D1",
        "detection",
        "supernovae lost at S/N 6",
        f"fraction of supernovae of isolated S/N from 5.5 to 6.5 (strata: all by S/N) that are lost: at true places "
        f"where the S/N there is not {ABOVE}, with a real search where no candidate is; and where the flux is not "
        "within 0.75 mag of what the noiseless source alone has",
        "1",
        Fraction(),
    ),
    F(
        "TR-D1.efficiency",
        "detection",
        "efficiency of the search",
        f"fraction of supernovae, by isolated S/N, with a positive candidate {ABOVE} within match_radius; every "
        "difference is searched, so the rungs differ by the difference alone",
        "1",
        Fraction(),
        fixed=True,
    ),
    F(
        "TR-D1.snr50",
        "detection",
        "S/N of 50 % efficiency",
        "where that efficiency last rises through 50 %, linear between the middles of bins, no fit",
        "1",
        Rising(SNR_EDGES, 0.5),
        stored_as="TR-D1.curve",
        fixed=True,
    ),
    F(
        "TR-D1.m50",
        "detection",
        "magnitude of 50 % efficiency",
        "where that efficiency last falls through 50 % with the magnitude, linear between the middles of bins, no fit",
        "mag",
        Falling(DEPTH_EDGES, 0.5),
        stored_as="TR-D1.m",
        fixed=True,
    ),
    F(
        "TR-D1.bright",
        "detection",
        "efficiency above S/N 6",
        "that efficiency for isolated S/N above 6",
        "1",
        Fraction(),
        fixed=True,
    ),
    F(
        "TR-D1.at6",
        "detection",
        "efficiency at S/N 6",
        "that efficiency for isolated S/N from 5.5 to 6.5",
        "1",
        Fraction(),
        fixed=True,
    ),
    F(
        "TR-D1.contrast",
        "detection",
        "hosted minus hostless",
        "that efficiency for isolated S/N above 5, of supernovae on hosts (nuclear ones apart) minus hostless ones",
        "1",
        Contrast(),
        fixed=True,
    ),
    F(
        "TR-D2",
        "detection",
        "spurious candidates",
        f"candidates of either sign of the point filter {ABOVE} "
        "(strata: other thresholds; beside a static source of a magnitude, 24-99: beside none to 24 mag) "
        "that no transient and no variable star explains, per area not near one",
        "deg-2",
        Rate(),
        fixed=True,
    ),
    F(
        "TR-D2.kaiser",
        "detection",
        "spurious candidates of noise alone",
        "Kaiser's rate, both signs, for the noise of the same difference and the same area",
        "deg-2",
        Density(),
        fixed=True,
    ),
    F(
        "TR-D2.positive",
        "detection",
        "positive spurious candidates",
        "fraction of the spurious candidates that are positive: 1/2 for noise",
        "1",
        Fraction(),
        fixed=True,
    ),
    F(
        "TR-D2.bank",
        "detection",
        "spurious candidates of the whole bank",
        "as TR-D2, in points, trails and comae together",
        "deg-2",
        Rate(),
        fixed=True,
    ),
    F(
        "TR-Q1",
        "detection",
        "density of static sources",
        "true static sources with isolated S/N of at least truth_snr per area",
        "arcmin-2",
        Density(),
    ),
    F(
        "TR-B1",
        "deblending",
        "residual on static galaxies",
        "mean of D^2 / V in discs of 1 arcsec radius on galaxies away from transients, minus 1",
        "1",
        ExcessChi2(),
        fixed=True,
    ),
    F(
        "TR-B1.median",
        "deblending",
        "residual on static galaxies, median",
        "median of the same over galaxies",
        "1",
        Median(CHI2_EDGES),
        fixed=True,
    ),
    F(
        "TR-B1.stars",
        "deblending",
        "residual on stars",
        "as TR-B1, on stars that do not vary",
        "1",
        ExcessChi2(),
        fixed=True,
    ),
    F(
        "TR-B2",
        "deblending",
        "wrong host",
        "fraction of supernovae on galaxies, of those that have a galaxy within 4 "
        "directional light radii, whose nearest in these radii is not the host: of the true galaxies that the template "
        "can show (oracle), of what is found on it (pipeline)",
        "1",
        Fraction(),
    ),
    F(
        "TR-B2.none",
        "deblending",
        "no host",
        "fraction of supernovae on galaxies without any within 4 directional light radii, of the same catalogues",
        "1",
        Fraction(),
    ),
    F(
        "TR-B2.given",
        "deblending",
        "host of the hostless",
        "fraction of hostless supernovae with a galaxy within 4 directional light radii, of the same catalogues",
        "1",
        Fraction(),
    ),
    F(
        "TR-M1",
        "measurement",
        "magnitude bias",
        "mean of -1.086 (F - F_true) / F_true of the PSF flux, which counts as 0.3 mag beyond that; supernovae of "
        "isolated S/N above 10",
        "mag",
        Mean(bound=BOUND),
    ),
    F(
        "TR-M1.median",
        "measurement",
        "magnitude bias, median of differences",
        "median over supernovae of the difference of the same between rungs",
        "mag",
        PairedMedian(DM_EDGES),
    ),
    F(
        "TR-M1.nmad",
        "measurement",
        "magnitude scatter, of differences",
        "normalised median absolute deviation of these differences: the scatter that a stage adds",
        "mag",
        PairedNmad(DM_EDGES),
        stored_as="TR-M1.median",
    ),
    F(
        "TR-M1.pull",
        "measurement",
        "pull of the flux, median",
        "median of (F - F_true) / error, same supernovae",
        "1",
        Median(PULL_EDGES),
    ),
    F(
        "TR-M1.pull_width",
        "measurement",
        "pull of the flux, width",
        "normalised median absolute deviation of the same",
        "1",
        Nmad(PULL_EDGES),
        stored_as="TR-M1.pull",
    ),
    F(
        "TR-M1.forced_pull",
        "measurement",
        "pull of the forced flux, median",
        "median of (F - F_true) / error of all supernovae with isolated S/N above 10, found or not",
        "1",
        Median(PULL_EDGES),
        fixed=True,
    ),
    F(
        "TR-M1.forced_pull_width",
        "measurement",
        "pull of the forced flux, width",
        "normalised median absolute deviation of the same",
        "1",
        Nmad(PULL_EDGES),
        fixed=True,
        stored_as="TR-M1.forced_pull",
    ),
    F(
        "TR-M1.astrometry",
        "measurement",
        "scatter of positions",
        "normalised median absolute deviation of fitted minus "
        "true positions of those supernovae of TR-M1 that have one on all rungs, both axes together",
        "mas",
        Nmad(MAS_EDGES),
    ),
    F(
        "TR-M1.failed",
        "measurement",
        "failed fluxes",
        "fraction of supernovae, trails and comets without a PSF flux on a rung that has them",
        "1",
        Fraction(),
    ),
)
