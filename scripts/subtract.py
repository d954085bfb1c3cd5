"""Subtract the template from the patches of one chunk."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import subtract

    _, meta = provenance(snakemake)
    subtract.run(
        settings=snakemake.params.settings,
        **named(snakemake.input),
        differences_out=snakemake.output.differences,
        options=snakemake.params.options,
        meta=meta,
    )
