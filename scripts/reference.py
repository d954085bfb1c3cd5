"""Measure what all deblenders of the comparison are held against."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import compare

    _, meta = provenance(snakemake)
    compare.reference(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        **named(snakemake.input),
        measurements_out=snakemake.output.measurements,
        meta=meta,
    )
