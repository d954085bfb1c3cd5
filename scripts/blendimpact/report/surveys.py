"""What the definitions of the surveys in use give: depths beside those that they state, and limits of faint light.

They are closed forms of the sky, the exposure and the PSF that images are made with, so nothing in them varies.
"""

import numpy as np

from ..config.settings import case_settings
from ..config.surveys import ZERO_POINT, load_survey

BOX, SIGMA = 10.0, 3.0  # arcsec, standard deviations: SMTN-016


def in_use(config):
    """Return {name: (survey, sorted bands)} of the surveys that simulated scenarios of enabled cases use."""
    found = {}
    for case, block in config["cases"].items():
        for scenario in block["scenarios"] if block.get("enabled", True) else ():
            settings = case_settings(config, case, scenario)
            if settings["sky"] == "simulate":
                survey = load_survey(settings["survey"])
                found.setdefault(survey.name, (survey, set()))[1].update(settings["bands"])
    return {name: (survey, [b for b in survey.bands if b in bands]) for name, (survey, bands) in sorted(found.items())}


def faint_light(band):
    """Return the surface brightness (AB mag/arcsec2) of `SIGMA` of the sky's noise in a square of `BOX` arcsec."""
    pixels = (BOX / band.pixel_scale) ** 2
    return float(ZERO_POINT - 2.5 * np.log10(SIGMA * band.sky_sigma * np.sqrt(pixels) / BOX**2))


def survey_values(config):
    """Return what external checks hold against stated depths and published limits, by the checks' keys."""
    out = {}
    for name, (survey, bands) in in_use(config).items():
        for key in bands:
            band = survey.bands[key]
            about = {"survey": survey.title, "band": key}
            out[f"survey_depth_{name}_{key}"] = {**_exact(band.depth(), about), "reference": band.depth_5sigma}
            if survey.year:
                out[f"faint_light_{survey.year}_{key}_{name}"] = _exact(faint_light(band), about)
    return out


def _exact(value, conditions):
    return {"value": value, "ci_low": value, "ci_high": value, "n": 0, "conditions": conditions}
