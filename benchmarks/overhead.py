"""How much of the CPU time is not the stages' own work: start-up, imports, the graph, reading and writing.

Three looks at the same question.

1. Start-up of each script: a fresh interpreter that imports what the script imports, and what Snakemake imports before.
2. One whole chunk of each case, run by Snakemake with every script measured from inside (benchmarks/probe), and from
   it the whole study: jobs times start-up, patches times the rest, one start of Snakemake, jobs times its bookkeeping.
3. A finished run: the CPU time in its benchmark files, and what the start-ups of 1. are of it. Snakemake samples a
   job's CPU every 0.5 s at first and every 30 s after the 15th second, so what a long job used since the last sample
   is missing from its file; it is made up for here in proportion to the job's duration.

Fetching is not counted, nor is the population, which is made once for all studies.
"""

import ast
import json
import re
import sys
import tempfile
from math import ceil
from pathlib import Path

from common import (
    ROOT,
    config_file,
    copy_inputs,
    count_patches,
    finished_run,
    library_path,
    one_chunk,
    options,
    print_conditions,
    print_table,
    read_config,
    run_process,
    run_study,
    spread,
)

TARGET = 15.0
INTERVAL, INTERVAL_LONG, SHORT_SAMPLES = 0.5, 30.0, 30  # of snakemake.benchmark
PREAMBLE = "import snakemake.logging, snakemake.iocontainers"
PER_CHUNK = ("simulate", "inject", "detect", "deblend", "measure", "score")
PER_CASE = ("adopt", "foms", "figures", "panel")
NOT_COUNTED = ("fetch", "population")


# --- start-up of the scripts -------------------------------------------------------------------------


def imports_of(script):
    """Return the import statements of a script, wherever they stand in it, as one line of Python."""
    nodes = ast.walk(ast.parse(script.read_text()))
    return "; ".join(ast.unparse(n) for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)))


def startup(repetitions, names=None):
    """Return {script: CPU seconds of its start-up in each repetition}, in turns; "python" is the bare interpreter."""
    scripts = {path.stem: path for path in sorted((ROOT / "scripts").glob("*.py")) if path.stem != "job"}
    if unknown := sorted(set(names or ()) - set(scripts)):
        raise SystemExit(f"there is no script {', '.join(unknown)}: {', '.join(scripts)}")
    code = {name: f"{PREAMBLE}; {imports_of(path)}" for name, path in scripts.items() if not names or name in names}
    code = {"python": "pass", "snakemake": PREAMBLE, **code}
    seconds = {name: [] for name in code}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(repetitions + 1):  # the first one compiles what has not been compiled
            for name, text in code.items():
                used = run_process([sys.executable, "-c", text], cwd=folder, env=library_path())
                if number:
                    seconds[name].append(used.cpu)
    return seconds


# --- one chunk, from inside --------------------------------------------------------------------------


def dry_cpu(folder, *presets):
    """Return CPU seconds and jobs of a dry run of a study; None is no preset."""
    overlays = [config_file(preset) for preset in presets if preset]
    given = ["--configfile", *overlays] if overlays else []
    used = run_process([sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "-n", "--cores", "1",
                        *given], cwd=folder)
    found = re.search(r"^total\s+(\d+)\s*$", used.text, flags=re.M)
    return used.cpu, int(found[1]) if found else 0


def run_chunks(cases, inputs, preset, folder):
    """Return {case: (Study of one chunk of it, with the matrix and the figures; patches; dry run's CPU)}."""
    config, out = read_config(preset), {}
    for case in cases:
        here = Path(folder) / case
        here.mkdir()
        copy_inputs(inputs, here)
        patches = min(config["chunk_size"], count_patches(config, case)["fiducial"])
        chunk = one_chunk(case, patches, preset)
        overlay = here / "dry.json"
        overlay.write_text(json.dumps(chunk))
        dry, _ = dry_cpu(here, preset, overlay)
        # the whole study: what comes after the scores is its own part of the overhead
        out[case] = run_study(here, chunk, "all", preset=preset), patches, dry
    return out


def accounted(study):
    """Return {script: {part: CPU seconds}} of a study, summed over its jobs, of what counts."""
    out = {}
    for script in study.scripts:
        if script["script"] not in NOT_COUNTED:
            mine = out.setdefault(script["script"], dict.fromkeys(("startup", "io", "own"), 0.0) | {"jobs": 0})
            mine["startup"] += script["cpu"]["start"] + script["cpu"]["imports"]
            mine["io"] += script["cpu"]["io"]
            mine["own"] += script["cpu"]["own"]
            mine["jobs"] += 1
    return out


def chunk_rows(study, dry):
    """Return a row per script of one chunk: where its CPU went."""
    rows, total = [], [0.0, 0.0, 0.0]
    for name, cpu in accounted(study).items():
        parts = [cpu["startup"], cpu["io"], cpu["own"]]
        total = [a + b for a, b in zip(total, parts)]
        rows.append([name, cpu["jobs"], *(f"{p:.2f}" for p in parts), f"{100 * (1 - parts[2] / sum(parts)):.0f} %"])
    rows.append(["Snakemake", "", f"{study.snakemake:.2f}", "", "", f"graph of it {dry:.2f}"])
    share = 1 - total[2] / (sum(total) + study.snakemake)
    return [*rows, ["all", "", f"{total[0] + study.snakemake:.2f}", f"{total[1]:.2f}", f"{total[2]:.2f}",
                    f"{100 * share:.0f} %"]]


def project(chunks, config, dry, jobs):
    """Return CPU seconds of a whole study by part, from one chunk of each case.

    Parameters
    ----------
    chunks : dict
        From `run_chunks`.
    config : dict
        Of the study.
    dry, jobs : float, int
        CPU seconds and number of jobs of its dry run.
    """
    parts = dict.fromkeys(("start-up and imports", "reading and writing", "graph and bookkeeping", "own work"), 0.0)
    bookkeeping, once = [], {}
    for case, (study, patches, dry_of_chunk) in chunks.items():
        counts = count_patches(config, case)
        n_chunks = sum(ceil(n / config["chunk_size"]) for n in counts.values())
        for name, cpu in accounted(study).items():
            if name in PER_CHUNK:
                times = n_chunks, sum(counts.values()) / patches
            elif name in PER_CASE:
                times = 1, 1
            else:  # once in a study, whatever the number of cases
                once.setdefault(name, []).append(cpu)
                continue
            parts["start-up and imports"] += times[0] * cpu["startup"]
            parts["reading and writing"] += times[1] * cpu["io"]
            parts["own work"] += times[1] * cpu["own"]
        bookkeeping.append(max(study.snakemake - dry_of_chunk, 0.0) / len(study.scripts))
    for runs in once.values():
        parts["start-up and imports"] += max(cpu["startup"] for cpu in runs)
        parts["reading and writing"] += max(cpu["io"] for cpu in runs)
        parts["own work"] += max(cpu["own"] for cpu in runs)
    parts["graph and bookkeeping"] = dry + jobs * sum(bookkeeping) / len(bookkeeping)
    return parts


# --- a finished run ----------------------------------------------------------------------------------


def last_sample(seconds):
    """Return when Snakemake last looked at a job that took so long."""
    turn = INTERVAL * SHORT_SAMPLES
    if seconds <= turn:
        return max(seconds // INTERVAL * INTERVAL, min(seconds, INTERVAL))
    return turn + (seconds - turn) // INTERVAL_LONG * INTERVAL_LONG


def read_benchmarks(folder):
    """Return {rule: [(wall, CPU in the file, CPU made up for what was not sampled), ...]} of a finished run."""
    out = {}
    for path in sorted(folder.rglob("*.tsv")):
        header, *lines = path.read_text().splitlines()
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        for line in lines:
            row = dict(zip(header.split("\t"), line.split("\t")))
            wall = float(row["s"])
            cpu = float(row["cpu_time"]) if row["cpu_time"] not in ("NA", "-") else 0.0
            out.setdefault(rule, []).append((wall, cpu, cpu * max(wall / last_sample(wall), 1.0)))
    return out


def worked(folder):
    """Return {rule: seconds of wall time between the first and the last patch} from the progress in the logs."""
    out = {}
    for path in sorted(folder.rglob("*.log")):
        found = re.findall(r"^\w+: (\d+)/\1 in ([\d.]+) s", path.read_text(errors="replace"), flags=re.M)
        if found:
            rule = path.relative_to(folder).parts[0]
            out[rule] = out.get(rule, 0.0) + sum(float(seconds) for _, seconds in found)
    return out


def finished_rows(folder, once):
    """Return rows of a finished run, its CPU seconds in all, and those of its start-ups."""
    loops, rows, total = worked(folder / "logs"), [], [0.0, 0.0, 0.0]
    for rule, jobs in read_benchmarks(folder / "benchmarks").items():
        wall, recorded, cpu = (sum(job[k] for job in jobs) for k in range(3))
        start = len(jobs) * once.get(rule, 0.0)
        total = [a + b for a, b in zip(total, (recorded, cpu, start))]
        loop = f"{100 * (1 - loops[rule] / wall):.0f} %" if rule in loops else "-"
        rows.append([rule, len(jobs), f"{wall:.0f}", f"{recorded:.1f}", f"{cpu:.1f}", f"{start:.1f}",
                     f"{100 * start / cpu:.0f} %" if cpu else "-", loop])
    rows.append(["all", sum(r[1] for r in rows), "", *(f"{t:.1f}" for t in total),
                 f"{100 * total[2] / total[1]:.0f} %" if total[1] else "-", ""])
    return rows, total


# --- all together ------------------------------------------------------------------------------------


def main():
    """Measure and print."""
    parser = options(__doc__, "a chunk of the smoke preset, start-ups once")
    parser.add_argument("--run", type=Path, metavar="DIR",
                        help="folder of a finished run, default results/laptop or else results/smoke")
    parser.add_argument("--cases", nargs="+", default=["two_point", "galaxies"])
    parser.add_argument("--preset", help="preset or file of the chunk and of the whole study, default the laptop study")
    parser.add_argument("--repetitions", type=int, metavar="N", help="of the start-ups, default 5")
    parser.add_argument("--scripts", nargs="+", metavar="NAME", help="whose start-up is measured, default all")
    parser.add_argument("--no-chunk", action="store_true", help="only the start-ups and the finished run")
    args = parser.parse_args()
    preset = args.preset or ("smoke" if args.quick else None)
    finished = finished_run(args.run)
    print_conditions()

    seconds = startup(args.repetitions or (1 if args.quick else 5), args.scripts)
    print_table("CPU seconds of the start-up of a script: interpreter, Snakemake's preamble, imports",
                ["script", "CPU s", "times the bare interpreter"],
                [[name, spread(values), spread((a / b for a, b in zip(values, seconds["python"])), 0)]
                 for name, values in seconds.items()], ["python: nothing; snakemake: the preamble alone"])
    once = {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}

    if not args.no_chunk:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            chunks = run_chunks(args.cases, args.inputs, preset, folder)
            dry, jobs = dry_cpu(folder, preset)
        for case, (study, patches, dry_of_chunk) in chunks.items():
            print_table(f"CPU seconds of one chunk: {case}, {patches} patches, with matrix and figures",
                        ["script", "jobs", "start-up", "reading, writing", "own work", "not own"],
                        chunk_rows(study, dry_of_chunk))
            unknown = sorted({name for script in study.scripts for name in script["not_found"]})
            if unknown:
                print(f"  counted as own work, because the probe no longer finds it: {', '.join(unknown)}")
        parts = project(chunks, read_config(preset), dry, jobs)
        total = sum(parts.values())
        outside = 100 * (1 - parts["own work"] / total)
        print_table(f"CPU of the whole study {preset or 'laptop'}, from one chunk of each of {', '.join(chunks)}",
                    ["part", "CPU s", "share", "target"],
                    [*([name, f"{value:.0f}", f"{100 * value / total:.1f} %", "-"] for name, value in parts.items()),
                     ["all", f"{total:.0f}", "", ""],
                     ["not own work", f"{total - parts['own work']:.0f}", f"{outside:.1f} %",
                      f"<= {TARGET:g} % of the laptop run"]],
                    [f"{jobs} jobs. A patch of every scenario is taken to cost what a fiducial one does, reading and "
                     "writing to go with the patches.", "Bookkeeping: what Snakemake does beside the graph, with the "
                     "sampling of benchmarks and the end of each interpreter."])

    if finished is None:
        print("\nNo finished run in results/laptop or results/smoke: `make study` or `make smoke` makes one.")
        return
    rows, total = finished_rows(finished, once)
    print_table(f"A finished run: {finished.name}",
                ["rule", "jobs", "wall s", "CPU s in its files", "made up", "start-ups", "share",
                 "wall outside patches"],
                rows, ["made up: for what Snakemake did not sample. start-ups: jobs times the first table, so measured "
                       "now, under another load.", "wall outside patches: of a job's wall time, from the progress in "
                       "its log. Snakemake's own CPU is in no file."])


if __name__ == "__main__":
    main()
