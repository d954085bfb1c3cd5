"""Aggregate the comparison of subtraction engines."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake, pass_on=False):
    from blendimpact.stages import engine_comparison

    _, meta = provenance(snakemake, [])
    engine_comparison.run(
        config=snakemake.params.config,
        rows=snakemake.input.rows,
        meta=meta,
        **dict(snakemake.output.items()),
    )
