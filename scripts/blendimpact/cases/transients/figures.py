"""Figures of the row of transients, asteroids and comets."""

from ...ladder.rungs import FIXED
from ...report.figures import against_density, ladder
from ..base import FigureSpec
from .drawing import by_place, detection_curve, side_by_side, spurious
from .places import CROWD_MAG, CROWD_RADIUS

RESIDUAL = "mean of D² / V within 1 arcsec, minus 1"
DISTANCE = "distance from the nearest static source [FWHM]"
FIGURES = (
    FigureSpec("ladder_TR-D1", ladder, {"fom": "TR-D1"}, "Supernovae of isolated S/N from 5.5 to 6.5 that are lost."),
    FigureSpec("ladder_TR-M1", ladder, {"fom": "TR-M1"}, "Mean bias of the PSF magnitude of supernovae above S/N 10."),
    FigureSpec(
        "ladder_MO-D1",
        ladder,
        {"fom": "MO-D1"},
        "Trails that are lost, of those that the search finds on empty sky above S/N 6.",
        scenario="moving",
    ),
    FigureSpec(
        "ladder_CO-D1",
        ladder,
        {"fom": "CO-D1"},
        "Comets whose activity exceeds that of all but one per cent of the point sources.",
        scenario="moving",
    ),
    FigureSpec(
        "efficiency",
        side_by_side,
        {
            "panels": [
                {"fom": "TR-D1.efficiency", "population": place, "title": place, "ylabel": "found"}
                for place in ("hosted", "nuclear", "hostless")
            ],
            "stratum": "snr",
            "rungs": ("isolated", "oracle", "pipeline"),
            "xlabel": "isolated S/N",
        },
        "Efficiency of the search for supernovae against isolated S/N: on hosts, in nuclei, without a host.",
    ),
    FigureSpec(
        "spurious",
        spurious,
        {"fom": "TR-D2", "floor": "TR-D2.kaiser", "rungs": ("isolated", "oracle", "deblended")},
        "Candidates that nothing explains against the threshold, and Kaiser's rate of peaks of noise (lines).",
    ),
    FigureSpec(
        "residual_brightness",
        side_by_side,
        {
            "panels": [
                {"fom": "TR-B1", "title": "galaxies", "ylabel": RESIDUAL},
                {"fom": "TR-B1.stars", "title": "stars", "ylabel": RESIDUAL},
            ],
            "stratum": "sb",
            "rungs": FIXED,
            "scale": "symlog",
            "xlabel": "surface brightness at the centre [mag / arcsec²]",
        },
        "Residual of static galaxies and stars on the difference against surface brightness, with the PSF.",
    ),
    FigureSpec(
        "spurious_beside",
        side_by_side,
        {
            "panels": [{"fom": "TR-D2", "title": "spurious candidates", "ylabel": "per deg²"}],
            "stratum": "beside",
            "rungs": ("oracle", "deblended"),
            "scale": "log",
            "xlabel": "magnitude of the static source that they lie beside",
        },
        "Candidates that nothing explains, per area beside static sources, against the magnitude of these.",
    ),
    FigureSpec(
        "supernovae_contrast",
        side_by_side,
        {
            "panels": [
                {"fom": "TR-D1", "title": "lost at S/N 6", "ylabel": "fraction"},
                {"fom": "TR-M1", "population": "centres", "title": "magnitude bias", "ylabel": "mean [mag]"},
                {"fom": "TR-M1.forced_pull_width", "title": "width of the pull", "ylabel": "1"},
            ],
            "stratum": "contrast",
            "rungs": ("isolated", "exact", "oracle", "deblended", "pipeline"),
            "xlabel": "static light below over that of the supernova, in the filter of a point",
        },
        "Supernovae lost at S/N 6, magnitudes and pulls above S/N 10, against the static light at their place.",
    ),
    FigureSpec(
        "pulls",
        by_place,
        {
            "panels": [
                {"fom": "TR-M1.forced_pull", "title": "median pull of the flux", "line": 0.0},
                {"fom": "TR-M1.forced_pull_width", "title": "width of the pull", "line": 1.0},
            ],
            "places": ("hosted", "nuclear", "hostless"),
            "rungs": ("isolated", "oracle", "deblended"),
        },
        "Pulls of forced fluxes of supernovae on hosts, in nuclei, and without a host.",
    ),
    FigureSpec(
        "trails_lost",
        side_by_side,
        {
            "panels": [
                {"fom": "MO-D1.point", "title": "point filter alone", "ylabel": "found"},
                {"fom": "MO-D1.efficiency", "title": "with trails", "ylabel": "found"},
            ],
            "stratum": "length",
            "rungs": ("isolated", "merged", "pipeline"),
            "xlabel": "length of the trail [FWHM]",
        },
        "Asteroids found whose S/N standing still is above 5, against the length of their trails: trailing loss, "
        "without and with filters of trails.",
        scenario="moving",
    ),
    FigureSpec(
        "trails_distance",
        side_by_side,
        {
            "panels": [
                {"fom": "MO-D1", "title": "asteroids lost", "ylabel": "fraction"},
                {"fom": "MO-B1", "population": "centres", "title": "flux bias", "ylabel": "mean [mag]"},
                {"fom": "MO-M1", "population": "centres", "title": "error of positions", "ylabel": "mean [mas]"},
            ],
            "stratum": "distance",
            "rungs": ("isolated", "oracle", "deblended", "pipeline"),
            "xlabel": DISTANCE,
        },
        "Asteroids lost, their fluxes and positions against the distance of their line from a static source.",
        scenario="moving",
    ),
    FigureSpec(
        "trails_density",
        against_density,
        {
            "fom": "MO-D1",
            "density": "TR-Q1",
            "terms": ("measurement", "deblending", "detection"),
            "ylabel": "part of the asteroids lost",
            "log": True,
            "xlabel": "static sources (isolated S/N ≥ cut) per arcmin²",
        },
        "Asteroids lost, by stage, against the density of static sources.",
    ),
    FigureSpec(
        "lost_galaxies",
        side_by_side,
        {
            "panels": [
                {"fom": "MO-D1", "title": "asteroids lost", "ylabel": "fraction"},
                {"fom": "CO-D1.lost", "title": "comets lost", "ylabel": "fraction"},
            ],
            "stratum": "galaxies",
            "rungs": ("isolated", "oracle", "deblended", "pipeline"),
            "xlabel": f"galaxies brighter than {CROWD_MAG:g} per arcmin², within {CROWD_RADIUS:g} arcsec",
        },
        "Asteroids and comets lost against the galaxies around them.",
        scenario="moving",
    ),
    FigureSpec(
        "comets_curve",
        detection_curve,
        {
            "fom": "CO-D1",
            "rungs": ("isolated", "oracle", "undeblended", "deblended", "pipeline"),
            "xlabel": "asteroids taken for comets",
            "ylabel": "comets told from asteroids",
        },
        "Comets told from asteroids by light that no point and no trail explains, against the share of asteroids taken "
        "for comets.",
        scenario="moving",
    ),
    FigureSpec(
        "comets_curve_beside",
        detection_curve,
        {
            "fom": "CO-D1",
            "rungs": ("isolated", "oracle", "undeblended", "deblended", "pipeline"),
            "xlabel": "asteroids taken for comets",
            "ylabel": "comets told from asteroids",
            "stratum": "place:comet_beside",
        },
        "The same where comets and asteroids lie over or beside static sources.",
        scenario="moving",
    ),
    FigureSpec(
        "comets_distance",
        side_by_side,
        {
            "panels": [
                {"fom": "CO-B1", "title": "nucleus bias", "ylabel": "mean"},
                {"fom": "CO-B1.afrho", "title": "Afrho bias", "ylabel": "mean"},
                {"fom": "CO-B1.slope", "title": "bias of the slope", "ylabel": "mean"},
            ],
            "stratum": "distance",
            "rungs": FIXED,
            "xlabel": DISTANCE,
        },
        "Comets at true places: nucleus, dust and slope of the coma against the distance from a static source.",
        scenario="moving",
    ),
)
