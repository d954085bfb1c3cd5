"""Measure each script of the workflow from inside.

Python loads this file by itself in every process whose PYTHONPATH holds this folder. In a script that Snakemake runs,
the CPU time is divided into four, and with the peak memory written to a file when the process ends:

start    the interpreter, before any script
imports  all imports, also those that happen late; what Snakemake puts before a script is mostly that
io       reading, writing and check-summing products: the functions in `PRODUCTS`
own      everything else: the work of the stage
"""

import atexit
import builtins
import functools
import importlib
import json
import os
import re
import resource
import sys
import threading
import time

PRODUCTS = {
    "blendimpact.data.catalogues": ("read", "write"),
    "blendimpact.data.images": ("PatchFile.__init__", "PatchFile.read", "PatchFile.close", "PatchWriter.__enter__",
                                "PatchWriter.write", "PatchWriter.__exit__"),
    "blendimpact.data.provenance": ("provenance",),
    "blendimpact.data.children": ("Children.read", "Children.write"),
    "blendimpact.data.sky_maps": ("SkyWriter.write", "SkyFile.read"),
    "h5py": ("File.__init__", "File.close"),
}


def cpu():
    """Return the CPU seconds of this process and of those that it has waited for (git, for the provenance)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Clock:
    """CPU seconds by label; what is inside of something else counts for the inner one alone."""

    def __init__(self):
        self.last = cpu()
        self.spent = {"start": self.last, "imports": 0.0, "io": 0.0, "own": 0.0}
        self.inside = ["own"]

    def settle(self):
        """Book the time since the last change on what was being done."""
        now = cpu()
        self.spent[self.inside[-1]] += now - self.last
        self.last = now

    def wrap(self, label, function, after=None):
        """Return the function with its time booked on ``label``; ``after`` is called at its end."""

        @functools.wraps(function)
        def timed(*args, **kwargs):
            if self.inside[-1] == label:
                return function(*args, **kwargs)
            self.settle()
            self.inside.append(label)
            try:
                return function(*args, **kwargs)
            finally:
                if after:
                    after()
                self.settle()
                self.inside.pop()

        return timed


def wrap_products(clock, waiting, lost):
    """Wrap the functions of `PRODUCTS` whose modules have been imported since the last call.

    What a module no longer has is added to ``lost``: the report names it, and no script fails for it.
    """
    for module in [name for name in waiting if name in sys.modules]:
        if getattr(getattr(sys.modules[module], "__spec__", None), "_initializing", False):
            continue
        for path in waiting.pop(module):
            *owners, name = path.split(".")
            try:
                owner = functools.reduce(getattr, owners, sys.modules[module])
                function = vars(owner)[name] if name in vars(owner) else getattr(owner, name)
            except AttributeError:
                lost.append(f"{module}.{path}")
                continue
            kind = type(function) if isinstance(function, (classmethod, staticmethod)) else lambda f: f
            setattr(owner, name, kind(clock.wrap("io", getattr(function, "__func__", function))))


def peak_memory():
    """Return the peak resident memory in MB."""
    try:
        with open("/proc/self/status") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) / 1024
    except (OSError, TypeError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)


class PrivateMemory(threading.Thread):
    """Largest resident memory in MB without the pages of mapped files, looked at ten times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.page = float("nan"), resource.getpagesize() / (1 << 20)

    def look(self):
        """Take the present value into account; without /proc there is none."""
        try:
            with open("/proc/self/statm") as file:
                _, resident, shared, *_ = map(int, file.read().split())
        except OSError:
            return False
        now = (resident - shared) * self.page
        self.peak = now if self.peak != self.peak else max(self.peak, now)
        return True

    def run(self):
        """Look until the process ends."""
        while self.look():
            time.sleep(0.1)


def report(clock, memory, lost, began, name, path):
    """Write what was measured."""
    clock.settle()
    memory.look()
    with open(path, "w") as file:
        json.dump({"script": name, "cpu": clock.spent, "wall": time.time() - began, "peak": peak_memory(),
                   "private": memory.peak, "not_found": lost}, file)


def watch(folder):
    """Measure this process if it is a script of the workflow."""
    found = [m[1] for a in sys.orig_argv if (m := re.search(r"\.snakemake[/\\]scripts[/\\]\w+\.(\w+)\.py$", a))]
    if not found:
        return
    clock, waiting, lost = Clock(), dict(PRODUCTS), []
    look = functools.partial(wrap_products, clock, waiting, lost)
    builtins.__import__ = clock.wrap("imports", builtins.__import__, look)
    importlib.import_module = clock.wrap("imports", importlib.import_module, look)
    path = os.path.join(folder, f"{found[0]}.{os.getpid()}.json")
    memory = PrivateMemory()
    memory.start()
    atexit.register(report, clock, memory, lost, time.time(), found[0], path)


if "BLENDIMPACT_PROBE" in os.environ:
    watch(os.environ["BLENDIMPACT_PROBE"])
