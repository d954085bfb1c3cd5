"""Processes end with the one that they work for, whatever stands between them."""

import os
import signal
import subprocess
import sys
import time

import pytest
from blendimpact.data import lifetime

CHILD = """
import sys, time
from blendimpact.data import lifetime
lifetime.end_with(sys.argv[1])
print("up", flush=True)
{work}
"""
PARENT = """
import subprocess, sys, time
from blendimpact.data import lifetime
command = [*sys.argv[1:], lifetime.this_process()]
subprocess.Popen(command)
time.sleep(100)
"""
SLEEPS, BUSY = "time.sleep(100)", "sum(range(10**11))"  # the second never lets another thread of its process run


def gone(number, seconds=5):
    """Return whether a process ends in time; `number` is not a child of this process."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if lifetime._start(number) is None:
            return True
        time.sleep(0.05)
    return False


def started(*command):
    """Start a parent of ``command``; return it and the number of the process that says "up"."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *command], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "up\n"
    return parent, int(parent.stdout.readline())


@pytest.mark.parametrize(
    "layers, work",
    [((), SLEEPS), ((), BUSY), (("bash", "-c", '"$@"; true', "bash"), SLEEPS)],
    ids=["asleep", "busy", "a shell between"],
)
def test_a_child_ends_when_its_parent_is_killed(layers, work):
    if work is BUSY and sys.platform != "linux":
        pytest.skip("only Linux kills at once")
    child = CHILD.format(work=f"import os; print(os.getpid(), flush=True); {work}")
    parent, number = started(*layers, sys.executable, "-c", child)
    assert lifetime._start(number) is not None
    parent.send_signal(signal.SIGKILL)  # not waited for: a dead parent that nobody has asked after counts as ended
    ended = gone(number)
    if not ended:
        os.kill(number, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert ended


def run_child(process):
    return subprocess.run(
        [sys.executable, "-c", CHILD.format(work=""), process], capture_output=True, text=True, timeout=60
    )


def test_a_process_whose_parent_has_ended_before_it_looked_ends_too():
    number, start, namespace = lifetime.this_process().split()
    assert run_child(f"{number} {start} {namespace}").stdout == "up\n"
    if sys.platform == "linux":
        done = run_child(f"{number} 12345 {namespace}")  # the number belongs to another one by now
        assert done.returncode == 1 and done.stdout == ""


def test_a_process_that_cannot_be_seen_is_not_watched():
    """Such as Snakemake's outside the container of a job."""
    assert run_child("999999999 12345 another-namespace").stdout == "up\n"
