"""Fetched files through reruns of the workflow: verified ones stay, missing ones are tried again."""

import hashlib
import json

import pytest
from blendimpact.config.registry import load_inputs
from blendimpact.data.packages import members
from harness import OFFLINE, copy_tree, run_snakemake

pytestmark = pytest.mark.slow


def receipt_of(directory, name):
    return directory / "results" / "inputs" / name / "receipt.json"


def put(directory, name, status):
    """Put what a fetch leaves: files that its receipt knows, or a receipt that says they are missing."""
    entry, path = load_inputs()[name], receipt_of(directory, name)
    path.parent.mkdir(parents=True)
    receipt = {"name": name, "sha256": entry["sha256"], "status": status}
    if status == "ok":
        for member in members(entry):
            (path.parent / member).write_text(f"data of {member}")
        digests = {m: hashlib.sha256(f"data of {m}".encode()).hexdigest() for m in members(entry)}
        receipt["files"] = digests
    else:
        receipt["reason"] = "no such archive yesterday"
    path.write_text(json.dumps(receipt))


def run(directory, names, *arguments, root):
    targets = [str(receipt_of(directory, name).relative_to(directory)) for name in names]
    return run_snakemake(directory, *targets, "--cores", 1, *arguments, root=root, env=OFFLINE)


def test_verified_files_stay_and_missing_ones_are_tried_again(tmp_path):
    tree, work = tmp_path / "tree", tmp_path / "work"
    copy_tree(tree)
    work.mkdir()
    put(work, "artpop", "ok")
    put(work, "des_dr2_g", "missing")
    names, log = ("artpop", "des_dr2_g"), work / "results" / "inputs" / "logs" / "fetch"
    before = receipt_of(work, "des_dr2_g").read_text()
    (tree / "scripts" / "stage.py").touch()

    assert run(work, names, "-n", root=tree).returncode == 0
    assert receipt_of(work, "des_dr2_g").read_text() == before  # a dry run changes nothing

    done = run(work, names, root=tree)
    assert done.returncode == 0, done.stdout
    assert "already here" in (log / "artpop.log").read_text()
    assert (work / "results/inputs/artpop" / members(load_inputs()["artpop"])[0]).read_text().startswith("data of")
    again = json.loads(receipt_of(work, "des_dr2_g").read_text())
    assert again["status"] == "missing" and "cannot be downloaded" in again["reason"]

    # forced, with a damaged file and no index: what was verified once and its receipt are not thrown away
    (work / "results/inputs/artpop" / members(load_inputs()["artpop"])[0]).write_text("damaged")
    before = receipt_of(work, "artpop").read_text()
    done = run(work, names[:1], "--forcerun", "fetch", root=tree)
    assert done.returncode == 1 and "cannot be downloaded" in done.stdout and "Traceback" not in done.stdout
    assert receipt_of(work, "artpop").read_text() == before
