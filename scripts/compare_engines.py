"""Run one subtraction engine on the patches of a chunk and measure what it leaves."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import compare_engines

    _, meta = provenance(snakemake)
    compare_engines.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        engine=snakemake.wildcards.engine,
        patches=snakemake.params.patches,
        **named(snakemake.input),
        rows_out=snakemake.output.rows,
        cost_out=snakemake.output.cost,
        options=snakemake.params.options,
        meta=meta,
    )
