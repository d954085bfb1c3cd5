"""Fetching: the pinned archive or nothing, only the named files, and what is said when it cannot be had."""

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile

import pytest
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.registry import load_inputs
from blendimpact.data import missing_inputs, package_index
from blendimpact.data.packages import fetch, members
from blendimpact.data.receipts import forget_missing, read_receipt, verify
from blendimpact.errors import StudyError

FETCHED = ["galaxies.csv", "image.fits", "receipt.json"]
FILES = {"toydata/data/galaxies.csv": b"ra,dec\n1,2\n", "toydata/data/image.fits": bytes(range(256)) * 9000}


def wheel(folder, files=FILES):
    """Write a valid wheel of the package toydata; return its path."""
    path = folder / "toydata-1.0-py3-none-any.whl"
    files = {
        **files,
        "toydata/__init__.py": b"",
        "toydata-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toydata\nVersion: 1.0\n"
        b"Requires-Python: >=3.99\nRequires-Dist: not-to-be-fetched\n",
        "toydata-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as out:
        record = ""
        for name, data in files.items():
            out.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(data)}\n"
        out.writestr("toydata-1.0.dist-info/RECORD", record + "toydata-1.0.dist-info/RECORD,,\n")
    return path


def sdist(folder, files=None, extra=(), name="toydata-1.0.tar.gz"):
    """Write a source archive whose build must not be run; return its path."""
    path = folder / name
    files = files or {f"toydata-1.0/{name}": data for name, data in FILES.items()}
    files |= {
        "toydata-1.0/setup.py": f"open({str(folder / 'was_run')!r}, 'w')".encode(),
        "toydata-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: toydata\nVersion: 1.0\n",
        "toydata-1.0/pyproject.toml": b'[build-system]\nrequires = ["not-to-be-fetched"]\n',
    }
    with tarfile.open(path, "w:gz") as out:
        for member, data in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        for info in extra:
            out.addfile(info)
    return path


def entry_of(archive, **changes):
    """Return an entry of the configuration for an archive."""
    kind = "wheel" if archive.suffix == ".whl" else "sdist"
    top = "" if kind == "wheel" else "toydata-1.0/"
    return {
        "name": "toy",
        "title": "t",
        "package": "toydata",
        "version": "1.0",
        "kind": kind,
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "size_mb": 0.1,
        "members": [top + name for name in FILES],
        "optional": False,
        "used_by": "galaxies: all cells",
        "licence": "MIT",
        "acknowledgement": "thanks",
        **changes,
    }


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Let only a folder be seen; return that folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    settings = {"no-index": "1", "find-links": str(folder)}
    monkeypatch.setattr(package_index, "pip_settings", lambda: settings)
    return folder


@pytest.fixture
def calls(monkeypatch):
    """Return the list of the downloads that are asked for."""
    asked, get = [], package_index.Indexes.get
    monkeypatch.setattr(package_index.Indexes, "get", lambda *given: asked.append(given[1]) or get(*given))
    return asked


@pytest.mark.parametrize("make", [wheel, sdist])
def test_the_named_files_arrive_and_nothing_else(index, tmp_path, make):
    entry, log = entry_of(make(index)), io.StringIO()
    receipt = fetch(entry, tmp_path / "out", log)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".receipt.json", *FETCHED]
    assert not (index / "was_run").exists()
    for name, data in FILES.items():
        base = name.rpartition("/")[2]
        assert (tmp_path / "out" / base).read_bytes() == data
        assert receipt["files"][base] == hashlib.sha256(data).hexdigest()
    assert receipt["status"] == "ok" and receipt["acknowledgement"] == "thanks"
    assert read_receipt(tmp_path / "out") == receipt
    assert "toydata==1.0" in log.getvalue() and "2 files" in log.getvalue()
    assert str(tmp_path) not in json.dumps(receipt)


def test_the_receipt_is_the_same_wherever_and_whenever(index, calls, tmp_path):
    entry = entry_of(wheel(index))
    for name in ("a", "b"):
        fetch(entry, tmp_path / name, io.StringIO())
    assert (tmp_path / "a/receipt.json").read_bytes() == (tmp_path / "b/receipt.json").read_bytes()


def test_what_is_there_is_not_fetched_again_but_what_is_damaged_is(index, calls, tmp_path):
    entry, log = entry_of(wheel(index)), io.StringIO()
    fetch(entry, tmp_path / "out", log)
    fetch(entry, tmp_path / "out", log)
    assert len(calls) == 1 and "already here" in log.getvalue()
    (tmp_path / "out/galaxies.csv").write_bytes(b"damaged")
    fetch(entry, tmp_path / "out", log)
    assert len(calls) == 2
    assert (tmp_path / "out/galaxies.csv").read_bytes() == FILES["toydata/data/galaxies.csv"]
    fetch({**entry, "members": entry["members"][:1]}, tmp_path / "out", log)  # another list of files
    assert len(calls) == 3


def test_a_wrong_checksum_is_refused(index, tmp_path):
    entry = entry_of(wheel(index), sha256="0" * 64)
    with pytest.raises(StudyError, match="another sha256") as error:
        fetch(entry, tmp_path / "out", io.StringIO())
    assert "inputs.toy.sha256" in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_wrong_checksum_is_not_passed_over_for_optional_inputs(index, calls, tmp_path):
    with pytest.raises(StudyError, match="another sha256"):
        fetch(entry_of(wheel(index), sha256="0" * 64, optional=True), tmp_path / "out", io.StringIO())
    assert len(calls) == 1  # another attempt would not help
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_had_is_tried_twice_and_then_said_in_full(index, tmp_path):
    entry, log = entry_of(wheel(index), package="toydata-gone"), io.StringIO()
    with pytest.raises(StudyError) as error:
        fetch(entry, tmp_path / "out", log)
    for words in (
        "toydata-gone==1.0 cannot be downloaded",
        "config/inputs.yaml: inputs.toy",
        "pip download",
        "galaxies: all cells",
    ):
        assert words in str(error.value)
    assert log.getvalue().count("second attempt") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_second_attempt_can_succeed(index, tmp_path, monkeypatch):
    get, calls = package_index.Indexes.get, []

    def flaky(*given):
        calls.append(1)
        if len(calls) == 1:
            raise package_index.NotToBeHad("connection reset")
        return get(*given)

    monkeypatch.setattr(package_index.Indexes, "get", flaky)
    assert fetch(entry_of(wheel(index)), tmp_path / "out", io.StringIO())["status"] == "ok"


def test_an_optional_input_that_is_missing_leaves_a_receipt_and_no_harm(index, calls, tmp_path):
    entry = entry_of(wheel(index), optional=True)
    out = tmp_path / "inputs/toy"
    fetch(entry, out, io.StringIO())
    (index / "toydata-1.0-py3-none-any.whl").unlink()
    newer = {**entry, "version": "2.0", "sha256": "1" * 64}
    receipt = fetch(newer, out, io.StringIO())
    assert receipt["status"] == "missing"
    assert "toydata==2.0" in receipt["reason"] and "galaxies: all cells" in receipt["reason"]
    assert "://" not in receipt["reason"] and str(tmp_path) not in receipt["reason"]
    # what depends on it can ask why, and the next run can be made to try again
    assert missing_inputs.reason([out / "receipt.json"]) == receipt["reason"]
    forget_missing(out / "receipt.json")
    assert not (out / "receipt.json").exists()
    # back to the version before, without an index: its files have been there all the time
    assert fetch(entry, out, io.StringIO())["status"] == "ok" and sorted(os.listdir(out))[1:] == FETCHED


def test_verified_files_survive_a_receipt_that_is_gone_and_an_index_that_is(index, calls, tmp_path):
    """As Snakemake removes what a job makes before it runs again."""
    entry, log = entry_of(wheel(index), optional=True), io.StringIO()
    first = fetch(entry, tmp_path / "out", log)
    (index / "toydata-1.0-py3-none-any.whl").unlink()
    (tmp_path / "out/receipt.json").unlink()
    assert fetch(entry, tmp_path / "out", log) == first == read_receipt(tmp_path / "out")
    assert len(calls) == 1 and "already here" in log.getvalue()
    assert sorted(os.listdir(tmp_path / "out")) == [".receipt.json", *FETCHED]


def test_files_are_checked_to_the_last_byte_when_they_are_used(index, tmp_path):
    fetch(entry_of(wheel(index)), tmp_path / "toy", io.StringIO())
    receipt, image = tmp_path / "toy/receipt.json", tmp_path / "toy/image.fits"
    verify(receipt)
    before = image.stat()
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StudyError, match=r"image\.fits: it has changed since it was fetched") as error:
        verify(receipt)
    assert f"delete {receipt} and run again" in str(error.value)
    image.unlink()
    with pytest.raises(StudyError, match="it is gone"):
        verify(receipt)


def test_receipts_that_are_fine_are_kept(index, calls, tmp_path):
    fetch(entry_of(wheel(index)), tmp_path / "inputs/toy", io.StringIO())
    forget_missing(tmp_path / "inputs/toy/receipt.json")
    assert missing_inputs.reason([tmp_path / "inputs/toy/receipt.json", tmp_path / "inputs/toy/image.fits"]) is None


@pytest.mark.parametrize("make", [wheel, sdist])
def test_a_file_that_the_archive_lacks_is_named(index, calls, tmp_path, make):
    entry = entry_of(make(index))
    entry["members"] = [*entry["members"], "toydata/data/other.csv"]
    with pytest.raises(StudyError, match="no file 'toydata/data/other.csv'"):
        fetch(entry, tmp_path / "out", io.StringIO())
    assert list((tmp_path / "out").iterdir()) == []


def test_links_in_an_archive_lead_nowhere(index, calls, tmp_path):
    link = tarfile.TarInfo("toydata-1.0/data/link.csv")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    entry = entry_of(sdist(index, extra=[link]))
    entry["members"] = ["toydata-1.0/data/link.csv"]
    with pytest.raises(StudyError, match="no file"):
        fetch(entry, tmp_path / "out", io.StringIO())


def test_names_with_parent_folders_stay_in_the_destination(index, calls, tmp_path):
    archive = wheel(index, {**FILES, "../../escape.csv": b"x"})
    entry = entry_of(archive, members=["../../escape.csv"])
    fetch(entry, tmp_path / "a/b/out", io.StringIO())
    assert (tmp_path / "a/b/out/escape.csv").read_bytes() == b"x"
    assert not (tmp_path / "a/escape.csv").exists() and not (tmp_path / "escape.csv").exists()


@pytest.mark.parametrize("make", [wheel, sdist])
@pytest.mark.parametrize("member", ["toydata/..", "d/.", ".."])
def test_a_member_that_is_a_folder_is_no_file(index, tmp_path, make, member):
    with pytest.raises(StudyError, match=r"holds no file"):
        fetch(entry_of(make(index), members=[member]), tmp_path / "out", io.StringIO())
    assert list((tmp_path / "out").iterdir()) == []


def cut_short(data):
    return data[: len(data) // 2]


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes(b ^ 255 for b in data[middle : middle + 200]) + data[middle + 200 :]


@pytest.mark.parametrize(
    "make, damage",
    [(make, damage) for make in (wheel, sdist) for damage in (cut_short, lambda data: b"", lambda data: b"<html>")]
    + [(wheel, flipped)],
)
def test_a_damaged_archive_is_refused_with_a_sentence(index, tmp_path, make, damage):
    """That was pinned as it is: else its checksum tells."""
    archive = make(index, {"toydata-1.0/data/image.fits": os.urandom(100000)})
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(StudyError, match=r"cannot be unpacked|holds no file") as error:
        fetch(entry_of(archive, members=["toydata-1.0/data/image.fits"]), tmp_path / "out", io.StringIO())
    assert "inputs.toy" in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_python_without_pip_says_so(tmp_path, monkeypatch):
    gone = lambda command, **_: subprocess.CompletedProcess(command, 1, "", f"{command[0]}: No module named pip")  # noqa: E731
    monkeypatch.setattr(package_index.subprocess, "run", gone)
    with pytest.raises(StudyError, match="no pip"):
        fetch(entry_of(wheel(tmp_path)), tmp_path / "out", io.StringIO())


# --- a Debian package -------------------------------------------------------------------------------


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """A Debian package of the files, its entry, and an apt-get that gives it for exactly that name and version."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb: not a Debian system")
    tree, archives, tools = tmp_path / "tree", tmp_path / "archives", tmp_path / "tools"
    for name, data in FILES.items():
        (tree / "usr/lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / "usr/lib" / name).write_bytes(data)
    (tree / "usr/lib/toydata/link.csv").symlink_to("data/galaxies.csv")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: toydata\nVersion: 1:1.0-2\nArchitecture: all\nMaintainer: m <m@example.org>\nDescription: d\n"
    )
    archives.mkdir()
    path = archives / "toydata_1.0-2_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, path], check=True, capture_output=True)
    tools.mkdir()
    (tools / "apt-get").write_text(
        f"#!/bin/sh\ntest \"$1 $2\" = 'download toydata=1:1.0-2' && cp {archives}/*.deb . && exit 0\n"
        "echo 'W: a warning' >&2\necho \"E: Version for toydata was not found\" >&2\nexit 100\n"
    )
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return entry_of(path, kind="deb", version="1:1.0-2", members=[f"usr/lib/{name}" for name in FILES])


def test_files_of_a_debian_package_arrive_and_nothing_else(debian, tmp_path):
    log = io.StringIO()
    receipt = fetch(debian, tmp_path / "out", log)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".receipt.json", *FETCHED]
    for name, data in FILES.items():
        assert (tmp_path / "out" / name.rpartition("/")[2]).read_bytes() == data
    assert receipt["status"] == "ok" and "toydata=1:1.0-2" in log.getvalue()
    fetch(debian, tmp_path / "out", log)
    assert "already here" in log.getvalue()


def test_a_debian_package_that_cannot_be_had_is_a_missing_input_with_a_reason(debian, tmp_path, monkeypatch):
    entry = {**debian, "version": "2.0", "optional": True}
    receipt = fetch(entry, tmp_path / "out", io.StringIO())
    assert receipt["status"] == "missing" and "Version for toydata was not found" in receipt["reason"]
    assert "apt-get update" in receipt["remedy"]
    with pytest.raises(StudyError, match="apt-get download toydata=2.0"):
        fetch({**entry, "optional": False}, tmp_path / "again", io.StringIO())
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    receipt = fetch({**debian, "optional": True}, tmp_path / "none", io.StringIO())
    assert receipt["status"] == "missing" and "without apt-get" in receipt["reason"]


def test_another_debian_package_is_refused(debian, tmp_path):
    with pytest.raises(StudyError, match="another sha256"):
        fetch({**debian, "sha256": "0" * 64, "optional": True}, tmp_path / "out", io.StringIO())
    for member in ("usr/lib/toydata/none.csv", "usr/lib/toydata/link.csv"):
        with pytest.raises(StudyError, match="holds no file"):
            fetch({**debian, "members": [member]}, tmp_path / "out", io.StringIO())
    assert list((tmp_path / "out").iterdir()) == []


# --- the configuration -----------------------------------------------------------------------------


def test_the_inputs_of_the_study():
    inputs = load_inputs()
    assert {"des_dr2_g", "pzflow", "skycatalogs"} <= set(inputs)
    for name, entry in inputs.items():
        assert entry["name"] == name and len(members(entry)) == len(set(members(entry)))
        assert entry["licence"] and entry["acknowledgement"]
    assert [n for n, e in inputs.items() if e["optional"]] == ["des_dr2_g", "isaac_bulge", "comet_9p"]
    names = members(inputs["skycatalogs"])
    fluxes = {n.removeprefix("galaxy_flux_") for n in names if n.startswith("galaxy_flux_")}
    assert {f"galaxy_{n}" for n in fluxes} <= set(names)  # each table of fluxes with its galaxies


def test_a_wrong_inputs_file_says_what_is_wrong(tmp_path):
    text = (CONFIG_DIR / "inputs.yaml").read_text()
    path = tmp_path / "inputs.yaml"
    path.write_text(text.replace("kind: wheel", "kind: egg").replace("licence: MIT", "license: MIT"))
    with pytest.raises(StudyError) as error:
        load_inputs(path)
    for words in ("inputs.pzflow.kind", "sdist, wheel", "did you mean 'licence'", "inputs.yaml:"):
        assert words in str(error.value)
    path.write_text(text.replace("example_data/example_decam_mask.fits", "other/example_decam.fits"))
    with pytest.raises(StudyError, match="two files are called 'example_decam.fits'"):
        load_inputs(path)


# --- absent products -------------------------------------------------------------------------------


def test_absent_products(tmp_path):
    there, gone = tmp_path / "there.parquet", tmp_path / "deep/gone.fits"
    there.write_bytes(b"PAR1" + b"\0" * 100)
    assert missing_inputs.reason([there]) is None
    missing_inputs.mark([gone], "image missing")
    assert missing_inputs.reason([there, gone]) == "image missing"
    assert [p.name for p in gone.parent.iterdir()] == ["gone.fits"]
    other = tmp_path / "report.json"
    other.write_text('{"psf": 1}')
    assert missing_inputs.reason([other, tmp_path / "none", tmp_path]) is None
    other.write_text("{broken")
    assert missing_inputs.reason([other]) is None
    other.write_text('{"absent": "x"}' + " " * 70000)  # no marker is that long
    assert missing_inputs.reason([other]) is None
