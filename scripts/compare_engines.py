"""Run one subtraction engine on the patches of a chunk and measure what it leaves."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.pipeline import compare_engines

    _, meta = provenance(snakemake)
    compare_engines.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        engine=snakemake.wildcards.engine,
        patches=snakemake.params.patches,
        images=snakemake.input.images,
        truth=snakemake.input.truth,
        sky=snakemake.input.sky,
        rows_out=snakemake.output.rows,
        cost_out=snakemake.output.cost,
        options=snakemake.params.options,
        meta=meta,
    )
