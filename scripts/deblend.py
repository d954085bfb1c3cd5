"""Deblend the patches of one chunk."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.pipeline import deblend

    _, meta = provenance(snakemake)
    deblend.run(
        settings=snakemake.params.settings,
        images=snakemake.input.images,
        truth=snakemake.input.truth,
        detections=snakemake.input.detections,
        sky=snakemake.input.sky,
        children_out=snakemake.output.children,
        options=snakemake.params.options,
        meta=meta,
    )
