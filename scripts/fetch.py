"""Fetch one input by name and checksum."""
# ruff: noqa: F821

from job import job

with job(snakemake):
    from blendimpact.stages import fetch

    fetch.run(
        name=snakemake.wildcards.name,
        spec_path=snakemake.input.spec,
        outputs=[snakemake.output.receipt],
    )
