"""What all rules share: the checked configuration, paths, and the few functions of wildcards."""

import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "scripts"))

from blendimpact.cases.base import case_names
from blendimpact.sky.adopt.pairs import check_pairs
from blendimpact.config import study as study_config
from blendimpact.deblend import DEBLENDERS
from blendimpact.detect import DETECTORS
from blendimpact.errors import StudyError
from blendimpact.search import FINDERS
from blendimpact.subtract import SUBTRACTORS
from blendimpact.data.provenance import stage_digest
from blendimpact.config.schema import find
from blendimpact.config.settings import FIDUCIAL, roles
from blendimpact.data.packages import load_inputs
from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards

# One job is one core: libraries must not start threads of their own.
os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    NUMBA_NUM_THREADS="1",
)


# --- the configuration -------------------------------------------------------------------------


def source(path):
    """Return a file of the project as it is seen from the working directory."""
    return os.path.relpath(os.path.join(workflow.basedir, path))


def read_config():
    """Check the merged configuration; return it with its defaults, the settings by case and scenario, and the skies."""
    sources = [
        os.path.join(workflow.basedir, "config/config.yaml"),
        *workflow.overwrite_configfiles,
    ]
    try:
        study = study_config.validate(
            config,
            sources=sources,
            detectors=DETECTORS.names(),
            deblenders=DEBLENDERS.names(),
            finders=FINDERS.names(),
            subtractors=SUBTRACTORS.names(),
            cases=case_names(),
        )
        settings = {
            (case, scenario): study_config.case_settings(study, case, scenario)
            for case, block in study["cases"].items()
            if block["enabled"]
            for scenario in block["scenarios"]
        }
        skies = {
            sky: (case, study_config.compared_scenario(sky))
            for sky, case in study_config.skies(study).items()
        }
        settings |= {
            key: study_config.case_settings(study, *key) for key in skies.values()
        }
        if workflow.is_main_process:
            check_pairs(settings.values())
            for sentence in study_config.warnings(study):
                logger.warning(f"Note: {sentence}")
    except StudyError as error:
        raise WorkflowError(str(error)) from None
    return study, settings, skies


STUDY, SETTINGS, SKIES = read_config()
SEED = STUDY["seed"]
CHUNKS = {
    key: {
        f"{number:03d}": patches
        for number, patches in enumerate(study_config.chunks(STUDY, settings))
    }
    for key, settings in SETTINGS.items()
}
CASES = list(dict.fromkeys(case for case, _ in SETTINGS))
ENGINES = study_config.compared_engines(STUDY)
PACKAGES = load_inputs(source("config/inputs.yaml"))


wildcard_constraints:
    case="|".join(CASES),
    scenario="|".join(dict.fromkeys(scenario for _, scenario in SETTINGS)),
    chunk=r"\d+",
    name="|".join(PACKAGES),
    engine="|".join(ENGINES or ["none"]),


# --- paths ---------------------------------------------------------------------------------------

INPUTS = "results/inputs"
RESULTS = f"results/{STUDY['study']}"


def product(stage, file):
    """Return the path of a product of one case and scenario."""
    return f"{RESULTS}/{{case}}/{{scenario}}/{stage}/{file}"


def log_of(rule, file):
    """Return the path of a rule's log."""
    return f"{RESULTS}/logs/{rule}/{{case}}.{{scenario}}.{file}.log"


def benchmark_of(rule, file):
    """Return the path of a rule's benchmark."""
    return f"{RESULTS}/benchmarks/{rule}/{{case}}.{{scenario}}.{file}.tsv"


def image_product(path):
    """Return an output that is deleted when it has been used, unless the configuration keeps images."""
    output = ensure(path, non_empty=True)
    return output if STUDY["keep_images"] else temp(output)


def chunk_products(pattern, case):
    """Return the paths of a product of all chunks and scenarios of a case; skies of the comparison are none."""
    return [
        pattern.format(case=name, scenario=scenario, chunk=chunk)
        for (name, scenario), chunks in CHUNKS.items()
        if name == case and (name, scenario) not in SKIES.values()
        for chunk in chunks
    ]


def compared(pattern):
    """Return the paths of a product of all skies, chunks and deblenders of the comparison."""
    return [
        pattern.format(case=case, scenario=scenario, chunk=chunk, deblender=deblender)
        for case, scenario in SKIES.values()
        for deblender in STUDY["comparison"]["deblenders"]
        for chunk in CHUNKS[case, scenario]
    ]


def compared_differences(pattern):
    """Return the paths of a product of all engines of the comparison and those chunks of its case that it takes."""
    choice = STUDY["subtraction_comparison"]
    return [
        pattern.format(
            case=choice["case"], scenario=FIDUCIAL, chunk=chunk, engine=engine
        )
        for engine in ENGINES
        for chunk, patches in CHUNKS[choice["case"], FIDUCIAL].items()
        if min(patches) < choice["patches"]
    ]


# --- functions of wildcards ----------------------------------------------------------------------


def settings_of(wildcards):
    """Return all settings of a case and scenario."""
    return SETTINGS[wildcards.case, wildcards.scenario]


def settings_for(stage):
    """Return a function that gives the part of the settings that a stage depends on."""
    return lambda wildcards: study_config.stage_settings(settings_of(wildcards), stage)


def chosen(wildcards, task):
    """Return the role and the name of what finds ("find") or separates sources in a job.

    An engine that is compared is named by the path of its products; else it is that of the case and scenario.
    """
    settings = settings_of(wildcards)
    role = roles(settings)[task]
    engine = wildcards.get("engine") if task == "separate" else None
    return role, engine or settings[role.key]


def options_for(task):
    """Return a function that gives the options of the plug-in of a job."""

    def options(wildcards):
        role, name = chosen(wildcards, task)
        return STUDY[role.options].get(name, {})

    return options


def more_at_each_attempt(amount):
    """Return a function that gives a resource of which ``amount`` tells the first attempt's from the wildcards."""
    return lambda wildcards, attempt: int(amount(wildcards)) * attempt


def separated(wildcards):
    """Return the separated light of a chunk: child images, or differences."""
    stage = roles(settings_of(wildcards))["separate"].package
    return product(stage, "{chunk}.h5").format(**wildcards)


def separated_before(wildcards):
    """Return what is separated before sources are detected: differences, in cases that have them."""
    first = roles(settings_of(wildcards))["separate"].first
    return separated(wildcards) if first else []


def patches_of(wildcards):
    """Return the numbers of the patches of a chunk."""
    try:
        return CHUNKS[wildcards.case, wildcards.scenario][wildcards.chunk]
    except KeyError:
        raise WorkflowError(
            f"case {wildcards.case}, scenario {wildcards.scenario} has no chunk {wildcards.chunk}"
        ) from None


def package_of(wildcards):
    """Return what pins an input: a change of its description does not fetch it again."""
    entry = PACKAGES[wildcards.name]
    return {key: entry[key] for key in ("package", "version", "sha256", "members")}


def survey_of(wildcards):
    """Return the file that defines the survey of a case and scenario."""
    return os.path.relpath(find("surveys", settings_of(wildcards)["survey"]))


def image_spec_of(wildcards):
    """Return the file that defines the real image of a case and scenario."""
    return os.path.relpath(find("images", settings_of(wildcards)["image"]))


def image_files_of(wildcards):
    """Return the files of a real image and its template: the receipt of a fetched one, and the user's own."""
    image = study_config.load_image(settings_of(wildcards)["image"])
    fetched = [f"{INPUTS}/{image['input']}/receipt.json"] if "input" in image else []
    return fetched + study_config.image_files(image)


def sky_of(plane):
    """Return a function that gives the file that is injected into: a chunk that was simulated, or the real image."""

    def path(wildcards):
        if settings_of(wildcards)["sky"] == "simulate":
            return product("simulate", f"{{chunk}}.{plane}").format(**wildcards)
        return product("adopt", f"image.{plane}").format(
            case=wildcards.case, scenario=adopted_by(wildcards)
        )

    return path


def adopted_by(wildcards):
    """Return whose adopted image a scenario uses: the fiducial one's, if it would be the same."""
    own, fiducial = (
        {
            **study_config.stage_settings(SETTINGS[wildcards.case, name], "adopt"),
            "scenario": None,
        }
        for name in (wildcards.scenario, FIDUCIAL)
    )
    return FIDUCIAL if own == fiducial else wildcards.scenario


def scene_of(plane):
    """Return a function that gives the file that is detected on: a chunk that was simulated, or injected into."""

    def path(wildcards):
        stage = "inject" if settings_of(wildcards)["inject"] else "simulate"
        return (product(stage, "{chunk}.") + plane).format(**wildcards)

    return path


def first_chunk(what):
    """Return a function that gives a path, or what a function gives, for the first chunk of a case as it is."""

    def first(wildcards):
        chunk = Wildcards(
            fromdict={"case": wildcards.case, "scenario": FIDUCIAL, "chunk": "000"}
        )
        return what(chunk) if callable(what) else what.format(**chunk)

    return first


def stars_of(wildcards):
    """Return the stars that a simulation draws."""
    if study_config.stars_from(settings_of(wildcards)) == "isochrone":
        return rules.isochrone.output.stars
    return rules.population.output.stars


def template_of(wildcards):
    """Return the file that defines the survey of the template, if there is one."""
    template = (settings_of(wildcards)["epochs"] or {}).get("template", {})
    return (
        [os.path.relpath(find("surveys", template["survey"]))]
        if "survey" in template
        else []
    )


def visits_of(wildcards):
    """Return the table that visits are drawn from, if they are."""
    epochs = settings_of(wildcards)["epochs"]
    drawn = epochs and epochs["visits"]["source"] == "sorcha"
    return [rules.visits.output.visits] if drawn else []


def injected_from(wildcards):
    """Return what targets are drawn from: the user's catalogue, the isochrone, supernovae, or the galaxies."""
    settings = settings_of(wildcards)
    kind = study_config.injected_from(settings)
    if kind == "catalogue":
        return settings["inject"]["catalogue"]
    if kind == "isochrone":
        return rules.isochrone.output.stars
    if kind == "supernovae":
        return rules.supernovae.output.supernovae
    return rules.population.output.galaxies


def coma_of(wildcards):
    """Return the stamp of a real coma, if it is injected."""
    kinds = (settings_of(wildcards)["inject"] or {}).get("kinds", {})
    return [rules.coma.output.stamp] if kinds.get("coma_9p") else []


def scores_of(case):
    """Return the scores of all chunks and scenarios of a case."""
    return chunk_products(product("score", "{chunk}.parquet"), case)


def sources_of(*cases):
    """Return what some cases start from: receipts of what was fetched, definitions of surveys and images."""
    found = set()
    for (case, scenario), settings in SETTINGS.items():
        if case not in cases or (case, scenario) in SKIES.values():
            continue
        key = Wildcards(fromdict={"case": case, "scenario": scenario})
        if settings["sky"] == "adopt":
            found |= {image_spec_of(key), *image_files_of(key)}
        else:
            found |= {survey_of(key), *template_of(key), *visits_of(key)}
        found |= {injected_from(key), *coma_of(key)}
    return sorted(found)


def results_depend_on(study):
    """Return the configuration without what only says how the work is cut."""
    return {k: v for k, v in study.items() if k not in ("chunk_size", "keep_images")}


def per_attempt(amount):
    """Return a function that gives a resource, more of it at each attempt."""
    return lambda wildcards, attempt: amount * attempt


def announce():
    """Say where the answer is."""
    matrix = f"{RESULTS}/matrix.html"
    if os.path.exists(matrix):
        print(f"The matrix: {matrix}", file=sys.stderr)
