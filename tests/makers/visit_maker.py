"""Small visits with templates and transients, for tests of the ladder of difference imaging."""

import numpy as np
from blendimpact.config.surveys import load_survey
from blendimpact.data import catalogues
from blendimpact.data.catalogues import describe
from blendimpact.data.images import PatchWriter
from blendimpact.populations.catalogue import read_catalogue
from blendimpact.populations.user_catalogue import on_patch
from blendimpact.sky.epochs import add_template, template_survey, without_transients
from blendimpact.sky.injection import inject
from blendimpact.sky.patches import simulate_patch
from blendimpact.stages.simulate import image_facts
from synthetic import tables
from target_maker import draw

SEED, CASE = 5, "transients"
SETTINGS = {
    "case": CASE,
    "scenario": "fiducial",
    "sky": "simulate",
    "bands": ["r"],
    "shape_band": "r",
    "shear": 0.0,
    "truth_snr": 5,
    "match_radius": 0.5,
    "stamp": 8.0,
    "detector": "sep",
    "deblender": "sep",
    "subtractor": "zogy",
    "finder": "matched_filter",
    "patch": {"size": 110, "border": 30, "margin": 6.0},
    "population": {
        "galaxies": {"mag_max": 25.5, "density": 4.0},
        "stars": {"mag_min": 17.0, "density": 4.0},
        "positions": {},
    },
    "measure": {"aperture_diameter": 4.0, "sky": {"known": True}},
    "inject": {
        "population": "transients",
        "per_patch": 4,
        "separation": 6,
        "snr": [8, 20],
        "kinds": {"trail": 1, "comet": 1},
    },
}


def visit(galaxies, stars, index=0, epochs=None, **changes):
    """Return settings, patch and truth of one visit; ``changes`` are laid over the settings."""
    settings = {**SETTINGS, **changes}
    survey = load_survey("lsst_visit")
    patch, truth = simulate_patch(settings, index, SEED, CASE, "fiducial", survey, tables(galaxies, stars))[0]
    deep = template_survey(survey, {"template": {"survey": load_survey("lsst_y10_forecast")}})
    patch, truth, _ = add_template(patch, truth, deep, epochs or {"registration": 0.0}, SEED, CASE)
    if settings["inject"]:
        if "catalogue" in settings["inject"]:
            given = read_catalogue(settings["inject"]["catalogue"], settings["bands"], patch.bands["r"].pixel_scale)
            drawn = on_patch(given, patch)
        else:
            drawn = draw(settings, patch, truth, SEED, CASE, index, 0)
        patch, truth = inject(patch, truth, drawn, SEED, CASE, settings)
        without_transients(truth)
    else:
        truth["injection_id"], truth["trail_length"] = np.full((2, len(truth)), -1)
        describe(truth, {"injection_id": (None, "none"), "trail_length": (None, "none")})
    return settings, patch, truth


def write(folder, visits):
    """Write the patches and the truth of a chunk as the workflow does; return both paths."""
    with PatchWriter(folder / "images.fits") as writer:
        for _, patch, _ in visits:
            writer.write(patch)
    catalogues.write(
        catalogues.stack([truth for *_, truth in visits]), folder / "truth.parquet", image_facts(visits[0][1])
    )
    return folder / "images.fits", folder / "truth.parquet"
