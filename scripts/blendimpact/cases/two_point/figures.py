"""Figures of shapes and photometric redshifts."""

from ...ladder.redshifts import FRIENDS
from ...report.figures import against_density, by_stratum, ladder
from ..base import FigureSpec
from .photo_z_drawing import catalogue_blends, diagrams, terms_by_stratum

DENSITIES = ("half_density", "shear", "double_density")
RUNGS = ("oracle", "undeblended", "deblended")
FIGURES = (
    FigureSpec(
        "ladder_WL-M1", ladder, {"fom": "WL-M1"}, "Shear response of both samples, relative to the isolated rung."
    ),
    FigureSpec(
        "ladder_WL-B1",
        ladder,
        {"fom": "WL-B1"},
        "Mean aperture flux residual against the isolated image of the same source.",
    ),
    FigureSpec("ladder_WL-B3", ladder, {"fom": "WL-B3"}, "Ellipticity slope against the noiseless source."),
    FigureSpec(
        "ladder_WL-M2",
        ladder,
        {"fom": "WL-M2"},
        "Effective number density (Chang et al. 2013) of each rung's own selection.",
    ),
    FigureSpec(
        "response_blendedness",
        by_stratum,
        {
            "fom": "WL-M1",
            "stratum": "blendedness",
            "rungs": RUNGS,
            "population": "centres",
            "xlabel": "blendedness (1 - purity)",
            "ylabel": "response relative to isolated",
        },
        "Shear response against blendedness.",
    ),
    FigureSpec(
        "flux_blendedness",
        by_stratum,
        {
            "fom": "WL-B1",
            "stratum": "blendedness",
            "rungs": RUNGS,
            "population": "centres",
            "xlabel": "blendedness (1 - purity)",
            "ylabel": "mean (F - F_isolated) / F_isolated",
        },
        "Aperture flux residual against blendedness.",
    ),
    FigureSpec(
        "completeness_magnitude",
        by_stratum,
        {
            "fom": "WL-D3.recall",
            "stratum": "magnitude",
            "rungs": ("pipeline", "alone"),
            "xlabel": "true magnitude (AB, shape band)",
            "ylabel": "fraction found",
        },
        "Sources found in the scene, and found alone on the same noise, against magnitude.",
    ),
    FigureSpec(
        "completeness_blendedness",
        by_stratum,
        {
            "fom": "WL-D3.recall",
            "stratum": "blendedness",
            "rungs": ("pipeline", "alone"),
            "xlabel": "blendedness (1 - purity)",
            "ylabel": "fraction found",
        },
        "Sources found in the scene, and found alone on the same noise, against blendedness.",
    ),
    FigureSpec(
        "density_WL-M1",
        against_density,
        {
            "fom": "WL-M1",
            "terms": ("photons", "sky"),
            "ylabel": "change of response",
            "density": "WL-Q2",
            "scenarios": DENSITIES,
        },
        "Terms of the response budget against source density.",
    ),
    FigureSpec(
        "density_WL-D2",
        against_density,
        {
            "fom": "WL-D2.bright",
            "terms": ("detection",),
            "ylabel": "response of re-detected over carried centres - 1",
            "density": "WL-Q2",
            "scenarios": DENSITIES,
        },
        "Shear bias by re-detection (swapped lists, exact children, lensing sample) against source density.",
    ),
    FigureSpec(
        "ladder_PZ-M1",
        ladder,
        {"fom": "PZ-M1.outliers"},
        "Photo-z outliers on each rung, and what each stage adds.",
        scenario="photo_z",
    ),
    FigureSpec(
        "ladder_PZ-B1",
        ladder,
        {"fom": "PZ-B1"},
        "Mean change of g - i against the isolated image of the same source.",
        scenario="photo_z",
    ),
    FigureSpec(
        "photo_z",
        diagrams,
        {"fom": "PZ-M1.cells", "rungs": ("isolated", "oracle", "deblended", "merged", "pipeline")},
        "Estimated against true redshift, the same galaxies on each rung.",
        scenario="photo_z",
    ),
    FigureSpec(
        "photo_z_outliers",
        terms_by_stratum,
        {
            "fom": "PZ-M1.outliers",
            "strata": {"magnitude": "true magnitude", "blendedness": "blendedness (1 - purity)"},
            "terms": ("measurement", "deblending", "detection"),
            "ylabel": "outliers that the stage adds",
        },
        "Photo-z outliers that each stage adds, against magnitude and blendedness.",
        scenario="photo_z",
    ),
    FigureSpec(
        "photo_z_catalogue_blends",
        catalogue_blends,
        {"rungs": (FRIENDS, "merged", "pipeline")},
        "Blends as catalogues imitate them, friends of friends within 1 arcsec with their fluxes summed, beside the "
        "blends of the pixels: which there are, and what they do to redshifts.",
        scenario="photo_z",
    ),
)
