"""What a study says of itself on the board: its rows, its sky, its conditions, and what it derives of its figures."""

import os

from astropy.stats import poisson_conf_interval
from scipy.stats import norm

from ..cases.base import load_case
from ..cases.board import load_board
from ..config.notes import search_threshold
from ..config.real_image import load_image
from ..config.settings import FIDUCIAL, case_settings, roles, searcher, separator
from ..config.surveys import load_survey
from ..data.catalogues import rows_of
from ..populations.drawn import blocks
from ..sky.blends import count_false_alarms, false_alarm_density
from ..stats.intervals import CONFIDENCE
from ..stats.streams import stream
from .surveys import survey_values

TITLE = "Impact of source blending on LSST science"
NOISE_PIXELS = 5e7  # of noise alone: about 1400 peaks above 4 sigma, 20 above 5
NOISE_SIGMA, NOISE_SCALE = 1.8, 0.263  # DMTN-006: PSF in DECam pixels, arcsec


def board_of(config, missing, measured=()):
    """Return the rows of the board, each with ``data_used`` by scenario; a case that has no data says why.

    Parameters
    ----------
    config : dict
        The checked configuration.
    missing : dict of str to str
        Why some scores of a case, or all, are not to be had.
    measured : collection of str
        Cases that have figures of merit: what is missing concerns some of their scenarios alone.
    """
    board = load_board()
    for row in board:
        block = config["cases"].get(row["case"])
        scenarios = (block or {}).get("scenarios", {})
        row["data_used"] = {name: data_used(case_settings(config, row["case"], name)) for name in scenarios}
        if row["case"] in missing:
            row["missing" if row["case"] in measured else "not_built"] = missing[row["case"]]
        elif block is None or not block.get("enabled", True):
            row["not_built"] = "the case is not enabled in this study's configuration"
    return board


def data_used(settings):
    """Return what a case and scenario are measured on, from their settings: sky, bands, what is drawn and injected."""
    if settings["sky"] == "adopt":
        parts = [f"{load_image(settings['image'])['title']} (band {', '.join(settings['bands'])})"]
    else:
        drawn = blocks(settings["population"])
        names = [f"{what} of {block['kind']}" for what, block in drawn.items() if block["density"]]
        parts = [f"simulated {load_survey(settings['survey']).title}, {', '.join(settings['bands'])}", ", ".join(names)]
    if settings.get("epochs"):
        parts.append("with a template")
    return "; ".join([*parts, *injected(settings)])


def injected(settings):
    """Yield what is added to the sky of a case, in words."""
    inject = settings.get("inject")
    if not inject:
        return
    kinds = [name for name, share in (inject.get("kinds") or {}).items() if share]
    what = ", ".join(kinds) or inject.get("population") or os.path.basename(inject["catalogue"])
    key, unit = ("snr", "S/N") if inject.get("snr") else ("mag", settings["shape_band"])
    span = "" if inject.get("catalogue") else f" ({unit} {inject[key][0]:g} to {inject[key][1]:g})"
    yield f"injected: {what}{span}"


def requirement_year(config):
    """Return the survey year whose requirements apply: that of the simulated cases' surveys."""
    surveys = {c["survey"] for c in config["cases"].values() if c.get("enabled", True) and c.get("survey")}
    return min((load_survey(s).year or "Y10" for s in surveys), key=lambda y: y == "Y10", default="Y10")


def describe_study(config, foms):
    """Return one line: name of the study, sky and sample sizes."""
    texts = []
    for case, block in config["cases"].items():
        rows = foms[(foms["case"] == case) & (foms["scenario"] == FIDUCIAL)] if len(foms) else []
        if len(rows):
            settings = case_settings(config, case)
            side = settings["patch"]["size"] * settings["pixel_scale"] / 60
            blocks = int(max(rows["n_blocks"]))
            texts.append(
                f"{case}: {blocks} patches of {side**2:.2f} arcmin² "
                f"({block.get('survey') or block.get('image')}), {separation(settings)}"
            )
    return f"study {config['study']}, seed {config['seed']}. " + "; ".join(texts)


def separation(settings):
    """Return what parts the light of a case, in words."""
    return f"{roles(settings)['separate'].key} {separator(settings)}"


def conditions(config):
    """Return the run's conditions by case, as the external checks name them."""
    out = {}
    for case in config["cases"]:
        settings = case_settings(config, case)
        if settings["sky"] != "simulate":
            continue
        survey = load_survey(settings["survey"])
        reference = survey.bands[settings["shape_band"]]
        out[case] = {
            "match": f"{settings['match_radius']:g} arcsec",
            "engine": settings.get("subtractor") or "none",
            "survey": settings["survey"],
            "bands": ", ".join(settings["bands"]),
            "positions": settings["population"]["positions"]["kind"],
            "band": settings["shape_band"],
            "depth": f"{reference.depth_5sigma:.1f}",
            "seeing": f"{reference.fwhm:.2f} arcsec in {settings['shape_band']}",
            "detector": searcher(settings),
            "deblender": separator(settings),
            "threshold": f"{search_threshold(config, settings):g} sigma",
            "density": f"counts times {settings['population']['galaxies']['density']:g}",
        }
    return out


def derived_values(config, foms):
    """Return what the external checks need beside the figures of merit, by the checks' keys.

    Each case that has some derives its own (`blendimpact.cases.base.ScienceCase`), on simulated sky; peaks of noise and
    what follows from the surveys are of no case.
    """
    out, known = false_alarms(config["seed"]) | survey_values(config), conditions(config)
    for case in config["cases"] if len(foms) else ():
        rows, settings = rows_of(foms, case=case), case_settings(config, case)
        if len(rows) and case in known and (derived := load_case(case).derived):
            out |= derived(rows, settings, known[case])
    return out


def false_alarms(seed):
    """Return the peaks of pure noise per deg2 above 5 and 4 sigma; the closed form is the reference of the second.

    That of the first is the published number.
    """
    area = 1 / NOISE_SCALE**2 * 3600.0**2  # pixels per deg2
    counts, searched = count_false_alarms([5.0, 4.0], NOISE_SIGMA, NOISE_PIXELS, stream(seed, "false alarms"))
    out = {}
    for name, count in zip(("false_alarms", "false_alarms_4"), counts, strict=True):
        low, high = poisson_conf_interval(count, "frequentist-confidence", sigma=norm.ppf(0.5 + CONFIDENCE / 2))
        scale = area / searched
        out[name] = {"value": count * scale, "ci_low": low * scale, "ci_high": high * scale, "n": int(count)}
    out["false_alarms_4"]["reference"] = float(false_alarm_density(4.0, NOISE_SIGMA)) * area
    return out
