"""What a patch costs: CPU time by stage, peak memory against the number of patches in a chunk, disk by product.

Runs the workflow itself on one chunk of 1, 4 and 12 patches of each case, on one core, and reads what each job took
from the end of its log. CPU per patch is the slope between the smallest and the largest chunk; what a job costs before
its first patch, start and imports, stands beside. Memory that grows with the chunk would break the
promise that a chunk may be as large as one likes.
"""

import statistics
import tempfile
from pathlib import Path

from common import copy_inputs, one_chunk, options, print_conditions, print_table, read_config, run_study, spread

SIZES = (1, 4, 12)
QUICK = (1, 2)
ONCE = ("adopt",)  # works on the whole image, whatever the number of patches that are used
STAGES = ("simulate", *ONCE, "inject", "subtract", "detect", "deblend", "measure", "score")
TEMPORARY = ("fits", "h5")


def measure(case, sizes, repetitions, inputs, preset, folder):
    """Return {size: [Study, ...]} of one chunk of a case, sizes in turns."""
    studies = {size: [] for size in sizes}
    for number in range(repetitions):
        for size in sizes:
            here = Path(folder) / f"{case}.{size}.{number}"
            here.mkdir(parents=True)
            copy_inputs(inputs, here)
            chunk = one_chunk(case, size, preset, keep_images=True)
            studies[size].append(run_study(here, chunk, case, preset=preset))
    return studies


def slopes(studies, value):
    """Return the growth per patch between the smallest and the largest chunk, one number per repetition."""
    low, high = min(studies), max(studies)
    return [(value(b) - value(a)) / (high - low) for a, b in zip(studies[low], studies[high])]


def cpu_rows(studies):
    """Return a row per stage: CPU per patch, and what each job pays before its first one."""
    rows, every = [], [study for group in studies.values() for study in group]
    largest, total = max(studies), [0.0] * len(next(iter(studies.values())))
    for stage in [s for s in STAGES if s in every[0].jobs]:

        def cpu(study, stage=stage):
            return study.jobs[stage][0][0]

        if stage in ONCE:
            rows.append([f"{stage} (once)", "-", spread(map(cpu, every))])
            continue
        work = slopes(studies, cpu)
        rows.append([stage, spread(work), spread(cpu(s) - largest * w for s, w in zip(studies[largest], work))])
        total = [a + b for a, b in zip(total, work)]
    return [*rows, ["all", spread(total), ""]]


def memory_rows(studies):
    """Return a row per stage: peak memory by size of the chunk and its growth per patch."""
    rows = []
    for stage in [s for s in STAGES if s in next(iter(studies.values()))[0].jobs]:
        peaks = [[study.jobs[stage][0][1] for study in group] for group in studies.values()]
        growth = slopes(studies, lambda study, stage=stage: study.jobs[stage][0][1])
        rows.append([stage, *(f"{statistics.median(p):.0f}" for p in peaks), spread(growth, 1), "0"])
    return rows


def disk_rows(studies, case):
    """Return a row per product: MB per patch in the largest chunk."""
    size, found = max(studies), {}
    folder = studies[size][0].folder / case
    for path in sorted(folder.rglob("[!.]*")):
        stage = path.relative_to(folder).parts[1:2]
        if path.is_file() and stage and (stage := stage[0]) in STAGES:
            name = stage, path.name.partition(".")[2]
            found[name] = found.get(name, 0) + path.stat().st_size / 1e6
    rows, total = [], {"kept": 0.0, "deleted when used": 0.0}
    for (stage, kind), mb in found.items():
        fate = "deleted when used" if kind.rpartition(".")[2] in TEMPORARY else "kept"
        if stage in ONCE:
            rows.append([f"{stage}/{kind}", "-", f"{mb:.3f} for the whole image", fate])
        else:
            rows.append([f"{stage}/{kind}", f"{mb / size:.3f}", f"{mb:.1f}", fate])
            total[fate] += mb
    return [*rows, *([f"all {fate}", f"{mb / size:.3f}", f"{mb:.1f}", ""] for fate, mb in total.items())]


def main():
    """Measure and print."""
    parser = options(__doc__, f"chunks of {' and '.join(map(str, QUICK))} patches of the smoke preset, once")
    parser.add_argument("--cases", nargs="+", default=["two_point", "galaxies"])
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="patches in a chunk, default 1 4 12")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default 2")
    parser.add_argument("--preset", help="preset or file whose patches are measured, default the laptop study")
    args = parser.parse_args()
    sizes = sorted(set(args.sizes or (QUICK if args.quick else SIZES)))
    if len(sizes) < 2 or sizes[0] < 1:
        parser.error("--sizes needs two different numbers, 1 at least: the cost of a patch is a difference")
    repetitions = args.repetitions or (1 if args.quick else 2)
    preset = args.preset or ("smoke" if args.quick else None)
    print_conditions()
    chunks = f"chunks of {', '.join(map(str, sizes))} patches, {repetitions} times"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for case in args.cases:
            studies = measure(case, sizes, repetitions, args.inputs, preset, folder)
            what = f"{case} ({', '.join(read_config(preset)['cases'][case]['bands'])}; {chunks})"
            print_table(
                f"CPU seconds by stage: {what}",
                ["stage", "per patch", "before the first patch"],
                cpu_rows(studies),
                ["Before the first patch: interpreter, imports, inputs. No target is set."],
            )
            columns = ["stage", *(f"{n} patches" for n in sizes), "growth per patch", "target"]
            print_table(f"Peak memory of a job in MB: {what}", columns, memory_rows(studies))
            print_table(
                f"Disk in MB: {case}, chunk of {sizes[-1]} patches",
                ["product", "per patch", "per chunk", "fate"],
                disk_rows(studies, case),
            )


if __name__ == "__main__":
    main()
