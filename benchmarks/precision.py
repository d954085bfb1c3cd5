"""How precise the headlines of the board are for what they cost: half-width times the square root of CPU-hours.

Half the width of a 95 % interval falls with the square root of the CPU time, so that this product does not depend on
the size of a run. It is read from a finished run: intervals from its board, CPU seconds from the logs of jobs of the
scenario that a headline is of. Beside it stands that of the published run (results/reference/precision.csv): a change
that loses precision is seen. CPU seconds of another machine, or of a busy one, are others: look for what changes alone.
"""

import csv
import json
import re
import sys
from pathlib import Path

from common import ROOT, finished_run, options, print_table

BEFORE = ROOT / "results" / "reference" / "precision.csv"
JOB = re.compile(r"^job: ([\d.]+) s of CPU", flags=re.M)
SHARED = ("compare", "reference", "compare_engines")
"""Rules whose jobs are of no cell of the board."""


def scenario_seconds(run, case, scenario):
    """Return the CPU seconds of all jobs of one scenario of a finished run."""
    logs = (
        path
        for path in (run / "logs").rglob(f"{case}.{scenario}.*.log")
        if path.relative_to(run / "logs").parts[0] not in SHARED
    )
    found = (JOB.findall(path.read_text(errors="replace")) for path in logs)
    return sum(float(seconds[-1]) for seconds in found if seconds)


def scenarios():
    """Return {(case, subrow, stage): scenario} of the headlines of the board."""
    sys.path[:0] = [str(ROOT / "scripts")]
    from blendimpact.cases.board import load_board

    return {
        (row["case"], subrow["name"], stage): cell.get("scenario", "fiducial")
        for row in load_board()
        for subrow in row["subrows"]
        for stage, cell in subrow["cells"].items()
        if cell
    }


def precision(run):
    """Return a dict per headline with an interval: its names, ``half_width``, ``cpu_s``, ``precision``."""
    chosen, out = scenarios(), []
    for cell in json.loads((run / "matrix.json").read_text()):
        key = cell["case"], cell["subrow"], cell["stage"]
        if cell["ci_low"] is None or cell["ci_high"] is None or key not in chosen:
            continue
        half, seconds = (cell["ci_high"] - cell["ci_low"]) / 2, scenario_seconds(run, cell["case"], chosen[key])
        out.append(
            {
                **dict(zip(("case", "subrow", "stage"), key)),
                "fom": cell["fom"],
                "unit": cell["unit"],
                "n": cell["n"],
                "half_width": half,
                "cpu_s": seconds,
                "precision": half * (seconds / 3600) ** 0.5,
            }
        )
    return out


def published(path):
    """Return {(case, subrow, stage): row} of a table that was written with --out; {} if there is none."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8", newline="") as stream:
        return {(r["case"], r["subrow"], r["stage"]): r for r in csv.DictReader(stream)}


def main():
    """Print the table."""
    parser = options(__doc__, "the same, for it only reads")
    parser.add_argument("--run", type=Path, help="folder of a finished run, default results/laptop, else results/smoke")
    parser.add_argument("--out", type=Path, metavar="CSV", help="write the table too, to compare later runs with")
    asked = parser.parse_args()
    run = finished_run(asked.run)
    if not run:
        print("there is no finished run: make study, or name the folder of one with --run")
        return
    before, found, rows = published(BEFORE), precision(run), []
    for cell in found:
        old = before.get((cell["case"], cell["subrow"], cell["stage"]))
        rows.append(
            (
                f"{cell['case']}, {cell['subrow']}, {cell['stage']}: {cell['fom']}",
                cell["n"],
                f"{cell['half_width']:.2g}",
                f"{cell['cpu_s']:.0f}",
                f"{cell['precision']:.2g} {cell['unit'] if cell['unit'] != '1' else ''}".strip(),
                f"{float(old['precision']):.2g} ({old['fom']})" if old else "-",
            )
        )
    print_table(
        f"Precision of the headlines, study {run.name}",
        ("headline", "N", "half-width", "CPU s", "x sqrt(CPU h)", "published"),
        rows,
    )
    if asked.out and found:
        with open(asked.out, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(found[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)


if __name__ == "__main__":
    main()
