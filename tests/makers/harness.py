"""What tests of the workflow share: its DAG without a process, and its command line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
"""Environment without a package index."""
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "report", "profiles", "pyproject.toml")


class Dag:
    """The jobs of a workflow, taken from Snakemake's own DAG.

    Attributes
    ----------
    jobs : list of snakemake.jobs.Job
        All jobs of the DAG.
    to_run : list of snakemake.jobs.Job
        Those that would run.
    rules : dict of str to snakemake.rules.Rule
        All rules of the workflow, also those without a job.
    """

    def __init__(self, workflow):
        self.jobs = list(workflow.dag.jobs)
        self.to_run = [job for job in self.jobs if workflow.dag.needrun(job)]
        self.rules = {rule.name: rule for rule in workflow.rules}

    def count(self, rule):
        """Return how many jobs of a rule the DAG has."""
        return sum(job.rule.name == rule for job in self.jobs)

    def counts(self):
        """Return the number of jobs of each rule that has any."""
        return {name: n for name in self.rules if (n := self.count(name))}

    def of(self, rule):
        """Return the jobs of a rule."""
        return [job for job in self.jobs if job.rule.name == rule]


def build_dag(directory, *configfiles, targets=(), snakefile=ROOT / "Snakefile", config=None):
    """Return the `Dag` of the study in ``directory``, where nothing is run or written but ``.snakemake``."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    environment, path = dict(os.environ), list(sys.path)
    configfiles = [Path(f).absolute() for f in configfiles]
    try:
        with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=2),
                config_settings=ConfigSettings(configfiles=configfiles, config=config or {}),
                snakefile=Path(snakefile),
                workdir=Path(directory),
            )
            workflow.dag(DAGSettings(targets=set(targets))).execute_workflow(executor="dryrun")
            return Dag(workflow._workflow)
    finally:
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)


def stated(job, attempt=1):
    """Return the resources that the rule of a job asks for in an attempt."""
    return job.rule.expand_resources(job.wildcards_dict, job.input, attempt)


def run_snakemake(directory, *arguments, root=ROOT, python=sys.executable, env=None, timeout=900):
    """Run the command line in ``directory`` with the Snakefile of ``root``; return the finished process."""
    command = [str(python), "-m", "snakemake", "--snakefile", str(Path(root) / "Snakefile"), *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
    )


def copy_tree(destination):
    """Copy what a run needs of the project."""
    destination.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, destination / part, ignore=ignore)
        elif source.exists():
            shutil.copy2(source, destination / part)
