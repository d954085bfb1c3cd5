"""Join the fetched catalogues into the galaxies and stars that are drawn."""
# ruff: noqa: F821

from pathlib import Path

from job import job, provenance

with job(snakemake):
    from blendimpact.stages import population

    _, meta = provenance(snakemake)
    population.run(
        inputs={Path(receipt).parent.name: Path(receipt).parent for receipt in snakemake.input.receipts},
        galaxies_out=snakemake.output.galaxies,
        stars_out=snakemake.output.stars,
        meta=meta,
    )
