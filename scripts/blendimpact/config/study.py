"""The configuration of a study: overlays, checks, and the settings of one case and scenario."""

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ..errors import StudyError
from .case import FIDUCIAL, TRANSIENTS, Case, Settings, Sky, injection_problems, population_problems
from .files import CONFIG_DIR, Problem, Source, load_yaml, merge, nearest, raise_problems
from .measure import Measure
from .models import STUDY, Distinct, Model, Name, Options, Text, Whole, override, read
from .notes import jobs, warnings
from .photo_z import photo_z_problems
from .plugins import member_problems, unknown
from .real_image import image_files, load_image
from .settings import (
    COMPARED,
    block_of,
    case_settings,
    chunks,
    compared_engines,
    compared_scenario,
    merged_settings,
    patches,
    separator,
    skies,
    stage_settings,
)

__all__ = [
    "block_of",
    "case_settings",
    "chunks",
    "compared_engines",
    "compared_scenario",
    "image_files",
    "jobs",
    "load_config",
    "load_image",
    "patches",
    "separator",
    "skies",
    "stage_settings",
    "validate",
    "warnings",
]

TAKEN = {"inputs": "the fetched inputs", "reference": "what is published"}
"""Folders of results/ that are no study's."""


def _own_folder(name):
    if name.lower() in TAKEN:  # file systems may not tell upper case from lower
        raise PydanticCustomError("study", f"results/{name.lower()} is for {TAKEN[name.lower()]}")
    return name


class Comparison(Model):
    """Deblenders side by side on the same patches."""

    deblenders: Annotated[list[Text], Distinct] = Field(
        min_length=1, description="Deblenders that are compared, with their options under `deblenders`."
    )
    skies: dict[Name, Sky | None] = Field(
        min_length=1,
        description="Skies on which they are compared, by name: each a `case`, and keys that differ from "
        "its fiducial scenario; null removes one.",
    )


class SubtractionComparison(Model):
    """Engines of difference imaging side by side on the same patches."""

    case: Text = Field(description="Science case with a `subtractor`, whose fiducial patches are taken.")
    engines: Annotated[list[Text], Distinct] = Field(
        min_length=1,
        description="Engines that are compared, with their options under `subtractors`; truth and none are bounds.",
    )
    patches: Whole = Field(ge=1, description="So many patches of the case, the first ones, or as many as it has.")


def _options(plugins, one):
    text = f"Options of the {plugins} by name; which options there are is the {one}'s own matter."
    return Field({}, description=text)


class Study(Model):
    """The configuration of a study: config/config.yaml with overlays laid over it."""

    study: Annotated[str, Field(pattern=STUDY), AfterValidator(_own_folder)] = Field(
        "laptop", description="Name of the study: its products are in results/<study>."
    )
    seed: Whole = Field(20181116, ge=0, description="Root of every random number. Another seed is another universe.")
    chunk_size: Whole = Field(12, ge=1, description="Patches per job. Changes no result.")
    keep_images: bool = Field(
        False, description="Keep patch images and child images (true), or delete each when it has been used (false)."
    )
    bootstrap: Whole = Field(1000, ge=100, le=100000, description="Bootstrap resamples behind each interval.")
    cases: dict[Name, Case] = Field(min_length=1, description="Science cases (rows of the matrix) by name.")
    detectors: dict[str, Options] = _options("detectors", "detector")
    deblenders: dict[str, Options] = _options("deblenders", "deblender")
    finders: dict[str, Options] = _options("difference finders", "finder")
    subtractors: dict[str, Options] = _options("engines of difference imaging", "engine")
    estimators: dict[str, Options] = _options("estimators of photometric redshifts", "estimator")
    measure: override(Measure) = Field(override(Measure)(), description="How child images are measured.")
    comparison: Comparison | None = Field(
        None, description="Deblenders side by side on the same patches; null: leave it out."
    )
    subtraction_comparison: SubtractionComparison | None = Field(
        None, description="Engines of difference imaging side by side on the same patches; null: leave it out."
    )

    def plain(self):
        """Return the study as a dict of JSON-able values, with defaults; what null has removed is left out."""
        plain = super().plain()
        for case in plain["cases"].values():
            case["scenarios"] = {k: v for k, v in case["scenarios"].items() if v is not None}
        if plain["comparison"]:
            plain["comparison"]["skies"] = {k: v for k, v in plain["comparison"]["skies"].items() if v is not None}
        return plain


def load_config(paths=(), overrides=None, base=None):
    """Return the study's configuration: the base file with overlays laid over it, not yet checked.

    Parameters
    ----------
    paths : sequence of path-like
        Overlays (presets), the last one wins.
    overrides : dict, optional
        Laid over all of them.
    base : path-like, optional
        Default ``config/config.yaml``.
    """
    config = load_yaml(base or CONFIG_DIR / "config.yaml").data
    for path in paths:
        config = merge(config, load_yaml(path).data)
    return merge(config, overrides or {})


def validate(config, sources=None, families=None, cases=None):
    """Check a merged configuration and fill in its defaults.

    Parameters
    ----------
    config : dict
        As `load_config` or Snakemake made it; not changed.
    sources : sequence of path or Source, optional
        Files that it was merged from, in order: messages name the file and line of a key.
        Default: ``config/config.yaml``.
    families : dict of str to Family, optional
        Plug-in families by the key of their options ("detectors"): they know their members and check the options of
        each. A family that is not given is not checked.
    cases : sequence of str, optional
        Names of the science cases; if not given they are not checked.

    Returns
    -------
    dict
        As the model `Study` gives it: with defaults (of a case's own keys not: `case_settings` has them), and without
        the scenarios that were set to null.

    Raises
    ------
    StudyError
        That names every key that is wrong, with its file and what to do. ``problems`` holds them.
    """
    if sources is None:
        sources = [p for p in [CONFIG_DIR / "config.yaml"] if p.is_file()]
    sources = [s if isinstance(s, Source) else load_yaml(s) for s in sources]
    config = _plain(config)
    sources = [Source(s.path, s.data, {k: n for k, n in s.lines.items() if _holds(s.data, config, k)}) for s in sources]
    study, found = read(config, Study)
    raise_problems(found, sources)
    study = study.plain()
    raise_problems(list(dict.fromkeys(_problems(study, families or {}, cases))), sources)
    return study


def _problems(study, families, cases):
    """Yield what is wrong with the settings of each case and scenario, and of the comparisons."""
    for key, family in families.items():
        if key in study:
            yield from (problem.below(key) for problem in member_problems(family, study[key]))
    measurements = families.get("measurements")
    yield from (
        problem.below("measure", "measurements")
        for problem in member_problems(measurements, study["measure"].get("measurements", {}))
    )
    if not any(block["enabled"] for block in study["cases"].values()):
        yield Problem(("cases",), "every case is disabled: nothing is left to do", "set `enabled: true` for one")
    for case, block in study["cases"].items():
        if cases is not None and case not in cases:
            yield Problem(("cases", case), "there is no science case of that name", nearest(case, cases))
            continue
        if not block["enabled"]:
            continue
        if FIDUCIAL not in block["scenarios"]:
            yield Problem(
                ("cases", case, "scenarios"),
                f"lacks the scenario {FIDUCIAL!r}",
                f"add `{FIDUCIAL}: {{}}`: it is what the matrix shows",
            )
        yield from (problem.below("cases", case) for problem in _case_problems(study, case, families))
        for scenario in block["scenarios"]:
            if scenario.startswith(COMPARED):
                yield Problem(
                    ("cases", case, "scenarios", scenario),
                    f"a scenario's name cannot begin with {COMPARED}",
                    "skies of the comparison are called so: choose another name",
                )
    if study["comparison"]:
        yield from (problem.below("comparison") for problem in _comparison_problems(study, families))
    if study["subtraction_comparison"]:
        yield from (problem.below("subtraction_comparison") for problem in _engine_problems(study, families))


def _case_problems(study, case, families):
    """Yield what is wrong with a case and its scenarios; what is wrong without a scenario too is wrong in the case."""
    alone = set(_found(study, case, {}, families))
    found = {name: _found(study, case, more, families) for name, more in study["cases"][case]["scenarios"].items()}
    shared = [problem for problems in found.values() for problem in problems if problem in alone]
    yield from shared
    keys = {problem.key for problem in shared}
    for scenario, changes in study["cases"][case]["scenarios"].items():
        for problem in found[scenario]:
            if problem not in alone and (problem.key not in keys or _has(changes, problem.key)):
                yield problem.below("scenarios", scenario)


def _measurement_problems(family, chosen, everywhere):
    """Yield what is wrong with the measurements of a case, but what is so in the whole study."""
    found = list(member_problems(family, {k: v for k, v in chosen.items() if everywhere.get(k) != v}))
    yield from found
    if not found:
        try:
            family.together(name for name in chosen if name in family.names())
        except StudyError as error:
            yield Problem((), error.what, error.remedy)


def _found(study, case, changes, families, scenario=FIDUCIAL):
    """Return the problems of a case with changes in place of its scenarios, or of a sky of the comparison."""
    block = study["cases"][case]
    if scenario == FIDUCIAL:
        block = {**block, "scenarios": {FIDUCIAL: changes}}
    try:
        merged = merged_settings({**study, "cases": {case: block}}, case, scenario)
        settings, found = read(merged, Settings)
    except StudyError as error:  # a survey or an image that cannot be read
        key = "image" if changes.get("sky", block.get("sky")) == "adopt" else "survey"
        return [Problem((key,), str(error).replace("\n  Remedy: ", ". "))]
    if settings and "measurements" in families and not settings.subtractor:
        found += [
            problem.below("measure", "measurements")
            for problem in _measurement_problems(
                families["measurements"],
                settings.measure.plain()["measurements"],
                study["measure"].get("measurements", {}),
            )
        ]
    for key, family in families.items() if settings else ():
        if key == "populations":
            found += [*population_problems(family, settings), *injection_problems(family, settings)]
        if key == "estimators" and settings.photo_z:
            found += photo_z_problems(family, settings, partial(merged_settings, study, case))
        if key not in study:
            continue
        key = key.removesuffix("s")
        name = getattr(settings, key, None)
        wrong = unknown(family, name)
        if name and not wrong and name not in study[f"{key}s"]:  # else it is said of its options
            wrong = family.problems(name, {})
        found += [problem.below(key) for problem in wrong]
    return found


def _comparison_problems(study, families):
    comparison, known = study["comparison"], skies(study)
    for number, name in enumerate(comparison["deblenders"]):
        yield from (problem.below("deblenders", number) for problem in unknown(families.get("deblenders"), name))
    for sky, choice in comparison["skies"].items():
        key, case = ("skies", sky), choice["case"]
        if case not in study["cases"]:
            yield Problem((*key, "case"), f"there is no case {case!r}", nearest(case, study["cases"]))
        elif sky in known and FIDUCIAL in study["cases"][case]["scenarios"]:
            alone = _found(study, case, study["cases"][case]["scenarios"][FIDUCIAL], families)
            if study["cases"][case].get("subtractor"):
                yield Problem(
                    (*key, "case"),
                    f"{case} has a subtractor: there is no deblender to compare",
                    "compare subtractors by scenarios of the case",
                )
            for problem in _found(study, case, {}, families, compared_scenario(sky)):
                if problem not in alone:  # else it is the case's
                    yield problem.below(*key)


def _engine_problems(study, families):
    chosen = study["subtraction_comparison"]
    case = chosen["case"]
    for number, name in enumerate(chosen["engines"]):
        yield from (problem.below("engines", number) for problem in unknown(families.get("subtractors"), name))
    if case not in study["cases"]:
        yield Problem(("case",), f"there is no case {case!r}", nearest(case, study["cases"]))
        return
    block = study["cases"][case]
    settings = merge(block, block["scenarios"].get(FIDUCIAL) or {})
    wanted = (
        (
            settings.get("sky", "simulate") == "simulate" and settings.get("epochs") is not None,
            "has no simulated template: without it engines have nothing to subtract",
            "choose a case with `epochs`",
        ),
        (settings.get("subtractor"), "has no subtractor: it does not work on differences", "choose a case with one"),
        (
            (settings.get("inject") or {}).get("population") == TRANSIENTS,
            f"has no inject.population: {TRANSIENTS}, of whose kinds engines are judged",
            "choose a case with it",
        ),
        (not settings.get("shear"), "has a shear, which the template does not have", "set its shear: 0"),
    )
    for met, what, remedy in wanted:
        if not met:
            yield Problem(("case",), f"{case} {what}", f"{remedy}, or set subtraction_comparison: null")


def _plain(value):
    """Return a copy in plain dicts and lists: Snakemake reads JSON files into ordered dicts."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _has(data, key):
    """Return whether nested mappings hold a key."""
    for part in key:
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def _get(data, key):
    for part in key:
        data = data[part]
    return data


def _holds(data, config, key):
    """Return whether a source still decides the key: its value is that of the merged configuration."""
    try:
        mine, merged = _get(data, key), _get(config, key)
    except (KeyError, IndexError, TypeError):
        return False
    return isinstance(mine, (dict, list)) or mine == merged or (mine != mine and merged != merged)  # NaN is NaN
