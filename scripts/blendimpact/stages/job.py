"""A job of the workflow: one call of the driver of its rule, by the names of its inputs, outputs and parameters.

A driver is a function, usually ``run``, of a module of this package. It gets those of these that it names:

* each input of the rule under its own name, if the job has it; each output under its name with ``_out`` behind;
* the parameters and the wildcards under their names;
* ``meta`` and ``cards``, the provenance of the products as metadata of tables and as FITS cards, or ``provenance``,
  which gives ``meta`` for other parameters;
* ``missing``, why an input is not to be had, or None.

Where an input is not to be had, the outputs are markers that say so and the driver is not called, unless it names
``missing`` or its module has ``AGGREGATED_FROM``: the inputs that the provenance of an aggregate names. The chunks are
not among them, for how the work is cut changes no result.
"""

import contextlib
import importlib
import inspect
import logging
import os
import re
import resource
import sys
import traceback
from pathlib import Path

from ..data import lifetime, missing_inputs, seals, whole
from ..errors import StudyError


def run(job):
    """Do a job of the workflow, with all output in its log, which ends with what the job took.

    It ends with the process of Snakemake that started it, and names its outputs only as long as its log is its own.
    A `StudyError` is for the user: its text goes to the terminal too and the job ends with code 1, without a
    traceback. Whatever else is raised passes on, with its traceback in the log.

    Parameters
    ----------
    job : object
        What Snakemake gives a script: ``input``, ``output``, ``params``, ``wildcards``, ``log`` and ``rule``.
        ``params.stage`` names the driver, see `driver`.
    """
    if workflow := os.environ.get(lifetime.WORKFLOW):
        lifetime.end_with(workflow)
    try:
        with (
            open(job.log[0], "w", buffering=1) as log,
            whole.claim(log),
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            _logged(job, log)
    except Exception as error:
        told = error if isinstance(error, StudyError) else whole.full_disk(error, job.log[0])
        if told is None:
            raise
        job_name = " / ".join([job.rule, *(str(value) for _, value in job.wildcards.items())])
        print(f"{job_name}: {told}", file=sys.stderr)
        raise SystemExit(1) from None


def _logged(job, log):
    logging.basicConfig(stream=log, level=logging.INFO, format="%(name)s: %(message)s", force=True)
    logging.captureWarnings(True)
    try:
        call(job)
        print(f"job: {used()}")
    except Exception as error:
        with contextlib.suppress(OSError):  # a full disk has no room for that either
            print(error if isinstance(error, StudyError) else traceback.format_exc(), file=log)
        raise


def call(job):
    """Call the driver of a job on inputs that are as they were made, or mark its outputs as missing; seal these."""
    for path in job.output:
        seals.unseal(path)
    digests = {path: seals.check(path) for path in job.input}
    make(job, digests)
    for path in filter(os.path.exists, job.output):
        seals.seal(path, job.rule)


def make(job, digests):
    """Call the driver of a job, or mark its outputs as missing; ``digests`` are the sha256 of its inputs by path."""
    reason = missing_inputs.reason(job.input)
    function, sources = driver(job.params.stage)
    names = inspect.signature(function).parameters
    if reason and sources is None and "missing" not in names:
        print(f"not made: {reason}")
        missing_inputs.mark(job.output, reason)
        return
    offered = {**given(job), "missing": reason}
    made_from = job.input if sources is None else _paths(given(job)[name] for name in sources)
    function(**{name: offered[name] for name in names if name in offered}, **provenance(job, made_from, digests, names))


def driver(stage):
    """Return the driver that ``module`` or ``module.function`` names, and ``AGGREGATED_FROM`` of its module or None."""
    module, _, function = stage.partition(".")
    module = importlib.import_module(f"{__package__}.{module}")
    return getattr(module, function or "run"), getattr(module, "AGGREGATED_FROM", None)


def given(job):
    """Return {name: value} of what the rule of a job gives its driver."""
    inputs = {name: path for name, path in job.input.items() if path}
    outputs = {f"{name}_out": path for name, path in job.output.items()}
    return {**dict(job.wildcards.items()), **dict(job.params.items()), **inputs, **outputs}


def provenance(job, inputs, digests, names):
    """Return those of ``meta``, ``cards`` and ``provenance`` that are among the ``names``.

    ``inputs`` are what the products are made from, ``digests`` their sha256 by path.
    """
    from ..data import provenance as core

    def made(**others):
        params = {**dict(job.params.items()), **others}
        config = {key: params[key] for key in ("settings", "options", "config", "bootstrap") if key in params}
        return core.provenance(core.digest_of(config), params.get("seed"), inputs, digests=digests)

    out = {"provenance": lambda **others: core.meta(made(**others))} if "provenance" in names else {}
    if {"meta", "cards"} & set(names):
        products = made()
        out |= {"meta": core.meta(products), "cards": core.cards(products)}
    return {name: value for name, value in out.items() if name in names}


def _paths(inputs):
    """Return the paths of inputs, each of which is one or a list of them."""
    return [path for paths in inputs for path in ([paths] if isinstance(paths, str) else paths)]


def used():
    """Return the CPU time and the peak memory of this process, with its start and the children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    try:  # the other number knows the memory of the process that started this one too
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
    except (OSError, TypeError):
        peak = own.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
    return f"{seconds:.2f} s of CPU, {peak:.0f} MB at most"
