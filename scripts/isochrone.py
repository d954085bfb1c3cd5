"""Number the stars of an old population by an initial mass function."""
# ruff: noqa: F821

from pathlib import Path

from job import job, provenance

with job(snakemake):
    from blendimpact.stages import population

    _, meta = provenance(snakemake)
    population.run_isochrone(
        folder=Path(snakemake.input.receipt[0]).parent,
        out=snakemake.output.stars,
        meta=meta,
    )
