"""Measure every rung of the ladder on the patches of one chunk."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.pipeline import measure

    _, meta = provenance(snakemake)
    measure.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        images=snakemake.input.images,
        truth=snakemake.input.truth,
        detections=snakemake.input.detections,
        sky=snakemake.input.sky,
        assignments=snakemake.input.assignments,
        children=snakemake.input.children,
        measurements_out=snakemake.output.measurements,
        options=snakemake.params.options,
        meta=meta,
    )
