"""Aggregate the comparison of deblenders."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake, pass_on=False):
    from blendimpact.stages import comparison

    _, meta = provenance(snakemake, [])
    comparison.run(
        config=snakemake.params.config,
        sources=snakemake.input.sources,
        scores=snakemake.input.scores,
        meta=meta,
        **dict(snakemake.output.items()),
    )
