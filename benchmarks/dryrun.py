"""How long the graph takes: a dry run of the survey preset, cut so fine that it has about 10,000 jobs.

Snakemake builds the graph at every start, so this is what a user waits for before the first job and again at each
resume. Only `chunk_size` is changed. Smaller graphs beside it tell a cost per job from one that grows faster.
"""

import re
import sys
import tempfile

from common import ROOT, config_file, options, print_conditions, print_table, read_config, run_process, spread

TARGET = 20.0
JOBS = (100, 1000, 10000)
QUICK = (100,)


def chunk_size_for(config, jobs):
    """Return the chunk size with which a configuration has about so many jobs, and never fewer than 1 patch."""
    from blendimpact.config.study import jobs as count

    low, high = 1, 1
    while count({**config, "chunk_size": high}) > jobs:
        low, high = high, 2 * high
        if high > 1 << 30:
            break
    while low < high:  # the least size with at most so many jobs
        middle = (low + high) // 2
        low, high = (low, middle) if count({**config, "chunk_size": middle}) <= jobs else (middle + 1, high)
    best = min((max(low - 1, 1), low), key=lambda size: abs(count({**config, "chunk_size": size}) - jobs))
    return best


def dry_run(preset, chunk_size, folder):
    """Return (number of jobs, Usage) of a dry run in an empty folder."""
    used = run_process(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            ROOT / "Snakefile",
            "-n",
            "--cores",
            "1",
            "--configfile",
            config_file(preset),
            "--config",
            f"chunk_size={chunk_size}",
        ],
        cwd=folder,
    )
    found = re.search(r"^total\s+(\d+)\s*$", used.text, flags=re.M)
    if not found:
        raise SystemExit("the dry run printed no number of jobs")
    return int(found[1]), used


def main():
    """Measure and print."""
    parser = options(__doc__, f"{QUICK[0]} jobs, once")
    parser.add_argument("--preset", default="survey", help="preset or file, default survey")
    parser.add_argument("--jobs", nargs="+", type=int, help=f"sizes of the graph, default {' '.join(map(str, JOBS))}")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default 3")
    args = parser.parse_args()
    wanted = sorted(args.jobs or (QUICK if args.quick else JOBS))
    config = read_config(args.preset)
    sizes = {jobs: chunk_size_for(config, jobs) for jobs in wanted}
    print_conditions()
    used, counted = {jobs: [] for jobs in wanted}, {}
    for _ in range(args.repetitions or (1 if args.quick else 3)):
        for jobs, size in sizes.items():
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                counted[jobs], usage = dry_run(args.preset, size, folder)
            used[jobs].append(usage)
    rows = [
        [
            f"{counted[jobs]} jobs",
            sizes[jobs],
            spread((u.wall for u in used[jobs]), 1),
            spread((u.cpu for u in used[jobs]), 1),
            f"{max(u.peak for u in used[jobs]):.0f}",
            f"{TARGET:.0f} s wall" if jobs >= 5000 else "-",
        ]
        for jobs in wanted
    ]
    notes = []
    if len(wanted) > 1:
        low, high = wanted[0], wanted[-1]
        growth = [1000 * (b.cpu - a.cpu) / (counted[high] - counted[low]) for a, b in zip(used[low], used[high])]
        notes.append(f"{spread(growth)} ms of CPU per job between the smallest and the largest")
    print_table(
        f"Dry run of the preset {args.preset}",
        ["graph", "chunk_size", "wall s", "CPU s", "peak MB", "target"],
        rows,
        notes,
    )


if __name__ == "__main__":
    main()
