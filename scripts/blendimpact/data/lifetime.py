"""Processes that end with the one that they work for: nobody waits for what they would make.

Without that, the jobs of a workflow whose main process is killed live on, and write beside those of the next run.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

WORKFLOW = "BLENDIMPACT_WORKFLOW"
"""Variable of the environment that names the process of Snakemake that a job works for, as `this_process` does."""
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_SECONDS = 0.5


def this_process():
    """Return what names this process, and no later one of the same number: number, start, and namespace of numbers."""
    return f"{os.getpid()} {_start(os.getpid())} {_namespace()}"


def end_with(process):
    """End this process soon after ``process`` ends, or now if it has ended, without a word.

    Layers between the two, such as the shell that activates an environment, do not matter. A process that is not to
    be seen from here, such as one outside a container, is not watched.

    Parameters
    ----------
    process : str
        From `this_process`.
    """
    number, start, namespace = process.split()
    if namespace != _namespace():
        return
    if os.getppid() == int(number):
        end_with_parent()  # at once, whatever this process is busy with

    def watch():
        while _start(int(number)) == start:
            time.sleep(_SECONDS)
        os._exit(1)

    if _start(int(number)) != start:
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


def end_with_parent():
    """Let the kernel kill this process when the one that started it ends (Linux); for `subprocess`'s ``preexec_fn``."""
    if _PRCTL:
        _PRCTL(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _start(number):
    """Return when a process started, as text; None if it has ended, be it that its parent has not asked yet."""
    if sys.platform != "linux":
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return "-"
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _namespace():
    return str(os.stat("/proc/self/ns/pid").st_ino) if sys.platform == "linux" else "-"
