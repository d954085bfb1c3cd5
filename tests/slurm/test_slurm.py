"""The study through the SLURM executor, on a real slurmctld."""

import re

import pytest
import synthetic
from harness import ROOT, build_dag, copy_tree, run_snakemake, stated

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

# This cluster has no accounting database, and nobody else's jobs to be polite to.
HERE = [
    "--workflow-profile",
    ROOT / "profiles" / "slurm",
    "--slurm-status-command",
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "6",
    "--seconds-between-status-checks",
    "3",
    "--latency-wait",
    "5",
    "--jobs",
    "2",
]
FAIL_ONCE = """\
import pathlib, sys
marker = pathlib.Path("tried")
if snakemake.rule == "detect" and not marker.exists():
    marker.touch()
    sys.exit("out of memory, says the test")
"""


def by_rule(jobs):
    """Return squeue's jobs by the name of their rule."""
    found = {}
    for job in jobs:
        rule = re.match(r"rule_(\w+?)(_wildcards_.*)?$", job["comment"])
        found.setdefault(rule[1], []).append(job)
    return found


def test_the_study_with_the_resources_that_the_rules_state(tmp_path, cluster, executor_python):
    """Every job is submitted with its rule's memory and time; one that fails is submitted again with more."""
    tree, work = tmp_path / "tree", tmp_path / "work"
    copy_tree(tree)
    script = tree / "scripts" / "stage.py"
    script.write_text(FAIL_ONCE + script.read_text())
    config = synthetic.make_study(work, chunk_size=3)
    wanted = {job.rule.name: job for job in build_dag(work, config).jobs}
    before = len(cluster.jobs())
    done = run_snakemake(
        work, "two_point", *HERE, "--configfile", config, root=tree, python=executor_python, timeout=600
    )
    assert done.returncode == 0, done.stdout[-5000:]
    jobs = by_rule(cluster.jobs()[: len(cluster.jobs()) - before])
    assert {"simulate", "detect", "deblend", "measure"} <= set(jobs)
    assert not {"all", "matrix", "figures"} & set(jobs)
    failed = [j for j in jobs["detect"] if j["state"] == "FAILED"]
    assert len(failed) == 1
    for rule, submitted in jobs.items():
        for job in submitted:
            again = job["comment"] == failed[0]["comment"] and job["state"] == "COMPLETED"
            resources = stated(wanted[rule], 2 if again else 1)
            assert (job["cpus"], job["memory"]) == ("1", f"{resources['mem_mb']}M"), (rule, job)
            assert limit_in_minutes(job["limit"]) == resources["runtime"], (rule, job)


def limit_in_minutes(text):
    """Return SLURM's [[hours:]minutes:]seconds in minutes."""
    hours, minutes, seconds = ([0, 0] + [int(part) for part in text.split(":")])[-3:]
    return hours * 60 + minutes + seconds / 60
