"""Run deblenders on one sky of the comparison."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import compare

    outputs = zip(*(snakemake.output[name] for name in ("sources", "scores", "stamps", "cost")), strict=True)
    for deblender, (sources, scores, stamps, cost) in zip(snakemake.params.deblenders, outputs, strict=True):
        options = snakemake.params.options[deblender]
        _, meta = provenance(snakemake, options=options)  # of this one, whatever runs beside it
        compare.run_apart(
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            deblender=deblender,
            **named(snakemake.input),
            sources_out=sources,
            scores_out=scores,
            stamps_out=stamps,
            cost_out=cost,
            options=options,
            meta=meta,
        )
