"""Run deblenders on one sky of the comparison."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.pipeline import compare

    outputs = zip(*(snakemake.output[name] for name in ("sources", "scores", "stamps", "cost")), strict=True)
    for deblender, (sources, scores, stamps, cost) in zip(snakemake.params.deblenders, outputs, strict=True):
        options = snakemake.params.options[deblender]
        _, meta = provenance(snakemake, options=options)  # of this one, whatever runs beside it
        compare.run_apart(
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            deblender=deblender,
            images=snakemake.input.images,
            truth=snakemake.input.truth,
            detections=snakemake.input.detections,
            assignments=snakemake.input.assignments,
            sky=snakemake.input.sky,
            measured=snakemake.input.measured,
            sources_out=sources,
            scores_out=scores,
            stamps_out=stamps,
            cost_out=cost,
            options=options,
            meta=meta,
        )
