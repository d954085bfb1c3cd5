"""CPU and memory of the jobs of the comparison. Not the same in every run, so kept apart from all other numbers."""

import csv
import json

from ...data import missing_inputs
from ...data.whole import opened

COLUMNS = {
    "sky": "sky of the comparison",
    "deblender": "deblender",
    "sources": "centres deblended, true and detected, all chunks",
    "ms_all": "CPU ms per source: a process up to its first deblending (interpreter, imports), and all deblending, "
    "compiling too",
    "ms_steady": "CPU ms per source in the second half of each process' calls: what more patches would cost",
    "start_s": "CPU s of a process before its first deblending, mean of the chunks",
    "peak_mb": "largest peak memory of a process (MB), with measuring; without libraries that it shares",
    "note": "why there is no number",
}


def summary(sky, deblender, paths):
    """Return one row of costs, keys as in `COLUMNS`.

    Parameters
    ----------
    sky, deblender : str
    paths : sequence of path-like
        Cost files of the chunks.
    """
    row = {
        "sky": sky,
        "deblender": deblender,
        "sources": 0,
        "ms_all": float("nan"),
        "ms_steady": float("nan"),
        "start_s": float("nan"),
        "peak_mb": float("nan"),
        "note": "",
    }
    reason = missing_inputs.reason(paths)
    if reason:
        return {**row, "note": f"not made: {reason}"}
    jobs = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            jobs.append(json.load(file))
    sources = sum(sum(job["sources"]) for job in jobs)
    if not sources:
        return {**row, "note": "no source to deblend"}
    cpu = sum(job["cpu_start"] + sum(job["cpu"]) for job in jobs)
    late = [(n, c) for job in jobs for n, c in list(zip(job["sources"], job["cpu"]))[len(job["cpu"]) // 2 :]]
    steady = sum(c for _, c in late) / max(sum(n for n, _ in late), 1)
    return {
        **row,
        "sources": sources,
        "ms_all": round(1e3 * cpu / sources, 3),
        "ms_steady": round(1e3 * steady, 3),
        "start_s": round(sum(job["cpu_start"] for job in jobs) / len(jobs), 2),
        "peak_mb": round(max(job["peak_mb"] for job in jobs)),
    }


def write(path, columns, rows):
    """Write rows of costs as CSV: whole or not at all."""
    with opened(path, newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def below(paths, place):
    """Return, sorted, those of the products of many jobs that have a place in their path."""
    return sorted(str(path) for path in paths if place in str(path).replace("\\", "/"))
