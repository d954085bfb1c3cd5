"""What every script of the workflow does around its one call of the library."""

import contextlib
import logging
import re
import resource
import sys
import traceback
from pathlib import Path

from blendimpact.data import missing_inputs
from blendimpact.errors import StudyError


@contextlib.contextmanager
def job(snakemake, pass_on=True):
    """Send all output of the block to the rule's log file, which ends with what the job took.

    A `StudyError` is for the user: its text goes to the terminal too and the job ends with code 1, without a
    traceback. Whatever else is raised passes on, with its traceback in the log.

    Parameters
    ----------
    snakemake : snakemake.script.Snakemake
        What Snakemake gives a script.
    pass_on : bool
        Whether an input that is not to be had makes the outputs so too, with its reason, and the block is
        not run.
    """
    terminal = sys.stderr
    with open(snakemake.log[0], "w", buffering=1) as log, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(log))
        stack.enter_context(contextlib.redirect_stderr(log))
        logging.basicConfig(stream=log, level=logging.INFO, format="%(name)s: %(message)s", force=True)
        logging.captureWarnings(True)
        try:
            if pass_on and (reason := missing_inputs.reason(snakemake.input)):
                print(f"not made: {reason}")
                missing_inputs.mark(snakemake.output, reason)
                raise SystemExit(0)
            yield
            print(f"job: {used()}")
        except StudyError as error:
            print(error, file=log)
            print(f"{snakemake.rule}: {error}", file=terminal)
            raise SystemExit(1) from None
        except Exception:
            traceback.print_exc(file=log)
            raise


def used():
    """Return the CPU time and the peak memory of this process, with its start and the children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    try:  # the other number knows the memory of the process that started this one too
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
    except (OSError, TypeError):
        peak = own.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
    return f"{seconds:.2f} s of CPU, {peak:.0f} MB at most"


def named(files):
    """Return {name: path} of the named inputs of a job: arguments of the stage, which calls them the same."""
    return dict(files.items())


def provenance(snakemake, inputs=None, **given):
    """Return where the products of a job come from, as (FITS cards, metadata of a table).

    Parameters
    ----------
    snakemake : snakemake.script.Snakemake
        Its parameters ``settings``, ``options`` and ``config`` are what its products depend on.
    inputs : sequence of path-like, optional
        What the products were made from, default the inputs of the job.
    **given
        In place of parameters of these names.
    """
    from blendimpact.data import provenance as core

    params = {**dict(snakemake.params.items()), **given}
    config = {key: params[key] for key in ("settings", "options", "config") if key in params}
    inputs = snakemake.input if inputs is None else inputs
    made = core.provenance(core.digest_of(config), params.get("seed"), inputs)
    return core.cards(made), core.meta(made)
