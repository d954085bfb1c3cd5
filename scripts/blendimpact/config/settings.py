"""The settings of one case and scenario, and the patches and chunks that follow from them."""

from typing import NamedTuple

from ..errors import StudyError
from .case import FIDUCIAL, Settings
from .files import merge, nearest
from .real_image import load_image
from .surveys import ZERO_POINT, survey_of
from .tiling import blocks

FINDER = "matched_filter"
"""Difference finder of a case that has a subtractor and names none."""
REALISATIONS = 1000  # patch number = block * REALISATIONS + realisation of a real image, or visit of a simulated block

# What a stage cannot depend on. Everything else is taken to matter, so that forgetting a key here
# costs a rerun and never a stale result.
_SCORED = ("photo_z",)
_MEASURED = (*_SCORED, "rungs", "swapped")
_SIMULATED = (*_MEASURED, "inject", "match_radius", "detector", "deblender", "subtractor", "finder", "measure")
_LATER = {
    "simulate": _SIMULATED,
    "adopt": (*_SIMULATED, "shear", "ring", "noise_pairs", "population", "epochs"),
    "inject": (*_MEASURED, "detector", "deblender", "subtractor", "finder", "measure"),
    "subtract": (*_MEASURED, "match_radius", "detector", "deblender", "finder"),
    "detect": (*_MEASURED, "deblender"),
    "deblend": _SCORED,
    "measure": _SCORED,
    "score": (),
    "reference": (*_MEASURED, "deblender"),
    "compare": (*_MEASURED, "deblender"),
    "compare_engines": (*_MEASURED, "detector", "deblender", "subtractor", "finder"),
}
COMPARED = "compare_"  # scenario of a sky of the comparison: this and the sky's name


def case_settings(config, case, scenario=FIDUCIAL):
    """Return the settings of one case and scenario of a checked configuration: those of `case.Settings` as a dict.

    A sky of the comparison is the scenario `compared_scenario` of its case: its keys are laid over those of the
    fiducial scenario, and it takes no more blocks of a real image than there are.

    The case's keys with the scenario's laid over them, and defaults; ``measure`` is the study's with the case's
    laid over it; ``patch`` is complete (real images: from the image's ``tiling``). Added are
    ``case``, ``scenario``, ``pixel_scale`` (arcsec), ``zero_point`` (AB; None where only the
    image's header knows it).

    Raises
    ------
    StudyError
        If there is no such case or scenario.
    """
    return Settings.model_validate(merged_settings(config, case, scenario)).plain()


def merged_settings(config, case, scenario):
    """Return the settings of one case and scenario without defaults, not yet checked."""
    scenarios = {**config["cases"].get(case, {}).get("scenarios", {}), **_compared(config, case)}
    for name, known, where in ((case, config["cases"], "cases"), (scenario, scenarios, f"cases.{case}.scenarios")):
        if name not in known:
            raise StudyError(f"there is no {name!r}", where, nearest(name, known))
    block = {k: v for k, v in config["cases"][case].items() if k not in ("enabled", "scenarios")}
    override, sky = scenarios[scenario], block.get("sky", "simulate")
    if override.get("sky", sky) != sky:
        block = {**block, "patch": {}}  # sizes in pixels and counts are those of the other sky
    settings = merge(block, override)
    settings["measure"] = merge(config["measure"], settings.get("measure", {}))
    settings |= {"case": case, "scenario": scenario}
    if settings.get("subtractor"):
        settings["finder"] = settings.get("finder") or FINDER
    patch = dict(settings.get("patch", {}))
    most = patch.pop("most", None)
    if settings.get("sky") == "adopt" and settings.get("image"):
        image = load_image(settings["image"])
        tiling = image["tiling"]
        given = {key: value for key, value in patch.items() if value is not None}
        patch = {"size": tiling["block"], "border": tiling["border"], **given}
        available = len(blocks(image, patch))
        patch.setdefault("count", max(min(available, most or available), 1))
        if scenario.startswith(COMPARED):  # so that another image of the case needs no other comparison
            patch["count"] = min(patch["count"], available)
        zero_point = ZERO_POINT if "bands" in image else image.get("zero_point")  # several bands are brought to one
        settings |= {"pixel_scale": image["pixel_scale"], "zero_point": zero_point}
    elif settings.get("sky", "simulate") == "simulate" and settings.get("survey"):
        settings |= {"pixel_scale": survey_of(settings["survey"]).pixel_scale, "zero_point": ZERO_POINT}
    return {**settings, "patch": patch}


def skies(config):
    """Return {name: case} of the skies on which deblenders are compared: those whose case is enabled."""
    chosen = (config.get("comparison") or {}).get("skies", {})
    return {
        name: sky["case"]
        for name, sky in chosen.items()
        if sky is not None and config["cases"].get(sky["case"], {}).get("enabled")
    }


def compared_engines(config):
    """Return the subtraction engines that are compared: none where the case is not enabled."""
    chosen = config.get("subtraction_comparison")
    enabled = chosen and config["cases"].get(chosen["case"], {}).get("enabled")
    return list(chosen["engines"]) if enabled else []


def compared_scenario(sky):
    """Return the name of the scenario that a sky of the comparison is."""
    return f"{COMPARED}{sky}"


def _compared(config, case):
    """Return {scenario: override} of the skies of the comparison that are of a case."""
    out = {}
    for name, sky in ((config.get("comparison") or {}).get("skies", {})).items():
        if sky is not None and sky["case"] == case:
            fiducial = config["cases"][case]["scenarios"].get(FIDUCIAL) or {}
            out[compared_scenario(name)] = merge(fiducial, {k: v for k, v in sky.items() if k != "case"})
    return out


def stage_settings(settings, stage):
    """Return the part of the settings that a stage can depend on, for the parameters of its rule.

    A change of the number of patches, or of something that only later stages read, then does not
    rerun it.
    """
    out = {k: v for k, v in settings.items() if k not in _LATER.get(stage, ())}
    if stage in ("subtract", "detect", "deblend"):
        out["measure"] = {k: v for k, v in settings["measure"].items() if k == "sky"}
    out["patch"] = {k: v for k, v in settings["patch"].items() if k != "count"}
    return out


def same_sky(first, second):
    """Return whether two scenarios of a case have the same images, up to the number of patches: sky, targets, noise."""
    one, other = (stage_settings({**settings, "scenario": ""}, "inject") for settings in (first, second))
    return one == other


class Role(NamedTuple):
    """What fills a role in the ladder of a case.

    Attributes
    ----------
    package : str
        Plug-in family; for what separates light also the stage that does it.
    key : str
        Of the case, which names the member.
    options : str
        Of the study, which holds the options of members.
    first : bool
        Whether light is separated before sources are detected.
    """

    package: str
    key: str
    options: str
    first: bool = False


ON_IMAGES = {"find": Role("detect", "detector", "detectors"), "separate": Role("deblend", "deblender", "deblenders")}
ON_DIFFERENCES = {
    "find": Role("search", "finder", "finders"),
    "separate": Role("subtract", "subtractor", "subtractors", first=True),
}


def roles(settings):
    """Return the `Role` of what finds sources ("find") and of what separates their light ("separate") in a case."""
    return ON_DIFFERENCES if settings.get("subtractor") else ON_IMAGES


def searcher(settings):
    """Return the name of what finds the sources of a case: its detector, or its finder."""
    return settings[roles(settings)["find"].key]


def separator(settings):
    """Return the name of what separates the light of a case: its deblender, or its subtractor."""
    return settings[roles(settings)["separate"].key]


def visits_of(settings):
    """Return how often each block of simulated sky is seen."""
    return settings.get("patch", {}).get("visits", 1)


def patches(settings):
    """Return the numbers of the patches of one case and scenario.

    Simulated: ``count`` from ``patch.first`` on, which is 0 unless it is given. Real image, or simulated sky that is
    visited repeatedly: for each of the ``count`` blocks, realisation or visit r has the number ``block * 1000 + r``, so
    more of either renumber nothing.
    """
    count, visits = settings["patch"]["count"], visits_of(settings)
    first = settings["patch"].get("first", 0)
    if settings["sky"] != "adopt" and visits == 1:
        return list(range(first, first + count))
    each = (settings["inject"] or {}).get("realisations", 1) if settings["sky"] == "adopt" else visits
    return [b * REALISATIONS + r for b in range(first, first + count) for r in range(each)]


def block_of(settings, patch):
    """Return (block, realisation or visit) of a patch: the block of sky is the unit of resampling."""
    several = settings.get("sky") == "adopt" or visits_of(settings) > 1
    return divmod(patch, REALISATIONS) if several else (patch, 0)


def chunks(config, settings):
    """Return the patches of each job: consecutive lists of at most ``chunk_size`` patches.

    All visits, or realisations, of a block are in one list, even where they are more than ``chunk_size``: they are
    scored together.
    """
    numbers = patches(settings)
    each = len(numbers) // settings["patch"]["count"]
    size = max(config["chunk_size"] // each, 1) * each
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]
