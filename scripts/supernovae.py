"""Tabulate magnitudes of supernovae by redshift and phase."""
# ruff: noqa: F821

from pathlib import Path

from job import job, provenance

with job(snakemake):
    from blendimpact.stages import population

    _, meta = provenance(snakemake)
    population.run_supernovae(
        folder=Path(snakemake.input.receipt[0]).parent,
        out=snakemake.output.supernovae,
        meta=meta,
    )
