"""Reduce simulated visits to the seeing and depth of each."""
# ruff: noqa: F821

from pathlib import Path

from job import job, provenance

with job(snakemake):
    from blendimpact.stages import population

    _, meta = provenance(snakemake)
    population.run_visits(
        folder=Path(snakemake.input.receipt[0]).parent,
        out=snakemake.output.visits,
        meta=meta,
    )
