"""What is checked of a configuration beyond its schema."""

import csv
import math
from pathlib import Path

from ..errors import StudyError
from .real_image import blocks, load_image
from .schema import Problem, merge, nearest
from .settings import COMPARED, FIDUCIAL, case_settings, compared_scenario, skies, survey_of, visits_of

INJECTION_COLUMNS = ("ra", "dec", "source_type")
TRANSIENTS = "transients"
"""Population of what is there in one epoch alone."""
NO_TEMPLATE = ("none", "truth")
"""Subtractors that do not look at a template."""


def cross_problems(config, known, cases=None):
    """Yield the problems that no schema sees.

    Parameters
    ----------
    config : dict
    known : dict of str to (sequence of str or None)
        Names that exist in each family: "detectors", "deblenders", "finders", "subtractors"; None is not checked.
    cases : sequence of str, optional
    """
    for family, names in known.items():
        for name in config[family]:
            if names is not None and name not in names:
                yield Problem((family, name), f"there is no {family[:-1]} of that name", nearest(name, names))
    for case, block in config["cases"].items():
        if cases is not None and case not in cases:
            yield Problem(("cases", case), "there is no science case of that name", nearest(case, cases))
        if not block["enabled"]:
            continue
        if FIDUCIAL not in block["scenarios"]:
            yield Problem(("cases", case, "scenarios"), f"lacks the scenario {FIDUCIAL!r}",
                          f"add `{FIDUCIAL}: {{}}`: it is what the matrix shows")
        alone = _found(config, case, {}, known)
        for scenario, override in block["scenarios"].items():
            for problem in _found(config, case, override, known):
                # what is wrong without the scenario too is wrong in the case
                key = problem.key if problem in alone else ("scenarios", scenario, *problem.key)
                yield Problem(("cases", case, *key), problem.what, problem.remedy)
            if scenario.startswith(COMPARED):
                yield Problem(("cases", case, "scenarios", scenario), f"a scenario's name cannot begin with {COMPARED}",
                              "skies of the comparison are called so: choose another name")
    yield from _comparison_problems(config, known)
    yield from _engine_problems(config, known)


def _comparison_problems(config, known):
    comparison = config.get("comparison") or {"deblenders": [], "skies": {}}
    for number, name in enumerate(comparison["deblenders"]):
        if known["deblenders"] is not None and name not in known["deblenders"]:
            yield Problem(("comparison", "deblenders", number), f"there is no deblender {name!r}",
                          nearest(name, known["deblenders"]))
    for sky, choice in comparison["skies"].items():
        key, case = ("comparison", "skies", sky), choice["case"]
        if case not in config["cases"]:
            yield Problem((*key, "case"), f"there is no case {case!r}", nearest(case, config["cases"]))
        elif sky in skies(config) and FIDUCIAL in config["cases"][case]["scenarios"]:
            alone = _found(config, case, config["cases"][case]["scenarios"][FIDUCIAL], known)
            if config["cases"][case].get("subtractor"):
                yield Problem((*key, "case"), f"{case} has a subtractor: there is no deblender to compare",
                              "compare subtractors by scenarios of the case")
            for problem in _found(config, case, {}, known, compared_scenario(sky)):
                if problem not in alone:  # else it is the case's
                    yield Problem((*key, *problem.key), problem.what, problem.remedy)


def _engine_problems(config, known):
    chosen = config.get("subtraction_comparison")
    if not chosen:
        return
    case, key, names = chosen["case"], ("subtraction_comparison",), known["subtractors"]
    for number, name in enumerate(chosen["engines"]):
        if names is not None and name not in names:
            yield Problem((*key, "engines", number), f"there is no subtractor {name!r}", nearest(name, names))
    if case not in config["cases"]:
        yield Problem((*key, "case"), f"there is no case {case!r}", nearest(case, config["cases"]))
        return
    block = config["cases"][case]
    settings = merge(block, block["scenarios"].get(FIDUCIAL) or {})
    wanted = (
        (settings.get("sky") == "simulate" and settings.get("epochs"),
         "has no simulated template: without it engines have nothing to subtract", "choose a case with `epochs`"),
        (settings.get("subtractor"), "has no subtractor: it does not work on differences", "choose a case with one"),
        ((settings.get("inject") or {}).get("population") == TRANSIENTS,
         f"has no inject.population: {TRANSIENTS}, of whose kinds engines are judged",
         "choose a case with it"),
        (not settings.get("shear"), "has a shear, which the template does not have", "set its shear: 0"),
    )
    for met, what, remedy in wanted:
        if not met:
            yield Problem((*key, "case"), f"{case} {what}", f"{remedy}, or set subtraction_comparison: null")


def _found(config, case, override, known, sky=None):
    block = config["cases"][case] if sky else {**config["cases"][case], "scenarios": {FIDUCIAL: override}}
    try:
        settings = case_settings({**config, "cases": {case: block}}, case, sky or FIDUCIAL)
        return list(_case_problems(settings, known))
    except StudyError as error:  # a survey or an image that cannot be read
        key = "image" if override.get("sky", block["sky"]) == "adopt" else "survey"
        return [Problem((key,), str(error).replace("\n  Remedy: ", ". "))]


def _case_problems(settings, families):
    for family, names in families.items():
        key = family[:-1]
        if names is not None and settings[key] is not None and settings[key] not in names:
            yield Problem((key,), f"there is no {key} {settings[key]!r}", nearest(settings[key], names))
    if settings["shape_band"] not in settings["bands"]:
        yield Problem(("shape_band",), f"{settings['shape_band']!r} is not one of the bands",
                      f"choose one of {', '.join(settings['bands'])}")
    kind = {"simulate": "survey", "adopt": "image"}[settings["sky"]]
    if kind not in settings:
        yield Problem((), f"sky: {settings['sky']} needs the key {kind!r}", f"name a file of config/{kind}s")
        return
    image = load_image(settings["image"]) if kind == "image" else None
    known = [image["band"]] if image else list(survey_of(settings["survey"]).bands)
    for band in settings["bands"]:
        if band not in known:
            yield Problem(("bands",), f"the {kind} {settings[kind]} has no band {band!r}",
                          nearest(band, known))
    if not image:
        yield from _star_problems(settings)
    yield from _epoch_problems(settings, image)
    yield from _visit_problems(settings, image)
    yield from _subtractor_problems(settings, image)
    patch = settings["patch"]
    for key in ("size", "border", "count"):
        if key not in patch:
            yield Problem(("patch",), f"the key {key!r} is missing",
                          f"add patch.{key}, see config/schema/config.yaml")
    half = settings["stamp"] / settings["pixel_scale"] / 2
    if "border" in patch and patch["border"] < half:
        least = math.ceil(half)
        yield Problem(("patch", "border"), f"is {patch['border']} pixels, less than half a stamp ({least})",
                      f"give at least {least}, or a smaller stamp: sources at the edge would be cut")
    if image and {"size", "border"} <= set(patch):
        available = len(blocks(image, patch))
        if patch.get("count", 1) > available:
            yield Problem(("patch", "count"),
                          f"is {patch['count']}, but the image has {available} blocks of this size",
                          "ask for fewer or smaller blocks, or for more inject.realisations")
    yield from _injection_problems(settings, image)


def _star_problems(settings):
    stars = settings["population"]["stars"]
    own = {"isochrone": ("surface_density", "limit", "distance_modulus", "reddening"), "trilegal": ("density",)}
    for kind, keys in own.items():
        # the schema fills in a density of 1, which says nothing
        for key in keys if kind != stars["kind"] else ():
            if key in stars and not (key == "density" and stars[key] == 1.0):
                yield Problem(("population", "stars", key), f"is for kind: {kind}",
                              f"set population.stars.kind: {kind}, or remove it")
    if stars["kind"] == "isochrone":
        for key in ("surface_density", "limit"):
            if key not in stars:
                yield Problem(("population", "stars"), f"the key {key!r} is missing",
                              "an isochrone gives no density: say how many stars per deg2 are brighter than limit")


def _epoch_problems(settings, image):
    epochs = settings["epochs"]
    if epochs is None:
        return
    if image:
        yield Problem(("epochs",), "is for simulated sky", "set epochs: null: a coadd has no second epoch")
        return
    template, survey = epochs["template"], survey_of(settings["survey"])
    if ("survey" in template) == ("visits" in template):
        yield Problem(("epochs", "template"), "needs one of `survey` and `visits`",
                      "null removes a key that was there before")
    if "survey" in template:
        deep = survey_of(template["survey"])
        for band in settings["bands"]:
            if band not in deep.bands:
                yield Problem(("epochs", "template", "survey"), f"{template['survey']} has no band {band!r}",
                              nearest(band, deep.bands))
        if deep.pixel_scale != survey.pixel_scale:
            yield Problem(("epochs", "template", "survey"), f"{template['survey']} has pixels of {deep.pixel_scale} "
                          f"arcsec, the visits of {survey.pixel_scale}", "use surveys of the same pixel scale")


def _visit_problems(settings, image):
    if visits_of(settings) == 1:
        return
    key, inject = ("patch", "visits"), settings["inject"] or {}
    if image:
        yield Problem(key, "is for simulated sky", "of a real image: raise inject.realisations instead")
    if settings["epochs"] is not None:
        yield Problem(key, "cannot be had with epochs, whose patches are visits of their own",
                      "remove it, or set epochs: null")
    if inject.get("population") != "stars":
        yield Problem(key, "is for artificial stars: other targets would count once per visit",
                      "remove it, or set inject.population: stars")


def _subtractor_problems(settings, image):
    name = settings["subtractor"]
    if name is None:
        if settings["finder"]:
            yield Problem(("finder",), f"{settings['finder']!r} searches differences, and the case has no subtractor",
                          "set subtractor, e.g. zogy, or finder: null")
        return
    if not image and settings["epochs"] is None and name not in NO_TEMPLATE:
        yield Problem(("subtractor",), f"{name!r} needs a template, and simulated patches have one epoch",
                      "give the case `epochs`, or set subtractor to one of " + ", ".join(NO_TEMPLATE))
    if image and not image["template"] and name not in NO_TEMPLATE:
        yield Problem(("subtractor",), f"{name!r} needs a template, and the image {settings['image']} has none",
                      "give the image a `template`, or set subtractor to one of " + ", ".join(NO_TEMPLATE))
    for key, none in (("shear", "0"), ("noise_pairs", "false")):
        if settings[key]:
            what = "the template is not sheared" if key == "shear" else "a transient would count twice"
            yield Problem((key,), f"is for shapes of galaxies: {what}", f"set {key}: {none}")
    inject = settings["inject"]
    if inject is None and not image:  # of a real image this is said for all cases
        yield Problem(("inject",), "is null: nothing would change, and a case with a subtractor measures what does",
                      f"give it inject: {{population: {TRANSIENTS}}}, or a catalogue")
    elif inject and inject.get("population", TRANSIENTS) != TRANSIENTS:
        yield Problem(("inject", "population"), f"{inject['population']!r} do not come and go between epochs",
                      f"set inject.population: {TRANSIENTS}, or give a catalogue")
    if settings["bands"] != [settings["shape_band"]]:
        yield Problem(("bands",), "a case with a subtractor works on the differences of one band",
                      f"set bands: [{settings['shape_band']}]")


def _transient_problems(settings, image):
    inject, key = settings["inject"], ("inject",)
    if inject.get("population") != "transients":
        for name in ("kinds", "snr", "exposure", "fast_share"):
            if name in inject:
                yield Problem((*key, name), "is for population: transients", "remove it")
        return
    kinds = inject.get("kinds") or {}
    if not sum(kinds.values()):
        yield Problem((*key, "kinds"), "no kind of transient has a share",
                      "e.g. kinds: {supernova: 3, nuclear: 1, hostless: 2, trail: 2, comet: 2}")
    if "snr" in inject and not inject["snr"][0] < inject["snr"][1]:
        yield Problem((*key, "snr"), f"is {inject['snr']}", "give the least first, then the largest")
    if settings["shear"]:
        yield Problem(("shear",), "is for static sources", "set shear: 0 where transients are injected")
    unknown = [b for b in settings["bands"] if b not in "ugrizy"]
    if unknown:
        yield Problem(("bands",), f"transients have no colour in {', '.join(unknown)}", "use bands of ugrizy")


def _injection_problems(settings, image):
    inject = settings["inject"]
    if inject is None:
        if image:
            yield Problem(("inject",), "a real image without injection has no source of known truth",
                          "add e.g. inject: {population: cosmodc2}")
        return
    if ("catalogue" in inject) == ("population" in inject):
        yield Problem(("inject",), "needs one of `catalogue` and `population`",
                      "say where the targets come from")
    if not inject["mag"][0] < inject["mag"][1]:
        yield Problem(("inject", "mag"), f"is {inject['mag']}",
                      "give the brightest magnitude first, then the faintest")
    yield from _transient_problems(settings, image)
    isochrone = settings["population"]["stars"].get("kind") == "isochrone"
    if inject.get("population") == "stars" and not image and not isochrone:
        yield Problem(("inject", "population"), "stars of known colours need an isochrone",
                      "set population.stars.kind: isochrone (a surface_density of 0 draws no others)")
    if inject.get("population") == "stars":
        if not settings["measure"].get("psf"):
            yield Problem(("measure", "psf"), "is false: artificial stars would have no flux",
                          "set measure: {psf: true}")
        for name, none in (("shear", 0), ("noise_pairs", "false")):
            if settings.get(name):
                yield Problem((name,), "is for shapes of galaxies: twins of a star field would count twice",
                              f"set {name}: {none}")
    if inject.get("red_clump") and (image or inject.get("population") != "stars"):
        yield Problem(("inject", "red_clump"), "is for stars on simulated sky",
                      "remove it: one band says nothing of a colour")
    if not image and inject["realisations"] > 1:
        yield Problem(("inject", "realisations"), "is for real images",
                      "simulated sky: raise patch.count instead")
    room = (settings["patch"].get("size", 0) * settings["pixel_scale"] / max(inject["separation"], 1e-9)) ** 2
    # placed at random one after the other, which jams at 0.7 of a lattice
    room *= 0.5 if inject.get("population") == "transients" else 1
    if not inject.get("catalogue") and inject["per_patch"] > max(room, 1):
        yield Problem(("inject", "per_patch"),
                      f"{inject['per_patch']} targets {inject['separation']} arcsec apart do not fit",
                      "ask for fewer, for a smaller separation, or for larger patches")
    if "catalogue" in inject:
        yield from _catalogue_problems(inject["catalogue"], settings["bands"])
    if image:
        yield from _pair_problems(settings, image)


def _catalogue_problems(path, bands):
    key = ("inject", "catalogue")
    if not Path(path).is_file():
        yield Problem(key, f"there is no file {path}", "give the path relative to the working directory")
        return
    try:
        columns = _columns(path)
    except Exception as error:
        yield Problem(key, f"{path} cannot be read ({error})", "give a CSV, ECSV, Parquet or FITS table")
        return
    magnitudes = [f"mag_{b}" for b in bands]
    missing = [c for c in INJECTION_COLUMNS if c not in columns]
    if "mag" not in columns:
        missing += [c for c in magnitudes if c not in columns]
    if missing:
        yield Problem(key, f"{path} lacks the columns {', '.join(missing)}",
                      f"columns of LSST's source_injection: {', '.join(INJECTION_COLUMNS)}, mag (or "
                      f"{', '.join(magnitudes)}), and as needed n, half_light_radius, q, beta, stamp, "
                      "trail_length")


def _pair_problems(settings, image):
    """A real image without a template has nothing to subtract: an engine would take the template for empty."""
    engine = settings.get("subtractor")
    if engine and engine not in ("none", "truth") and not image["template"]:
        yield Problem(("subtractor",), f"{engine!r} needs a template, and the image {image['name']} has none",
                      "give the image's entry a `template`, or set subtractor: none")


def _columns(path):
    if str(path).endswith(".csv"):
        with open(path, newline="", encoding="utf-8") as file:
            lines = (line for line in file if not line.startswith("#"))
            return [c.strip() for c in next(csv.reader(lines), [])]
    from astropy.table import Table

    return Table.read(path).colnames
