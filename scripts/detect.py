"""Detect on the patches of one chunk and assign truth to detections."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import detect

    _, meta = provenance(snakemake)
    detect.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        **named(snakemake.input),
        detections_out=snakemake.output.detections,
        assignments_out=snakemake.output.assignments,
        sky_out=snakemake.output.sky,
        options=snakemake.params.options,
        meta=meta,
    )
