"""Put what a finished run found of one or more cases into a folder of results, and stack the board anew.

``python -m blendimpact.stages.publish results/reference_run results/reference --config config/presets/reference.yaml``

Each case's part of the folder stands by itself: its figures of merit with their provenance, and its figures as far as
they were drawn. A case that is run again later replaces its own part alone (``--case galaxies``). ``--config`` names
the preset of the study and what else was laid over ``config/config.yaml``; without it, the study is the laptop's.
Comparisons of deblenders and of subtraction engines are not published.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from ..config.study import load_config, validate
from ..data import catalogues
from ..data.provenance import read_meta
from ..errors import StudyError
from . import matrix

FOMS, SCENARIOS, FIGURES, PROVENANCE = "foms.parquet", "scenarios.parquet", "figures", "provenance.json"
LARGEST = 200_000
"""Bytes of a figure that is published: a repository keeps every version."""


def publish(run, folder, config, cases=None):
    """Copy the parts of cases and make the board of all that are in the folder.

    Parameters
    ----------
    run, folder : path-like
        Products of a study, ``results/<study>``; what is published.
    config : dict
        The checked configuration of the study.
    cases : sequence of str, optional
        Default all that the run has.

    Returns
    -------
    list of str
        The cases that were copied.

    Raises
    ------
    StudyError
        If the run lacks one of the cases, or has none.
    """
    run, folder = Path(run), Path(folder)
    made = sorted(path.parent.name for path in run.glob(f"*/{FOMS}"))
    if missing := sorted(set(cases or ()) - set(made)) or not made:
        name = missing[0] if isinstance(missing, list) else "any case"
        raise StudyError(f"no figures of merit of {name}", str(run), f"run: snakemake {run}/<case>/{FOMS}")
    for case in cases or made:
        _copy_case(run, folder / case, case)
    _board(folder, config)
    return list(cases or made)


def _copy_case(run, target, case):
    """Replace the part of one case: figures of merit, their differences, provenance, figures that are not large."""
    shutil.rmtree(target, ignore_errors=True)
    (target / FIGURES).mkdir(parents=True)
    for name in (FOMS, SCENARIOS):
        if (run / case / name).exists():
            shutil.copyfile(run / case / name, target / name)
    meta = read_meta(catalogues.read(target / FOMS).meta)
    (target / PROVENANCE).write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for path in sorted((run / FIGURES / case).glob("*.png")):
        if path.stat().st_size <= LARGEST:
            shutil.copyfile(path, target / FIGURES / path.name)


def _board(folder, config):
    """Make the board of all cases of the folder."""
    with tempfile.TemporaryDirectory() as other:
        matrix.run(
            config,
            sorted(folder.glob(f"*/{FOMS}")),
            sorted(folder.glob(f"*/{SCENARIOS}")),
            foms_out=f"{other}/foms.parquet",
            foms_csv_out=f"{folder}/foms.csv",
            figure_out=f"{folder}/matrix.png",
            slide_out=f"{folder}/matrix_slide.png",
            pdf_out=f"{folder}/matrix.pdf",
            json_out=f"{folder}/matrix.json",
            csv_out=f"{folder}/matrix.csv",
            parquet_out=f"{folder}/matrix.parquet",
            checks_out=f"{other}/external_checks.parquet",
            checks_csv_out=f"{folder}/external_checks.csv",
            scenarios_out=f"{other}/scenarios.parquet",
            scenarios_csv_out=f"{folder}/scenarios.csv",
        )


def main(arguments=None):
    """Run the command line; errors that a user can mend end it with code 1 and their text."""
    parser = argparse.ArgumentParser(prog="python -m blendimpact.stages.publish", description=__doc__)
    parser.add_argument("run", help="products of a finished study: results/<study>")
    parser.add_argument("folder", help="where they are published")
    parser.add_argument("--config", action="append", default=[], metavar="FILE", help="preset of the study; repeatable")
    parser.add_argument("--case", action="append", metavar="NAME", help="only this case; repeatable")
    asked = parser.parse_args(arguments)
    try:
        done = publish(asked.run, asked.folder, validate(load_config(asked.config)), asked.case)
    except StudyError as error:
        sys.exit(str(error))
    print(f"published: {', '.join(done)}; the board: {asked.folder}/matrix.png")


if __name__ == "__main__":
    main()
