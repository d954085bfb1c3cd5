"""Deblend the patches of one chunk."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import deblend

    _, meta = provenance(snakemake)
    deblend.run(
        settings=snakemake.params.settings,
        **named(snakemake.input),
        children_out=snakemake.output.children,
        options=snakemake.params.options,
        meta=meta,
    )
