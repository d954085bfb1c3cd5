"""What all rules share: the plan of the study, and how outputs and resources are written."""

import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "scripts"))

from blendimpact.cases.declared import check_cases
from blendimpact.cases.files import published_files
from blendimpact.data.provenance import stage_digest
from blendimpact.data.receipts import forget_missing
from blendimpact.errors import StudyError
from blendimpact.ladder.redshift_checks import check_fluxes
from blendimpact.populations.catalogue_checks import check_catalogues
from blendimpact.sky.adopt.checks import check_images
from blendimpact.stages.packages import require_packages, require_plain_python
from blendimpact.stages.paths import INPUTS, config_file, fetched, prepared
from blendimpact.stages.plan import prepare_jobs, read_study
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

prepare_jobs(sys.path[0])


try:
    plan = read_study(
        config,
        [f"{workflow.basedir}/config/config.yaml", *workflow.overwrite_configfiles],
        plugins=workflow.is_main_process,  # not again in the process of each job
    )
    if workflow.is_main_process:
        check_cases(plan.cases)
        check_images(plan.settings.values())
        check_fluxes(plan.settings)
        if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
            require_plain_python()
            require_packages(plan)
        for sentence in [*plan.notes(), *check_catalogues(plan.settings.values())]:
            logger.warning(f"Note: {sentence}")
except StudyError as error:
    raise WorkflowError(str(error)) from None


RESULTS = plan.results


wildcard_constraints:
    case="|".join(plan.cases),
    scenario="|".join(plan.scenarios),
    chunk=r"\d+",
    name="|".join(plan.packages),
    population="|".join(plan.populations),
    ending="parquet|fits",
    engine="|".join(plan.engines or ["none"]),


def data(path):
    """Return an output that is refused if it is empty."""
    return ensure(path, non_empty=True)


def image(path):
    """Return an output that is deleted when it has been used, unless the configuration keeps images."""
    return data(path) if plan.study["keep_images"] else temp(data(path))


def shown(caption, path, what, form):
    """Return an output that is in Snakemake's report, with a caption of ``report/``."""
    category = {"comparison": "Deblenders", "subtraction": "Subtraction"}.get(caption, "Matrix")
    return report(path, caption=f"../report/{caption}.rst", category=category, labels={"what": what, "form": form})


def needs(memory, minutes):
    """Return the resources of a rule: memory (MB, or a function of the wildcards) and time, more at each attempt."""
    megabytes = memory if callable(memory) else lambda wildcards: memory
    return {
        "mem_mb": lambda wildcards, attempt: megabytes(wildcards) * attempt,
        "runtime": lambda wildcards, attempt: minutes * attempt,
    }


def pinned(wildcards):
    """Return what pins the inputs; at the start of a run, what could not be had the last time is to be tried again."""
    starts = workflow.is_main_process and workflow.executor_plugin is not None
    if starts and not (workflow.dryrun or workflow.touch):
        forget_missing(fetched(wildcards.name))
    return ancient(config_file("inputs.yaml"))


def patches_of(wildcards):
    """Return the numbers of the patches of a chunk."""
    try:
        return plan.patches(wildcards)
    except StudyError as error:
        raise WorkflowError(str(error)) from None


def stage(name):
    """Return the parameters of every rule: its driver in the library, and the digest of all that this imports."""
    return {"stage": name, "library": stage_digest(name.partition(".")[0])}


def announce():
    """Say where the answer is; the answer of a check itself."""
    if "check" in workflow.dag_settings.targets:
        with open(f"{RESULTS}/check.txt", encoding="utf-8") as page:
            print(page.read(), file=sys.stderr)
        return
    board = f"{RESULTS}/matrix.html"
    if os.path.exists(board):
        print(f"Board: {board}", file=sys.stderr)
