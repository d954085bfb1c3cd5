"""What the foms and matrix stages cost against the number of blocks of sky.

Score tables of a few patches are repeated under new block numbers until there are as many blocks as asked for, and
both stages are run on them in a fresh process: reading the tables, aggregating (sums, bootstrap, intervals), and
everything that does not depend on the number of blocks (board, page, external checks). The score tables are those of a
finished run, or of a chunk that is run for it. A patch is a block, so the survey preset has 20,000 in one scenario.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from common import (
    copy_inputs,
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

BLOCKS = (30, 100, 300, 1000)
QUICK = (12, 30)
PARTS = ("reading", "aggregating", "the rest")
MADE = 4
"""Patches that are run where there is no finished run."""


def find_scores(case, run, inputs, preset, folder):
    """Return the score tables of one scenario of a case, and where they are from."""
    run = finished_run(run)
    found = sorted((run / case / "fiducial" / "score").glob("*.parquet")) if run else []
    if found:
        return found, f"{len(found)} score tables of the study {run.name}"
    copy_inputs(inputs, folder)
    study = run_study(folder, one_chunk(case, MADE, preset), case, preset=preset)
    return sorted(study.folder.glob(f"{case}/fiducial/score/*.parquet")), f"{MADE} patches run for it"


def repeat(paths, blocks, chunk_size, folder):
    """Write score tables with so many blocks, ``chunk_size`` to a table, and return their paths."""
    import numpy as np
    from blendimpact.data import catalogues

    table = catalogues.stack([catalogues.read(path) for path in paths])
    parts = [table[np.asarray(table["block"]) == block] for block in np.unique(table["block"])]
    folder.mkdir(parents=True)
    out = []
    for first in range(0, blocks, chunk_size):
        chunk = []
        for block in range(first, min(first + chunk_size, blocks)):
            part = parts[block % len(parts)].copy()
            part["block"][:] = block
            chunk.append(part)
        out.append(folder / f"{first // chunk_size:03d}.parquet")
        catalogues.write(catalogues.stack(chunk), out[-1])
    return out


def run_stages(job):
    """Run the stages on the score tables of a job (JSON file) and print their CPU seconds by part."""
    import time

    from blendimpact.stages import foms, matrix

    given = json.loads(Path(job).read_text())
    folder, spent = Path(given["folder"]), dict.fromkeys(PARTS, 0.0)

    def timed(part, function):
        def wrapped(*args, **kwargs):
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent[part] += time.process_time() - start

        return wrapped

    foms.read_scores = timed("reading", foms.read_scores)
    foms.aggregate = timed("aggregating", foms.aggregate)
    outputs = {
        "foms": "foms.parquet",
        "foms_csv": "foms.csv",
        "figure": "matrix.png",
        "slide": "matrix_slide.png",
        "pdf": "matrix.pdf",
        "json": "matrix.json",
        "csv": "matrix.csv",
        "parquet": "matrix.parquet",
        "checks": "checks.parquet",
        "checks_csv": "checks.csv",
        "scenarios": "scenarios.parquet",
        "scenarios_csv": "scenarios.csv",
    }
    config, case, table = given["config"], given["case"], folder / given["case"] / "foms.parquet"
    start = time.process_time()
    foms.run(case, given["scores"], config["bootstrap"], config["seed"], table)
    matrix.run(config, [table], [], **{f"{name}_out": str(folder / file) for name, file in outputs.items()})
    spent["the rest"] = time.process_time() - start - sum(spent.values())
    print("SPENT " + json.dumps(spent))


def measure(case, blocks, paths, config, chunk_size, folder):
    """Return (seconds by part, Usage) of the stages with so many blocks of one scenario."""
    scores = repeat(paths, blocks, chunk_size, folder / case / "fiducial" / "score")
    others = {name: {**block, "enabled": name == case} for name, block in config["cases"].items()}
    job = folder / "job.json"
    job.write_text(
        json.dumps(
            {
                "config": {**config, "study": "benchmark", "cases": others},
                "folder": str(folder),
                "case": case,
                "scores": [str(path) for path in scores],
            }
        )
    )
    used = run_process([sys.executable, __file__, "--job", job], cwd=folder, env=library_path())
    line = next(line for line in used.text.splitlines() if line.startswith("SPENT "))
    return json.loads(line.removeprefix("SPENT ")), used


def main():
    """Measure and print."""
    parser = options(__doc__, f"{' and '.join(map(str, QUICK))} blocks, once")
    parser.add_argument("--case", default="two_point")
    parser.add_argument("--blocks", nargs="+", type=int, metavar="N", help=f"default {' '.join(map(str, BLOCKS))}")
    parser.add_argument("--resamples", type=int, metavar="N", help="default: the study's `bootstrap`")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default 2")
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="folder of a finished run, default results/laptop or else results/smoke"
    )
    parser.add_argument("--preset", help="preset or file that configures the board, default the laptop study")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        run_stages(args.job)
        return
    preset = args.preset or ("smoke" if args.quick else None)
    config = read_config(preset)
    config["bootstrap"] = args.resamples or config["bootstrap"]
    sizes = sorted(args.blocks or (QUICK if args.quick else BLOCKS))
    print_conditions()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        paths, source = find_scores(args.case, args.run, args.inputs, preset, Path(folder) / "made")
        spent = {n: [] for n in sizes}
        for number in range(args.repetitions or (1 if args.quick else 2)):
            for n in sizes:
                here = Path(folder) / f"{n}.{number}"
                spent[n].append(measure(args.case, n, paths, config, config["chunk_size"], here))
    rows = [
        [
            n,
            *(spread(s[part] for s, _ in spent[n]) for part in PARTS),
            spread((1000 * s["aggregating"] / n for s, _ in spent[n]), 1),
            f"{max(used.peak for _, used in spent[n]):.0f}",
        ]
        for n in sizes
    ]
    print_table(
        f"CPU seconds of foms and matrix: {args.case}, one scenario, {config['bootstrap']} resamples",
        ["blocks", *PARTS, "aggregating, ms per block", "peak MB"],
        rows,
        [f"tables of {config['chunk_size']} blocks, repeated from {source}; no target is set"],
    )


if __name__ == "__main__":
    main()
