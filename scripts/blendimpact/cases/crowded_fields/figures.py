"""Figures of the crowded fields row."""

from ...report.figures import by_stratum, ladder
from ...report.figures_density import by_scenario, colour_magnitude
from ..base import FigureSpec
from .drawing import crowding_stages, repeat_visits

RUNGS = ("isolated", "oracle", "undeblended", "deblended", "pipeline")
STAGES = ("measurement", "deblending", "detection")
DENSITY = {"density": "CF-Q1", "xlabel": "stars brighter than the stated limit per deg²", "log": True}
FIGURES = (
    FigureSpec(
        "ladder_CF-D1",
        ladder,
        {"fom": "CF-D1"},
        "Artificial stars that are recovered, of those that the detector finds on empty sky.",
    ),
    FigureSpec(
        "ladder_CF-B1",
        ladder,
        {"fom": "CF-B1"},
        "Crowding error: scatter of the flux against the same star with the same noise alone.",
    ),
    FigureSpec("ladder_CF-M1", ladder, {"fom": "CF-M1"}, "Median bias of the PSF magnitude of artificial stars."),
    FigureSpec(
        "completeness_magnitude",
        by_stratum,
        {
            "fom": "CF-D1.all",
            "stratum": "magnitude",
            "rungs": ("alone", "deblended", "pipeline"),
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "fraction recovered",
        },
        "Artificial stars that are recovered, at true centres, and found alone on the same noise.",
    ),
    FigureSpec(
        "completeness_density",
        by_scenario,
        {
            "fom": "CF-D1.all",
            "stratum": "magnitude",
            "rung": "pipeline",
            "density": "CF-Q1",
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "fraction recovered",
            "unit": "stars per deg²",
        },
        "Completeness of the pipeline, one curve per density of stars.",
    ),
    FigureSpec(
        "stages_density",
        crowding_stages,
        {"stages": STAGES, **DENSITY},
        "Which stage loses stars, which adds error, and how deep the field can be used, against density; "
        "with the "
        "analytic crowding error and the magnitude at which it reaches 0.1.",
    ),
    FigureSpec(
        "scatter_magnitude",
        by_stratum,
        {
            "fom": "CF-M1.nmad",
            "stratum": "magnitude",
            "rungs": RUNGS,
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "scatter of m - m_true [mag]",
            "log": True,
        },
        "Scatter of the PSF magnitude on each rung; isolated is the noise.",
    ),
    FigureSpec(
        "repeats_magnitude",
        repeat_visits,
        {
            "stratum": "magnitude",
            "rungs": ("isolated", "deblended", "pipeline"),
            "density": "CF-Q1",
            "xlabel": "true magnitude (AB, shape band)",
            "panels": (
                {
                    "fom": "CF-M1.repeat",
                    "true": "CF-M1.repeat_true",
                    "ylabel": "flux [mmag]",
                    "line": 5.0,
                    "label": "LPM-17: 5 mmag and 10 mas of bright isolated stars [V]",
                },
                {
                    "fom": "CF-M1.repeat_xy",
                    "true": "CF-M1.repeat_xy_true",
                    "ylabel": "position, each axis [mas]",
                    "line": 10.0,
                    "label": "",
                },
            ),
        },
        "Repeatability over visits, which needs no truth, and scatter about the truth of the same stars: what "
        "crowding does alike in all visits does not show in the first. Densest scenario with repeat visits.",
    ),
    FigureSpec(
        "bias_magnitude",
        by_stratum,
        {
            "fom": "CF-M1",
            "stratum": "magnitude",
            "rungs": RUNGS,
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "median m - m_true [mag]",
        },
        "Bias of the PSF magnitude on each rung.",
    ),
    FigureSpec(
        "crowding_magnitude",
        by_stratum,
        {
            "fom": "CF-B1.rms",
            "stratum": "magnitude",
            "rungs": ("undeblended", "analytic"),
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "standard deviation [mag]",
            "log": True,
        },
        "Crowding error on raw pixels, stars without a brighter neighbour, and the analytic curve for them.",
    ),
    FigureSpec(
        "partition_separation",
        by_stratum,
        {
            "fom": "CF-B2.all",
            "stratum": "separation",
            "rungs": RUNGS[1:],
            "xlabel": "distance to the nearest star of at least 0.3 of the flux [FWHM]",
            "ylabel": "median change of the flux [mag]",
        },
        "Flux partition against the distance to the nearest star of comparable brightness (positive: too bright).",
    ),
    FigureSpec(
        "luminosity_function",
        by_stratum,
        {
            "fom": "CF-D1.lf",
            "stratum": "magnitude",
            "rungs": ("pipeline",),
            "xlabel": "magnitude (AB, shape band)",
            "ylabel": "detections / true stars",
        },
        "Luminosity function recovered over the true one.",
    ),
    FigureSpec(
        "cmd",
        colour_magnitude,
        {"fom": "CF-D1.cmd", "colour": "first band minus shape band [mag]", "ylabel": "magnitude (AB, shape band)"},
        "Colour-magnitude diagram of the true stars and of the detections as measured.",
    ),
)
