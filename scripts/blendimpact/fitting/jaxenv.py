"""JAX and scarlet2, imported only when they are asked for, on one thread, with a compile cache on disk."""

import hashlib
import importlib
import os
import platform
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path

from ..errors import MissingPackage, StudyError

CACHE_VARIABLE = "BLENDIMPACT_JAX_CACHE"
INSTALL = "pip install scarlet2==0.5.1 jax==0.10.2 equinox==0.13.8 optax==0.2.8 numpyro==0.22.0"


def scarlet2(where, cache=None):
    """Import and return scarlet2, with JAX set up for one process per core.

    Parameters
    ----------
    where : str
        Configuration key that asked for it, for the message.
    cache : path-like, optional
        Directory of compiled programs, shared by processes. By default that of the environment variable
        `CACHE_VARIABLE`, or else ``results/.cache/jax``.

    Raises
    ------
    MissingPackage
        If scarlet2 or what it needs cannot be imported.
    """
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        flags = os.environ.get("XLA_FLAGS", "")
        if "xla_cpu_multi_thread_eigen" not in flags:
            flags += " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            os.environ["XLA_FLAGS"] = flags.strip()
    try:
        jax = importlib.import_module("jax")
        module = importlib.import_module("scarlet2")
    except ImportError as error:
        raise MissingPackage(
            f"scarlet2 cannot be imported ({error})",
            where,
            f"{INSTALL} (the package called scarlet on PyPI is an unrelated web content management system), "
            "or choose another deblender",
        ) from error
    if not all(hasattr(module, name) for name in ("Scene", "Source", "Parameters", "Frame", "Observation")):
        raise StudyError("the installed scarlet2 has another interface", where, INSTALL)
    module.set_validation(False)  # it prints
    directory = cache_directory(cache, jax.__version__)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: no system has such a name
        raise StudyError(
            f"the directory of compiled programs cannot be made ({error})",
            str(directory),
            f"set {CACHE_VARIABLE} to one that can",
        ) from error
    mend(directory)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return module


def mend(directory, age=60.0):
    """Remove compiled programs that a process was killed while writing.

    JAX writes them in place. A reader of a part of one warns and compiles, so jobs may share the directory; but
    it never writes one again that is there.

    Parameters
    ----------
    directory : pathlib.Path
    age : float
        Younger files, in seconds, may still be in writing.
    """
    for path in directory.glob("*-cache"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < age:
                continue
            content = path.read_bytes()
            if not _whole(content):
                path.unlink()


def _whole(content):
    if content[:1] != b"\x78":  # not zlib: JAX uses zstandard where it is installed
        return len(content) > 0
    try:
        zlib.decompress(content)
    except zlib.error:
        return False
    return True


def cache_directory(cache=None, version=""):
    """Return where compiled programs are kept: one directory per JAX version and kind of processor.

    Programs compiled for one processor may not run on another that shares the file system.
    """
    base = Path(cache or os.environ.get(CACHE_VARIABLE) or Path("results", ".cache", "jax"))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        processor = "".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
    except OSError:
        processor = platform.processor()
    return base / hashlib.blake2b(f"{version} {platform.machine()} {processor}".encode(), digest_size=6).hexdigest()
