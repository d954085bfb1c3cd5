"""Where a product comes from: code, configuration, seed, inputs, library versions.

Nothing here changes from run to run on the same code and inputs: no dates, hosts, users or
absolute paths, so that products stay bit-identical.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "scipy", "astropy", "galsim", "sep", "scikit-image", "photutils", "pyarrow", "h5py")
_SHORT = 16  # hexadecimal digits of a digest


def provenance(config_digest=None, seed=None, inputs=(), library=None, digests=None, **extra):
    """Return the provenance of a product.

    Parameters
    ----------
    config_digest : str, optional
        `digest_of` the part of the configuration that the product depends on.
    seed : int, optional
        Seed of the study.
    inputs : sequence of path-like
        Files that it was made from.
    library : str, optional
        Digest of the code that made it, e.g. `stage_digest`; default that of the whole library.
    digests : dict of path-like to str, optional
        sha256 of inputs, as far as they are known.
    **extra
        Anything else that JSON can hold.

    Returns
    -------
    dict
        ``code`` (package version, git description if there is one, digest of the library's
        source), ``libraries``, ``config``, ``seed``, ``inputs`` (list of name and sha256), and
        the extra keys.
    """
    code = {"version": _version(), "library": library or library_digest()}
    if described := _git():
        code["git"] = described
    return {
        "code": code,
        "libraries": versions(),
        "config": config_digest,
        "seed": seed,
        "inputs": [{"name": _name(path), "sha256": (digests or {}).get(path) or checksum(path)} for path in inputs],
        **extra,
    }


def cards(prov):
    """Return the provenance as FITS cards: a dict of keyword to value or (value, comment).

    Values longer than a card are strings, which FITS continues on further cards.
    """
    code = prov["code"]
    out = {"CODEVER": (code["version"], "version of blendimpact"), "CODEDIG": (code["library"], "digest of its source")}
    if "git" in code:
        out["CODEGIT"] = (code["git"], "git describe")
    if prov["config"] is not None:
        out["CONFDIG"] = (prov["config"], "digest of the configuration used")
    if prov["seed"] is not None:
        out["SEED"] = (prov["seed"], "seed of the study")
    out["LIBS"] = " ".join(f"{name}={version}" for name, version in prov["libraries"].items())
    for number, item in enumerate(prov["inputs"], 1):
        out[f"INFIL{number:03d}"] = item["name"]
        out[f"INSHA{number:03d}"] = item["sha256"]
    known = {"code", "libraries", "config", "seed", "inputs"}
    extra = {k: v for k, v in prov.items() if k not in known}
    if extra:
        out["PROVMORE"] = json.dumps(extra, sort_keys=True)
    return out


def meta(prov):
    """Return the provenance as metadata of a table: one JSON string, which stacking keeps whole."""
    return {"provenance": json.dumps(prov, sort_keys=True)}


def read_meta(table_meta):
    """Return the provenance that `meta` put into a table's metadata, or None."""
    text = table_meta.get("provenance")
    return None if text is None else json.loads(text)


def versions():
    """Return the versions of Python and of the main libraries that are installed."""
    found = {"python": "{}.{}.{}".format(*sys.version_info[:3])}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digest_of(obj):
    """Return a digest (16 hexadecimal digits) of anything made of dicts, lists, strings and numbers.

    The order of keys does not matter. Tuples count as lists, paths as strings, NumPy scalars as
    Python's.

    Raises
    ------
    TypeError
        If there is something else in it, or a key that is not a string.
    """

    def plain(value):
        if isinstance(value, dict):
            if not all(isinstance(k, str) for k in value):
                raise TypeError("keys must be strings")
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        return value.item() if hasattr(value, "item") else value

    text = json.dumps(plain(obj), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]


def checksum(path):
    """Return the sha256 (hexadecimal) of a whole file; of a folder, that of the names and sums of its files."""
    if Path(path).is_dir():
        files = (file for file in sorted(Path(path).iterdir()) if not file.name.startswith("."))
        return hashlib.sha256("".join(f"{checksum(file)}  {file.name}\n" for file in files).encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library_digest(package=PACKAGE):
    """Return the digest of the source of the whole library."""
    return _digest(source_of(package).parent.rglob("*.py"), package)


def stage_digest(stage, package=PACKAGE):
    """Return the digest of the modules that a stage imports (`stage_modules`) and of the data files beside them.

    It is a parameter of the stage's rule: an edit of the library reruns what it can change, and nothing else.
    """
    sources = {source_of(name) for name in stage_modules(stage, package)}
    folders = {path.parent for path in sources if path.name != "__init__.py"}
    data = {path for folder in folders for pattern in ("*.txt", "templates/*") for path in folder.glob(pattern)}
    return _digest(sources | data, package)


def stage_modules(stage, package=PACKAGE):
    """Return the sorted names of all modules that the driver ``<package>.stages.<stage>`` imports, directly or not.

    Imports inside functions and the packages above each module count. A package that is imported itself, and not only
    a module of it, counts whole: it is a plug-in family, whose members are found at run time.
    """
    graph, found, todo = _graph(package), set(), [f"{package}.stages.{stage}"]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            imported = graph.find_modules_directly_imported_by(name)
            families = (f for f in imported if f != package)
            todo += [*imported, *(member for family in families for member in graph.find_descendants(family))]
            todo += [name.rpartition(".")[0]] if name != package else []
    return sorted(found)


def source_of(name):
    """Return the file of a module or package."""
    package, *parts = name.split(".")
    path = Path(util.find_spec(package).origin).parent.joinpath(*parts)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@lru_cache
def _graph(package):
    import grimp  # only the workflow needs it, not its jobs

    return grimp.build_graph(package, cache_dir=None)


def _digest(paths, package):
    digest, root = hashlib.sha256(), source_of(package).parent
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        source = path.read_bytes()
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:_SHORT]


def _name(path):
    """Return the path of a file from the working directory or the project, whichever is nearer above it; else its name.

    Of the project's own files it is the same from any working directory.
    """
    seen = (os.path.relpath(path, folder) for folder in (os.curdir, os.path.dirname(ROOT)))
    below = [Path(relative).as_posix() for relative in seen if not relative.startswith("..")]
    return min(below, key=len, default=Path(path).name)


def _version():
    from .. import __version__

    return __version__


@lru_cache
def _git():
    """Return git's description of the code, or None where the code is not a git work tree of its own.

    It is the same whoever owns the checkout: git refuses those of others, lest their settings run something, but
    whoever runs the study runs that code anyway. Settings of a user or a machine do not count.
    """
    project = Path(ROOT).resolve().parent
    if not (project / ".git").exists():
        return None
    words = ["git", "-C", str(project), "describe", "--always", "--tags", "--dirty", "--abbrev=12"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        with tempfile.TemporaryDirectory() as home:
            Path(home, ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
            environment |= {
                "HOME": home,
                "XDG_CONFIG_HOME": home,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_OPTIONAL_LOCKS": "0",
            }
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
