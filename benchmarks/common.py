"""What the benchmarks share: options, conditions, tables, measured processes and measured studies.

Run by itself it prints the conditions.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INPUTS = ROOT / "results" / "inputs"
LIBRARIES = ("numpy", "scipy", "astropy", "galsim", "sep", "pyarrow", "snakemake")

# As in the workflow: one job is one core. Before NumPy is imported.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", NUMBA_NUM_THREADS="1")


# --- what all of them say --------------------------------------------------------------------------


def options(description, quick):
    """Return a parser with what every benchmark takes; ``quick`` says what is done with --quick."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"a first number in seconds: {quick}")
    parser.add_argument(
        "--inputs",
        type=Path,
        default=INPUTS,
        metavar="DIR",
        help="fetched inputs and the population, default results/inputs of the project",
    )
    return parser


def print_conditions():
    """Print the machine and the libraries in one line."""
    versions = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"conditions: {processor()}, {os.cpu_count()} cores, load {load:.1f} at the start, one thread; "
        + ", ".join(versions)
    )


def processor():
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def print_table(title, columns, rows, notes=()):
    """Print a plain table: the first column is left-aligned, the others right-aligned."""
    cells = [[str(c) for c in row] for row in [columns, *rows]]
    widths = [max(len(row[k]) for row in cells) for k in range(len(columns))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        print("  " + "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]))
        if number == 0:
            print("  " + "  ".join("-" * w for w in widths))
    for note in notes:
        print(f"  {note}")


def spread(values, digits=2):
    """Return the median of some values, and their range if they differ."""
    values = list(values)
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def interleaved(functions, repetitions):
    """Return the CPU seconds of each function in each repetition, taken in turns.

    Parameters
    ----------
    functions : dict of str to callable
        Without arguments. Each is called once more before, unmeasured, to fill caches.
    repetitions : int

    Returns
    -------
    dict of str to list of float
    """
    seconds = {name: [] for name in functions}
    for function in functions.values():
        function()
    for number in range(repetitions):
        # the other way round each time: none is always the first
        for name in list(functions)[:: 1 if number % 2 == 0 else -1]:
            start = time.process_time()
            functions[name]()
            seconds[name].append(time.process_time() - start)
    return seconds


# --- processes -------------------------------------------------------------------------------------


@dataclass
class Usage:
    """What a process and all of its children took: seconds, seconds, MB, and what it printed."""

    wall: float
    cpu: float
    peak: float
    text: str = ""


def run_process(command, cwd=None, env=None):
    """Run a command to its end and return its `Usage`.

    Raises
    ------
    SystemExit
        If it fails, with the end of what it printed.
    """
    log = Path(cwd or ".") / f"process.{os.getpid()}.{time.monotonic_ns()}.log"
    started = time.monotonic()
    with open(log, "w") as out:
        process = subprocess.Popen(
            [str(c) for c in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    text = log.read_text(errors="replace")
    log.unlink()
    if process.returncode:
        raise SystemExit(
            f"{' '.join(map(str, command[:4]))} ... ended with code {process.returncode}:\n"
            + "\n".join(text.splitlines()[-30:])
        )
    scale = 1024 if sys.platform == "linux" else 1 << 20
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / scale, text)


def library_path():
    """Return the environment in which a fresh interpreter finds the library."""
    rest = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), *([rest] if rest else [])])}


# --- studies ---------------------------------------------------------------------------------------


@dataclass
class Study:
    """A study that was run.

    Attributes
    ----------
    folder : Path
        Its products.
    jobs : dict of str to list of (float, float)
        CPU seconds and peak memory (MB) of each job, by rule.
    snakemake : float
        CPU seconds outside of the jobs: Snakemake's start, the graph, scheduling, bookkeeping.
    """

    folder: Path
    jobs: dict = field(default_factory=dict)
    snakemake: float = 0.0


def job_usage(folder):
    """Return {rule: [(CPU seconds, peak memory in MB), ...]} from the last lines of the logs of a study."""
    jobs = {}
    for path in sorted((folder / "logs").rglob("*.log")):
        used = re.findall(r"^job: ([\d.]+) s of CPU, (\d+) MB at most$", path.read_text(errors="replace"), flags=re.M)
        if used:
            rule = path.relative_to(folder / "logs").parts[0].removesuffix(".log")
            jobs.setdefault(rule, []).append(tuple(map(float, used[-1])))
    return jobs


def read_config(*presets):
    """Return the checked configuration of the study, with presets or files laid over it; None is none."""
    sys.path[:0] = [p for p in [str(ROOT / "scripts")] if p not in sys.path]
    from blendimpact.config import study as config
    from blendimpact.errors import StudyError

    overlays = [config_file(preset) for preset in presets if preset]
    try:
        return config.validate(config.load_config(overlays), sources=[ROOT / "config" / "config.yaml", *overlays])
    except StudyError as error:
        raise SystemExit(str(error)) from None


def config_file(preset):
    """Return the file of a preset, or the file itself."""
    path = ROOT / "config" / "presets" / f"{preset}.yaml"
    return path if path.is_file() else Path(preset).absolute()


def one_chunk(case, patches, preset=None, keep_images=False):
    """Return a configuration with one scenario and one chunk of one case, to be laid over a preset.

    The comparisons of deblenders and of subtraction engines are left out: they have chunks of their own.

    Parameters
    ----------
    case : str
    patches : int
        Patches of the chunk. Of a real image as many blocks, with one realisation of the injection.
    preset : str, optional
        Preset or file that gives everything else, default the study's configuration.
    keep_images : bool
        Keep what else would be deleted.
    """
    base = read_config(preset)
    if case not in base["cases"]:
        raise SystemExit(f"there is no case {case!r}: {', '.join(base['cases'])}")
    scenarios = {name: None for name in base["cases"][case]["scenarios"] if name != "fiducial"}
    block = {"enabled": True, "patch": {"count": patches}, "scenarios": scenarios}
    if base["cases"][case].get("inject"):
        block["inject"] = {"realisations": 1}
    others = {name: {"enabled": False} for name in base["cases"] if name != case}
    return {
        "study": "benchmark",
        "chunk_size": patches,
        "keep_images": keep_images,
        "comparison": None,
        "subtraction_comparison": None,
        "cases": {**others, case: block},
    }


def copy_inputs(source, folder):
    """Copy the fetched inputs to where a study in ``folder`` looks for them.

    Copies, so that no benchmark can touch the originals.

    Raises
    ------
    SystemExit
        If there are no inputs, with what makes them.
    """
    if not (source / "skycatalogs" / "receipt.json").is_file():
        raise SystemExit(
            f"no fetched inputs in {source}. Make them with\n  snakemake "
            "results/inputs/population/hst_cosmos.parquet results/inputs/des_dr2_g/receipt.json\n"
            "or name their folder with --inputs"
        )
    target = folder / "results" / "inputs"
    for path in sorted(p for p in source.iterdir() if p.is_dir() and p.name not in ("logs", "benchmarks")):
        shutil.copytree(path, target / path.name, dirs_exist_ok=True)
    for path in (target / "population").glob("*"):  # made from the others: must not look older
        os.utime(path)


def run_study(folder, config, *targets, preset=None):
    """Run targets of a study in ``folder`` on one core and return the `Study`.

    Parameters
    ----------
    folder : Path
        With the inputs (`copy_inputs`).
    config : dict
        Laid over the preset, or over the project's configuration.
    *targets : str
        Names of rules, or files.
    preset : str, optional
    """
    overlay = folder / f"config.{len(list(folder.glob('config.*')))}.json"
    overlay.write_text(json.dumps(config, indent=1))
    overlays = [*([config_file(preset)] if preset else []), overlay]
    used = run_process(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            ROOT / "Snakefile",
            "--cores",
            "1",
            "--configfile",
            *overlays,
            "--",
            *targets,
        ],
        cwd=folder,
    )
    products = folder / "results" / config["study"]
    jobs = job_usage(products)
    return Study(products, jobs, used.cpu - sum(cpu for rule in jobs.values() for cpu, _ in rule))


def finished_run(given=None):
    """Return the folder of a finished run: the one that is given, else results/laptop, else smoke, else None.

    Raises
    ------
    SystemExit
        If the one that is given is none.
    """
    for folder in [given] if given else [ROOT / "results" / name for name in ("laptop", "smoke")]:
        if (folder / "benchmarks").is_dir() and (folder / "matrix.json").is_file():
            return folder
    if given:
        raise SystemExit(f"{given} is not a finished run: it has no benchmarks/ or no matrix.json")
    return None


def population(inputs, folder):
    """Return the paths of the population's galaxies and stars, made in ``folder`` if only their inputs are there.

    Raises
    ------
    SystemExit
        If the inputs are not there either.
    """
    made = inputs / "population"
    if not (made / "hst_cosmos.parquet").is_file():
        copy_inputs(inputs, folder)
        target = "results/inputs/population/hst_cosmos.parquet"
        run_process(
            [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "1", target], cwd=folder
        )
        made = folder / "results" / "inputs" / "population"
    return made / "hst_cosmos.parquet", made / "trilegal.parquet"


def main():
    """Print the conditions."""
    options(__doc__, "this has no long form").parse_args()
    print_conditions()


if __name__ == "__main__":
    main()
