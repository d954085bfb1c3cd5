"""The configuration of a study: overlays, checks, and the settings of one case and scenario."""

from ..data.transient_geometry import THRESHOLD
from .checks import cross_problems
from .real_image import image_files, load_image
from .schema import CONFIG_DIR, Source, fill_defaults, load_schema, load_yaml, merge, problems, raise_problems
from .settings import (
    block_of,
    case_settings,
    chunks,
    compared_engines,
    compared_scenario,
    injected_from,
    patches,
    separator,
    skies,
    stage_settings,
    stars_from,
)

__all__ = ["block_of", "case_settings", "chunks", "compared_engines", "compared_scenario", "image_files",
           "injected_from", "jobs", "load_config", "load_image", "patches", "separator", "skies", "stage_settings",
           "stars_from", "validate", "warnings"]

LEAST_PATCHES = 30
MOST_JOBS = 2000


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


def validate(config, sources=None, detectors=None, deblenders=None, cases=None, subtractors=None, finders=None):
    """Check a merged configuration and fill in its defaults.

    Parameters
    ----------
    config : dict
        As `load_config` or Snakemake made it; not changed.
    sources : sequence of path or Source, optional
        Files that it was merged from, in order: messages name the file and line of a key.
        Default: ``config/config.yaml``.
    detectors, deblenders, cases, subtractors, finders : sequence of str, optional
        Names that exist; what is not given is not checked.

    Returns
    -------
    dict
        With defaults, and without the scenarios that were set to null.

    Raises
    ------
    StudyError
        That names every key that is wrong, with its file and what to do. ``problems`` holds them.
    """
    config = _plain(config)
    if sources is None:
        sources = [p for p in [CONFIG_DIR / "config.yaml"] if p.is_file()]
    sources = [s if isinstance(s, Source) else load_yaml(s) for s in sources]
    sources = [Source(s.path, s.data, {k: n for k, n in s.lines.items() if _holds(s.data, config, k)})
               for s in sources]
    schema = load_schema("config")
    raise_problems(problems(config, schema), sources)
    config = fill_defaults(config, schema)
    for case in config["cases"].values():
        case["scenarios"] = {k: v for k, v in case["scenarios"].items() if v is not None}
    if config["comparison"]:
        chosen = config["comparison"]["skies"]
        config["comparison"]["skies"] = {k: v for k, v in chosen.items() if v is not None}
    known = {"detectors": detectors, "deblenders": deblenders, "finders": finders, "subtractors": subtractors}
    raise_problems(list(dict.fromkeys(cross_problems(config, known, cases))), sources)
    return config


def _plain(value):
    """Return a copy in plain dicts and lists: Snakemake reads JSON files into ordered dicts."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


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
    return isinstance(mine, (dict, list)) or mine == merged


def jobs(config):
    """Return about how many jobs a checked configuration makes (five or six per chunk)."""
    total = 0
    for case, block in config["cases"].items():
        for scenario in block["scenarios"] if block["enabled"] else ():
            settings = case_settings(config, case, scenario)
            stages = 6 if settings["sky"] == "simulate" and settings["inject"] else 5
            total += stages * len(chunks(config, settings))
    for sky, case in skies(config).items():
        number = len(chunks(config, case_settings(config, case, compared_scenario(sky))))
        total += (3 + len(config["comparison"]["deblenders"])) * number
    if engines := compared_engines(config):
        chosen = config["subtraction_comparison"]
        least = min(chosen["patches"], case_settings(config, chosen["case"])["patch"]["count"])
        total += len(engines) * -(-least // config["chunk_size"])
    return total


def _idle_deblender(block, scenario, settings):
    """Return the deblender that was chosen beside a subtractor, or None. The default's name counts as not chosen."""
    default = load_schema("config")["$defs"]["case"]["properties"]["deblender"]["default"]
    chosen = settings["deblender"] != default or "deblender" in block["scenarios"][scenario]
    return settings["deblender"] if settings["subtractor"] and chosen else None


def search_threshold(config, settings):
    """Return the threshold, sigma, of the search of differences that is configured."""
    return config["finders"].get(settings["finder"], {}).get("threshold", THRESHOLD)


def _other_threshold(config, settings):
    """Return the threshold of the search of a case with a subtractor, if another than the usual one is configured."""
    chosen = search_threshold(config, settings)
    return chosen if settings["subtractor"] and chosen != THRESHOLD else None


def warnings(config):
    """Return what a user should know of a valid configuration: a list of sentences."""
    found = []
    for case, block in config["cases"].items():
        for scenario in block["scenarios"] if block["enabled"] else ():
            count = case_settings(config, case, scenario)["patch"]["count"]
            if count < LEAST_PATCHES:
                found.append(f"cases.{case}, scenario {scenario}: {count} patches; verdicts need at least "
                             f"{LEAST_PATCHES} as resampling units, so none will be given")
            if name := _idle_deblender(block, scenario, case_settings(config, case, scenario)):
                found.append(f"cases.{case}, scenario {scenario}: the deblender {name} is not used, for there is a "
                             "subtractor")
            if other := _other_threshold(config, case_settings(config, case, scenario)):
                found.append(f"cases.{case}, scenario {scenario}: the search's threshold is {other:g} sigma, and its "
                             f"figures of merit are for it; published values beside them are for {THRESHOLD:g}")
    for sky, choice in ((config["comparison"] or {}).get("skies", {})).items():
        if sky not in skies(config):
            found.append(f"comparison.skies.{sky}: its case {choice['case']} is not enabled, so it is left out")
    if config["subtraction_comparison"] and not compared_engines(config):
        found.append(f"subtraction_comparison: its case {config['subtraction_comparison']['case']} is not enabled, so "
                     "it is left out")
    total = jobs(config)
    if total > MOST_JOBS:
        found.append(f"about {total} jobs; beyond {MOST_JOBS} the graph gets slow: raise chunk_size to "
                     f"{config['chunk_size'] * -(-total // MOST_JOBS)} (no result changes)")
    return found
