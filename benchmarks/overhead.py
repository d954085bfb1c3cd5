"""How much of the CPU time is not the stages' own work: start-up, imports, the graph of jobs.

A fresh interpreter imports the driver of each stage, and what Snakemake imports before it. What the jobs of a finished
run took in all stands at the end of their logs. A dry run gives the cost of the graph. Fetching is not counted, nor is
the population, which is made once for all studies.
"""

import sys
import tempfile
from pathlib import Path

from common import (
    ROOT,
    config_file,
    finished_run,
    job_usage,
    library_path,
    options,
    print_conditions,
    print_table,
    run_process,
    spread,
)

TARGET = 15.0
PREAMBLE = "import snakemake.logging, snakemake.iocontainers"


def startup(repetitions, names=None):
    """Return {stage: CPU seconds of its start-up in each repetition}, in turns; "python" is the bare interpreter."""
    stages = sorted(path.stem for path in (ROOT / "scripts" / "blendimpact" / "stages").glob("[a-z]*.py"))
    if unknown := sorted(set(names or ()) - set(stages)):
        raise SystemExit(f"there is no stage {', '.join(unknown)}: {', '.join(stages)}")
    code = {name: f"{PREAMBLE}; import blendimpact.stages.{name}" for name in names or stages}
    code = {"python": "pass", "snakemake": PREAMBLE, **code}
    seconds = {name: [] for name in code}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(repetitions + 1):  # the first one compiles what has not been compiled
            for name, text in code.items():
                used = run_process([sys.executable, "-c", text], cwd=folder, env=library_path())
                if number:
                    seconds[name].append(used.cpu)
    return seconds


def graph_cpu(preset):
    """Return the CPU seconds of a dry run of a study; None is the laptop study."""
    given = ["--configfile", config_file(preset)] if preset else []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return run_process(
            [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "-n", "--cores", "1", *given],
            cwd=folder,
        ).cpu


def finished_rows(folder, once, graph):
    """Return a row per rule of a finished run: its jobs, their CPU seconds, and how much of them are start-ups."""
    rows, total, starts = [], graph, graph
    for rule, jobs in job_usage(folder).items():
        cpu, start = sum(seconds for seconds, _ in jobs), len(jobs) * once.get(rule, 0.0)
        total, starts = total + cpu, starts + start
        rows.append([rule, len(jobs), f"{cpu:.1f}", f"{start:.1f}", f"{100 * start / cpu:.0f} %", "-"])
    share = f"{100 * starts / total:.1f} %"
    return [
        *rows,
        ["graph", "", f"{graph:.1f}", f"{graph:.1f}", "100 %", "-"],
        ["all", sum(row[1] for row in rows), f"{total:.1f}", f"{starts:.1f}", share, f"<= {TARGET:g} % of laptop"],
    ]


def main():
    """Measure and print."""
    parser = options(__doc__, "start-ups once")
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="folder of a finished run, default results/laptop or else results/smoke"
    )
    parser.add_argument("--repetitions", type=int, metavar="N", help="of the start-ups, default 5")
    parser.add_argument("--stages", nargs="+", metavar="NAME", help="whose start-up is measured, default all")
    args = parser.parse_args()
    finished = finished_run(args.run)
    print_conditions()
    seconds = startup(args.repetitions or (1 if args.quick else 5), args.stages)
    print_table(
        "CPU seconds of the start-up of a stage: interpreter, Snakemake's preamble, imports",
        ["stage", "CPU s", "times the bare interpreter"],
        [
            [name, spread(values), spread((a / b for a, b in zip(values, seconds["python"])), 0)]
            for name, values in seconds.items()
        ],
        ["python: nothing; snakemake: the preamble alone"],
    )
    if finished is None:
        print("\nNo finished run in results/laptop or results/smoke: `make study` or `make smoke` makes one.")
        return
    once = {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}
    print_table(
        f"CPU seconds of a finished run: {finished.name}",
        ["rule", "jobs", "CPU s", "start-ups", "share", "target"],
        finished_rows(finished, once, graph_cpu("smoke" if finished.name == "smoke" else None)),
        [
            "Start-ups: jobs times the first table. The graph is that of a dry run; what else Snakemake does is "
            "in no file."
        ],
    )


if __name__ == "__main__":
    main()
