"""Figures of the crowded fields row."""

from ...report.figures import by_stratum, ladder
from ...report.figures_density import by_scenario, colour_magnitude
from ..base import FigureSpec
from .drawing import crowding_stages, false_discoveries, repeat_visits

RUNGS = ("isolated", "exact", "oracle", "undeblended", "deblended", "pipeline")
STAGES = ("measurement", "deblending", "detection")
DENSITY = {"density": "CF-Q1", "xlabel": "stars brighter than the stated limit per deg²", "log": True}
FIGURES = (
    FigureSpec(
        "ladder_CF-D1", ladder, {"fom": "CF-D1"}, "Stars that are lost, of those that the detector finds on empty sky."
    ),
    FigureSpec(
        "ladder_CF-B1",
        ladder,
        {"fom": "CF-B1"},
        "Crowding error: scatter of the change of each star's flux, stage by stage, with the same noise.",
    ),
    FigureSpec("ladder_CF-M1", ladder, {"fom": "CF-M1"}, "Bias of the PSF magnitude: mean of bounded errors."),
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
        "Stars that are recovered, at true centres, and found alone on the same noise.",
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
        "Which stage loses stars, which adds scatter and bias, how deep the field can be used, how far errors hold and "
        "how many detections are false, against the density of all stars.",
    ),
    FigureSpec(
        "scatter_magnitude",
        by_stratum,
        {
            "fom": "CF-M1.nmad",
            "stratum": "magnitude",
            "rungs": RUNGS,
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "scatter of 1.086 (F - F_true) / F_true [mag]",
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
            "ylabel": "mean m - m_true, bounded [mag]",
        },
        "Bias of the PSF magnitude on each rung.",
    ),
    FigureSpec(
        "crowding_magnitude",
        by_stratum,
        {
            "fom": "CF-B1.rms",
            "stratum": "magnitude",
            "rungs": ("undeblended", "beam", "analytic"),
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "standard deviation [mag]",
            "log": True,
        },
        "Crowding error on raw pixels of stars without a brighter neighbour, and that of the same stars in the beam of "
        "the PSF fit and in the disc of the analytic curve, all bounded at 0.3 mag.",
    ),
    FigureSpec(
        "partition_separation",
        by_stratum,
        {
            "fom": "CF-B2.all",
            "stratum": "separation",
            "rungs": RUNGS[1:],
            "xlabel": "distance to the nearest star of at least 0.3 of the flux [FWHM]",
            "ylabel": "mean change of the flux, bounded [mag]",
        },
        "Flux partition against the distance to the nearest star of comparable brightness (positive: too bright).",
    ),
    FigureSpec(
        "false_magnitude",
        false_discoveries,
        {
            "fom": "CF-D1.false",
            "stratum": "magnitude",
            "rung": "pipeline",
            "density": "CF-Q1",
            "panels": ("measured magnitude (AB, shape band)", "measured magnitude (nominal zero point)"),
            "unit": "stars per deg²",
        },
        "False discoveries against measured magnitude. Simulated fields: of all detections, one curve per density. "
        "Real ones: of the detections that artificial stars bring.",
    ),
    FigureSpec(
        "pulls_magnitude",
        by_stratum,
        {
            "fom": "CF-M1.pull_width",
            "stratum": "magnitude",
            "rungs": ("isolated", "oracle", "deblended", "pipeline"),
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "width of the pull of the flux",
        },
        "How far errors hold: width of (F - F_true) / error; 1 if they are right.",
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
