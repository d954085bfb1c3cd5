"""Measure what all deblenders of the comparison are held against."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.pipeline import compare

    _, meta = provenance(snakemake)
    compare.reference(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        images=snakemake.input.images,
        truth=snakemake.input.truth,
        detections=snakemake.input.detections,
        assignments=snakemake.input.assignments,
        sky=snakemake.input.sky,
        measurements_out=snakemake.output.measurements,
        meta=meta,
    )
