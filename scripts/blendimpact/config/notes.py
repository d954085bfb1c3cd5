"""What a user should know of a valid configuration: sizes, and what has no effect."""

from ..data.transient_geometry import THRESHOLD
from .case import Settings
from .settings import case_settings, chunks, compared_engines, compared_scenario, skies

LEAST_PATCHES = 30
MOST_JOBS = 2000


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
    default = Settings.model_fields["deblender"].default
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
                found.append(
                    f"cases.{case}, scenario {scenario}: {count} patches; verdicts need at least "
                    f"{LEAST_PATCHES} as resampling units, so none will be given"
                )
            if name := _idle_deblender(block, scenario, case_settings(config, case, scenario)):
                found.append(
                    f"cases.{case}, scenario {scenario}: the deblender {name} is not used, for there is a subtractor"
                )
            if other := _other_threshold(config, case_settings(config, case, scenario)):
                found.append(
                    f"cases.{case}, scenario {scenario}: the search's threshold is {other:g} sigma, and its "
                    f"figures of merit are for it; published values beside them are for {THRESHOLD:g}"
                )
    for sky, choice in ((config["comparison"] or {}).get("skies", {})).items():
        if sky not in skies(config):
            found.append(f"comparison.skies.{sky}: its case {choice['case']} is not enabled, so it is left out")
    if config["subtraction_comparison"] and not compared_engines(config):
        found.append(
            f"subtraction_comparison: its case {config['subtraction_comparison']['case']} is not enabled, so "
            "it is left out"
        )
    total = jobs(config)
    if total > MOST_JOBS:
        found.append(
            f"about {total} jobs; beyond {MOST_JOBS} the graph gets slow: raise chunk_size to "
            f"{config['chunk_size'] * -(-total // MOST_JOBS)} (no result changes)"
        )
    return found
