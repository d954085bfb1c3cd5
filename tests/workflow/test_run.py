"""The study run for real, on synthetic inputs: what it makes, what it says, what changes no number."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import zipfile

import psutil
import pytest
import synthetic
from harness import OFFLINE, copy_tree, run_snakemake

pytestmark = pytest.mark.slow

TABLES = (
    "foms.parquet",
    "foms.csv",
    "matrix.parquet",
    "matrix.csv",
    "matrix.json",
    "external_checks.csv",
    "external_checks.parquet",
    "two_point/foms.parquet",
    "galaxies/foms.parquet",
    *(f"comparison/{name}.{ending}" for name in ("comparison", "deblending_column") for ending in ("parquet", "csv")),
)


def digests(directory, study="tiny"):
    """Return the sha256 of every table that a study ends with."""
    folder = directory / "results" / study
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}


def products(directory, study="tiny"):
    """Return the sha256 of everything that a study leaves but logs, benchmarks, and what has CPU times in it."""
    folder = directory / "results" / study
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.relative_to(folder).parts[0] not in ("logs", "benchmarks")
        and path.name != ".snakemake_timestamp"
        and path.parent.name not in ("cost", "page")
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished run on one core: its directory, configuration, and the output of Snakemake.

    The workflow is a copy of the project's, in ``tree`` beside the directory.
    """
    base = tmp_path_factory.mktemp("study")
    copy_tree(base / "tree")
    directory = base / "one"
    config = synthetic.make_study(directory)
    done = run_snakemake(directory, "--cores", 1, "--configfile", config, root=base / "tree")
    assert done.returncode == 0, done.stdout[-6000:]
    return directory, config, done.stdout


def test_it_says_where_the_board_is(study):
    directory, _, text = study
    path = re.search(r"Board: (\S+matrix\.html)", text)[1]
    assert (directory / path).stat().st_size > 1000


def test_images_are_gone_and_tables_are_there(study):
    directory, _, _ = study
    results = directory / "results" / "tiny"
    assert [path for path in results.rglob("*") if path.suffix in (".fits", ".h5")] == []
    assert len(list((directory / "results" / "tiny" / "two_point").glob("*/score/*.parquet"))) == 2
    assert len(list((directory / "results" / "tiny" / "figures").glob("*/*.png"))) > 5


def test_the_comparison_is_there_and_says_what_could_not_be_made(study):
    directory, _, _ = study
    folder = directory / "results" / "tiny" / "comparison"
    for name in ("frontier.png", "blendedness.png", "blend_smooth.png", "blend_real.png", "cost.csv"):
        assert (folder / "page" / name).stat().st_size > 100, name
    text = (folder / "page" / "comparison.html").read_text()
    for word in ("joint_fit", "no measure of quality", "not made: the deblender", "GA-B1", "WL-B3"):
        assert word in text, word
    rows = (folder / "comparison.csv").read_text().splitlines()
    assert any("smooth" in r and "joint_fit" in r and "ap.nmad" in r for r in rows)
    assert any("scarlet" in r and "not made" in r for r in rows)
    assert "Every deblender gets the same pixels" in (directory / "results/tiny/matrix.html").read_text()


def test_every_job_has_a_log_and_a_benchmark(study):
    directory, _, _ = study
    folder = directory / "results" / "tiny"
    logs, benchmarks = (
        {p.relative_to(folder / kind).with_suffix("") for p in (folder / kind).rglob("*.*")}
        for kind in ("logs", "benchmarks")
    )
    assert logs == benchmarks
    assert len(logs) >= 20


def test_a_second_run_does_nothing(study):
    directory, config, _ = study
    before = products(directory)
    done = run_snakemake(directory, "--cores", 1, "--configfile", config, root=directory.parent / "tree")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout
    assert products(directory) == before


def test_an_edit_of_the_library_reruns_what_imports_it(study):
    """The real thing, after a real run: Snakemake's own reasons, from the parameters that it recorded."""
    directory, config, _ = study
    tree = directory.parent / "tree"
    path = tree / "scripts" / "blendimpact" / "report" / "board_figure.py"
    before = path.read_text()
    path.write_text(before + "\n# edited\n")
    done = run_snakemake(directory, "-n", "--cores", 1, "--configfile", config, root=tree)
    path.write_text(before)
    assert done.returncode == 0, done.stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.M))
    assert "matrix" in jobs
    assert not {"simulate", "detect", "deblend", "measure", "score"} & set(jobs), done.stdout[-3000:]


def test_the_report_holds_the_matrix_and_the_figures(study):
    directory, config, _ = study
    done = run_snakemake(directory, "--report", "report.zip", "--configfile", config, root=directory.parent / "tree")
    assert done.returncode == 0, done.stdout[-3000:]
    with zipfile.ZipFile(directory / "report.zip") as archive:
        names = " ".join(archive.namelist())
        text = archive.read(next(n for n in archive.namelist() if n.endswith("report.html"))).decode()
    for what in ("matrix.png", "foms.csv", "external_checks.csv", "two_point", "ladder_WL-M1.png"):
        assert what in names + text, what


def test_same_bytes_on_two_cores_and_in_other_chunks(study, tmp_path):
    directory, _, _ = study
    config = synthetic.make_study(tmp_path / "other", chunk_size=3)
    done = run_snakemake(tmp_path / "other", "--cores", 2, "--configfile", config, root=directory.parent / "tree")
    assert done.returncode == 0, done.stdout[-6000:]
    assert digests(tmp_path / "other") == digests(directory)
    made = [
        {path.name: path.read_bytes() for path in (folder / "results" / "tiny" / "panels").iterdir()}
        for folder in (tmp_path / "other", directory)
    ]
    assert made[0] == made[1] and made[0]


@pytest.fixture(scope="module")
def killed(study, tmp_path_factory):
    """A run on two cores without the real image, killed in the middle of its work and run again: its directory."""
    work, tree = tmp_path_factory.mktemp("killed"), study[0].parent / "tree"
    cases = {
        "two_point": synthetic.CONFIG["cases"]["two_point"],
        "galaxies": {"image": "des_dr2_g", "patch": {"count": 2}, "scenarios": {"simulated": None}},
        **{name: {"enabled": False} for name in ("crowded_fields", "transients")},
    }
    config = synthetic.make_study(work, cases=cases)
    receipt = work / "results" / "inputs" / "des_dr2_g" / "receipt.json"
    receipt.parent.mkdir()
    receipt.write_text(json.dumps({"name": "des_dr2_g", "status": "missing", "reason": "no such archive yesterday"}))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(tree / "Snakefile"),
        "--cores",
        "2",
        "--configfile",
        str(config),
    ]
    with open(work / "first.txt", "w") as log:
        first = subprocess.Popen(command, cwd=work, stdout=log, stderr=log, env={**os.environ, **OFFLINE})
        wait_for(lambda: list(work.glob("results/tiny/two_point/*/measure/*/*.parquet")) or first.poll() is not None)
        assert first.poll() is None, (work / "first.txt").read_text()[-3000:]
        jobs = [child for child in psutil.Process(first.pid).children(recursive=True) if child.is_running()]
        first.kill()
        first.wait()
    assert jobs
    _, alive = psutil.wait_procs(jobs, timeout=5)
    assert not alive, "jobs outlive the main process"
    assert not (work / "results" / "tiny" / "matrix.html").exists()
    for arguments in (["--unlock"], []):
        done = run_snakemake(work, *arguments, "--cores", 2, "--configfile", config, root=tree, env=OFFLINE)
        assert done.returncode == 0, done.stdout[-6000:]
    return work


def test_a_killed_run_resumes_and_ends_with_the_same_products(study, killed):
    """The main process killed with signal 9 in the middle of the work: its jobs end with it."""
    whole, resumed = (
        {name: digest for name, digest in products(directory).items() if name.startswith("two_point")}
        for directory in (study[0], killed)
    )
    assert len(whole) > 10 and resumed == whole


def test_without_the_real_image_the_study_ends_and_says_so(killed):
    """An optional input that cannot be fetched: its cells say that it is missing, the others are filled."""
    cells = json.loads((killed / "results" / "tiny" / "matrix.json").read_text())
    missing = [cell for cell in cells if "cannot be downloaded" in cell["reason"]]
    assert {cell["case"] for cell in missing} == {"galaxies"}
    assert {cell["verdict"] for cell in missing} == {"not quantified"}
    assert "\ntwo_point," in (killed / "results" / "tiny" / "foms.csv").read_text()


def wait_for(condition, seconds=300):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def test_a_malformed_image_ends_with_a_message_for_the_user(tmp_path):
    config = synthetic.make_study(tmp_path / "w")
    field = tmp_path / "w" / "field.fits"
    field.write_bytes(field.read_bytes()[:5000])
    done = run_snakemake(tmp_path / "w", "galaxies", "--cores", 1, "--configfile", config)
    assert done.returncode == 1
    assert "field.fits" in done.stdout
    assert "Remedy" in done.stdout
    assert "Traceback" not in done.stdout, done.stdout
