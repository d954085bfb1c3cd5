"""The plan of a study: which chunks of patches there are, where products are, and what the jobs of each rule depend on.

Rules take paths and parameters from here. What differs between the jobs of a rule is a method of one argument, the
wildcards of the job: anything with the attributes ``case``, ``scenario`` and ``chunk`` (as far as the rule has them).
"""

import os
from itertools import combinations
from typing import NamedTuple

from ..cases.base import case_names, with_needs
from ..cases.files import BOARD, case_files
from ..config import study as study_config
from ..config.files import find
from ..config.registry import load_inputs
from ..config.settings import FIDUCIAL, roles, same_sky
from ..data import lifetime
from ..deblend import DEBLENDERS
from ..detect import DETECTORS
from ..errors import StudyError
from ..measure import MEASUREMENTS
from ..photoz import ESTIMATORS
from ..populations import POPULATIONS, drawn_tables, tables_of
from ..search import FINDERS
from ..subtract import SUBTRACTORS
from .paths import fetched, prepared

FAMILIES = {
    family.config_key: family
    for family in (DETECTORS, DEBLENDERS, FINDERS, SUBTRACTORS, MEASUREMENTS, POPULATIONS, ESTIMATORS)
}


class Job(NamedTuple):
    """What the path of a product says of the job that makes it."""

    case: str
    scenario: str = FIDUCIAL
    chunk: str = "000"


def read_study(config, sources, plugins=True):
    """Return the `Plan` of a configuration.

    Parameters
    ----------
    config : dict
        Merged, not yet checked.
    sources : sequence of path-like
        Files that it was merged from, in order.
    plugins : bool, optional
        Whether names and options of plug-ins are checked, for which those with options are imported.

    Raises
    ------
    StudyError
        That names every key that is wrong.
    """
    families = FAMILIES if plugins else None
    return Plan(study_config.validate(config, sources=sources, families=families, cases=case_names()))


def prepare_jobs(scripts):
    """Set what all jobs inherit: one core each, the library in this folder, whatever else is installed, and whom for.

    Every process of Snakemake that reads the workflow does so, also on the nodes of a cluster: a job works for the
    nearest one.
    """
    os.environ[lifetime.WORKFLOW] = lifetime.this_process()
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [scripts, os.environ.get("PYTHONPATH")]))


class Plan:
    """Paths and parameters of all jobs of a study.

    Parameters
    ----------
    study : dict
        The checked configuration, from `config.study.validate`.

    Attributes
    ----------
    settings : dict of (str, str) to dict
        Settings by case and scenario. Each sky on which deblenders are compared is a scenario too.
    chunks : dict of (str, str) to dict of str to list of int
        Numbers of the patches of each chunk ("000", ...), by case and scenario.
    cases : list of str
        Those that are enabled.
    skies : dict of str to (str, str)
        Case and scenario of each sky on which deblenders are compared.
    engines : list of str
        Subtraction engines that are compared.
    packages : dict of str to dict
        Inputs that can be fetched.
    populations : dict of str to config.plugins.Declaration
        Populations that are built from them.
    results : str
        Folder of the study's products.
    """

    def __init__(self, study):
        self.study, self.seed = study, study["seed"]
        self.results = f"results/{study['study']}"
        self.packages = load_inputs()
        self.populations = {name: declared for name, declared in POPULATIONS.declarations().items() if declared.inputs}
        self.skies = {
            sky: (case, study_config.compared_scenario(sky)) for sky, case in study_config.skies(study).items()
        }
        self.engines = study_config.compared_engines(study)
        own = [
            (case, scenario)
            for case, block in study["cases"].items()
            if block["enabled"]
            for scenario in block["scenarios"]
        ]
        self.cases = list(dict.fromkeys(case for case, _ in own))
        self.settings = {
            key: with_needs(study_config.case_settings(study, *key), added=key in own)
            for key in [*own, *self.skies.values()]
        }
        self.chunks = {
            key: {f"{number:03d}": patches for number, patches in enumerate(study_config.chunks(study, settings))}
            for key, settings in self.settings.items()
        }

    @property
    def scenarios(self):
        """Names of all scenarios of all cases."""
        return list(dict.fromkeys(scenario for _, scenario in self.settings))

    @property
    def config(self):
        """The configuration without what only says how the work is cut: it changes no result."""
        return {k: v for k, v in self.study.items() if k not in ("chunk_size", "keep_images")}

    def notes(self):
        """Return what a user should know of the configuration: a list of sentences."""
        rows = case_files(BOARD)
        return study_config.warnings(self.study) + [
            f"the case {case} has no {BOARD}: it has no row on the board" for case in self.cases if case not in rows
        ]

    # --- paths: patterns of Snakemake, with {case}, {scenario} and {chunk} -----------------------------------------

    def product(self, stage, file):
        """Return the path of a product of one case and scenario."""
        return f"{self.results}/{{case}}/{{scenario}}/{stage}/{file}"

    def log(self, job, folder=None):
        """Return the path of the log of a job, by its name: ``rule``, or ``rule/`` and its wildcards."""
        return f"{folder or self.results}/logs/{job}.log"

    def benchmark(self, job, folder=None):
        """Return the path of the benchmark of a job, what Snakemake measures of it, by its name."""
        return f"{folder or self.results}/benchmarks/{job}.tsv"

    def scores(self, *cases):
        """Return the scores of all chunks and scenarios of some cases, without the skies of the comparison."""
        pattern = self.product("score", "{chunk}.parquet")
        return [
            pattern.format(case=case, scenario=scenario, chunk=chunk)
            for (case, scenario), chunks in self.chunks.items()
            if case in cases and (case, scenario) not in self.skies.values()
            for chunk in chunks
        ]

    def same_skies(self, case):
        """Return (reference, scenario) of the scenarios of a case that have the same images; the fiducial one first."""
        mine = {key[1]: s for key, s in self.settings.items() if key[0] == case and key not in self.skies.values()}
        names = sorted(mine, key=lambda name: name != FIDUCIAL)
        return [list(pair) for pair in combinations(names, 2) if same_sky(*(mine[name] for name in pair))]

    def compared(self, pattern):
        """Return the paths of a product of all skies, deblenders and chunks of the comparison."""
        return [
            pattern.format(case=case, scenario=scenario, chunk=chunk, deblender=deblender)
            for case, scenario in self.skies.values()
            for deblender in self.study["comparison"]["deblenders"]
            for chunk in self.chunks[case, scenario]
        ]

    def compared_differences(self, pattern):
        """Return the paths of a product of all engines of the comparison and those chunks of its case that it takes."""
        choice = self.study["subtraction_comparison"]
        return [
            pattern.format(case=choice["case"], scenario=FIDUCIAL, chunk=chunk, engine=engine)
            for engine in self.engines
            for chunk, patches in self.chunks[choice["case"], FIDUCIAL].items()
            if min(patches) < choice["patches"]
        ]

    # --- parameters ------------------------------------------------------------------------------------------------

    def settings_of(self, job):
        """Return all settings of a case and scenario."""
        return self.settings[job.case, job.scenario]

    def settings_for(self, stage):
        """Return a function of a job: the part of its settings that a stage depends on."""
        return lambda wildcards: study_config.stage_settings(self.settings_of(wildcards), stage)

    def patches(self, job):
        """Return the numbers of the patches of a chunk.

        Raises
        ------
        StudyError
            If the case and scenario have no such chunk.
        """
        chunks = self.chunks[job.case, job.scenario]
        if job.chunk not in chunks:
            raise StudyError(
                f"there is no chunk {job.chunk}",
                f"case {job.case}, scenario {job.scenario}",
                f"the last one is {max(chunks)}",
            )
        return chunks[job.chunk]

    def member(self, job, task):
        """Return family and name of what is to "find" or "separate" sources, or "estimate" redshifts, in a job.

        An engine that is compared is named by the path of its products; else it is that of the case and scenario.
        """
        settings = self.settings_of(job)
        if task == "estimate":
            return ESTIMATORS, settings["photo_z"]["estimator"]
        role = roles(settings)[task]
        engine = getattr(job, "engine", None) if task == "separate" else None
        return FAMILIES[role.options], engine or settings[role.key]

    def options_for(self, task):
        """Return a function of a job: the options of its plug-in for a task."""

        def options(wildcards):
            family, name = self.member(wildcards, task)
            return self.study[family.config_key].get(name, {})

        return options

    def declaration(self, job, task):
        """Return what the plug-in for a task ("measure": all that are) says of its jobs: environment and memory."""
        if task == "measure":
            return MEASUREMENTS.together(self.settings_of(job)["measure"]["measurements"])
        family, name = self.member(job, task)
        return family.declaration(name)

    def environment_for(self, task):
        """Return a function of a job: the conda environment of its plug-in for a task."""
        return lambda wildcards: f"../envs/{self.declaration(wildcards, task).environment}.yaml"

    def memory_for(self, task):
        """Return a function of a job: the memory (MB) of its plug-in for a task."""
        return lambda wildcards: self.declaration(wildcards, task).memory_mb

    def compared_deblenders(self):
        """Return {conda environment: (deblenders of the comparison that need it, the most memory, MB, of any)}."""
        found = {}
        for name in sorted(self.study["comparison"]["deblenders"]):
            declared = DEBLENDERS.declaration(name)
            names, memory = found.get(declared.environment, ([], 0))
            found[declared.environment] = [*names, name], max(memory, declared.memory_mb)
        return found

    def package(self, job):
        """Return what pins an input: a change of its description does not fetch it again."""
        return {key: self.packages[job.name][key] for key in ("package", "version", "sha256", "members")}

    # --- what a case starts from -----------------------------------------------------------------------------------

    def survey(self, job):
        """Return the file that defines the survey of a case and scenario."""
        return os.path.relpath(find("surveys", self.settings_of(job)["survey"]))

    def template(self, job):
        """Return the file that defines the survey of the template, if there is one."""
        template = (self.settings_of(job)["epochs"] or {}).get("template", {})
        return [os.path.relpath(find("surveys", template["survey"]))] if "survey" in template else []

    def visits(self, job):
        """Return the table that visits are drawn from, if they are."""
        epochs = self.settings_of(job)["epochs"]
        return prepared("visits") if epochs and epochs["visits"]["source"] == "sorcha" else []

    def drawn(self, job):
        """Return what a simulated sky is drawn from."""
        return [prepared(name) for name in drawn_tables(self.settings_of(job))]

    def image_spec(self, job):
        """Return the file that defines the real image of a case and scenario."""
        return os.path.relpath(find("images", self.settings_of(job)["image"]))

    def image_files(self, job):
        """Return the files of a real image and its template: the receipt of a fetched one, and the user's own."""
        settings = self.settings_of(job)
        image = study_config.load_image(settings["image"])
        receipts = [fetched(image["input"])] if "input" in image else []
        return receipts + study_config.image_files(image, settings["bands"])

    def tables(self, job):
        """Return what the targets of a case and scenario are drawn from."""
        return [prepared(name) for name in tables_of(self.settings_of(job))]

    def catalogue(self, job):
        """Return the user's injection catalogue, if there is one."""
        return (self.settings_of(job)["inject"] or {}).get("catalogue", [])

    def receipts(self, job):
        """Return the receipts of what a population is built from."""
        return [fetched(name) for name in self.populations[job.population].inputs]

    def sources(self, *cases):
        """Return what some cases start from: receipts of what was fetched, definitions of surveys and images."""
        found = []
        for key, settings in self.settings.items():
            if key[0] not in cases or key in self.skies.values():
                continue
            job = Job(*key)
            if settings["sky"] == "adopt":
                found += [self.image_spec(job), *self.image_files(job)]
            else:
                found += [self.survey(job), *self.template(job)]
                found += [self.visits(job), *self.drawn(job)]
            found += [*self.tables(job), self.catalogue(job)]
        return sorted({path for path in found if path})

    def read_before(self):
        """Return what is read before any job: definitions and files of images, and catalogues."""
        found = []
        for key, settings in self.settings.items():
            if settings["sky"] == "adopt":
                found += [self.image_spec(Job(*key)), *self.image_files(Job(*key))]
            found.append(self.catalogue(Job(*key)))
        return sorted({path for path in found if path})

    # --- what a stage reads of the one before ----------------------------------------------------------------------

    def _made(self, job, stage, file):
        return self.product(stage, file).format(case=job.case, scenario=job.scenario)

    def adopted_by(self, job):
        """Return whose adopted image a scenario uses: the fiducial one's, if it would be the same."""
        own, fiducial = (
            {**study_config.stage_settings(self.settings[job.case, name], "adopt"), "scenario": None}
            for name in (job.scenario, FIDUCIAL)
        )
        return FIDUCIAL if own == fiducial else job.scenario

    def sky(self, plane):
        """Return a function of a job: the file that is injected into, a chunk that was simulated or the real image."""

        def path(wildcards):
            if self.settings_of(wildcards)["sky"] == "simulate":
                return self._made(wildcards, "simulate", f"{wildcards.chunk}.{plane}")
            return self._made(Job(wildcards.case, self.adopted_by(wildcards)), "adopt", f"image.{plane}")

        return path

    def scene(self, plane):
        """Return a function of a job: the file that is detected on, a chunk that was simulated or injected into."""

        def path(wildcards):
            stage = "inject" if self.settings_of(wildcards)["inject"] else "simulate"
            return self._made(wildcards, stage, f"{wildcards.chunk}.{plane}")

        return path

    def separated(self, job):
        """Return the separated light of a chunk: child images, or differences."""
        return self._made(job, roles(self.settings_of(job))["separate"].package, f"{job.chunk}.h5")

    def separated_before(self, job):
        """Return what is separated before sources are detected: differences, in cases that have them."""
        return self.separated(job) if roles(self.settings_of(job))["separate"].first else []

    def training(self, job, what):
        """Return what a pattern, or a function of a job, is for each chunk that redshifts are trained on."""
        scenario = self.settings_of(job)["photo_z"]["training"]
        jobs = [Job(job.case, scenario, chunk) for chunk in self.chunks[job.case, scenario]]
        return [what(each) if callable(what) else what.format(**each._asdict()) for each in jobs]

    def redshifts(self, job):
        """Return the photometric redshifts of a chunk, if there are any."""
        return self._made(job, "redshift", f"{job.chunk}.parquet") if self.settings_of(job)["photo_z"] else []

    def first_chunk(self, what):
        """Return a function of a case: a pattern, or a function of a job, for its first fiducial chunk."""

        def first(wildcards):
            job = Job(wildcards.case)
            return what(job) if callable(what) else what.format(**job._asdict())

        return first
