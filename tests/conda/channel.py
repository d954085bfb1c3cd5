"""A conda channel of stub packages in a directory, and a `conda` that reads it.

``python`` is a wrapper of the interpreter that runs the tests, every other package is empty. So an
environment made from it has the names and versions of a real one, and runs the code that is installed here.
"""

import asyncio
import hashlib
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

CONDA = Path(__file__).with_name("conda_standin.py")


def make_channel(directory, packages, python=sys.executable):
    """Write stub packages and their index.

    Parameters
    ----------
    directory : pathlib.Path
        Where the channel is made.
    packages : dict of str to str
        Version of each package; ``python`` has to be among them.
    python : str
        The interpreter that the stub ``python`` runs.
    """
    from rattler.index import index_fs

    for subdir in ("linux-64", "noarch"):
        (directory / subdir).mkdir(parents=True, exist_ok=True)
    for name, version in packages.items():
        _write_package(directory / "linux-64", name, version, python)
    asyncio.run(index_fs(str(directory)))


def _write_package(directory, name, version, python):
    if name == "python":
        wrapper = f'#!/bin/sh\nexec "{python}" "$@"\n'.encode()
        short = ".".join(version.split(".")[:2])
        files = {f"bin/{program}": wrapper for program in ("python", "python3", f"python{short}")}
    else:
        files = {f"share/stub/{name}": version.encode()}
    index = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "depends": [] if name == "python" else ["python"],
        "subdir": "linux-64",
        "platform": "linux",
        "arch": "x86_64",
    }
    paths = [
        {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        for path, data in files.items()
    ]
    members = {
        "info/index.json": json.dumps(index).encode(),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
        "info/files": "\n".join(files).encode(),
        **files,
    }
    with tarfile.open(directory / f"{name}-{version}-0.tar.bz2", "w:bz2") as tar:
        for path, data in members.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
            tar.addfile(entry, io.BytesIO(data))


def install_conda(prefix, python=sys.executable):
    """Put the stand-in for conda into ``prefix/bin`` and return that directory."""
    bin_ = prefix / "bin"
    bin_.mkdir(parents=True)
    program = bin_ / "conda"
    program.write_text(f"#!{python}\n" + CONDA.read_text())
    program.chmod(0o755)
    activate = bin_ / "activate"
    activate.write_text('export PATH="$1/bin:$PATH" CONDA_PREFIX="$1"\n')
    activate.chmod(0o755)
    assert shutil.which("conda", path=str(bin_))
    return bin_
