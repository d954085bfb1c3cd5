"""Run one deblender on one sky of the comparison."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.pipeline import compare

    _, meta = provenance(snakemake)
    compare.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        deblender=snakemake.wildcards.deblender,
        images=snakemake.input.images,
        truth=snakemake.input.truth,
        detections=snakemake.input.detections,
        assignments=snakemake.input.assignments,
        sky=snakemake.input.sky,
        measured=snakemake.input.measured,
        sources_out=snakemake.output.sources,
        scores_out=snakemake.output.scores,
        stamps_out=snakemake.output.stamps,
        cost_out=snakemake.output.cost,
        options=snakemake.params.options,
        meta=meta,
    )
