"""Draw the figure of the comparison of subtraction engines and write its page."""
# ruff: noqa: F821

from job import job

with job(snakemake, pass_on=False):
    from blendimpact.stages import engine_page

    engine_page.run(
        config=snakemake.params.config,
        comparison=snakemake.input.comparison,
        costs=snakemake.input.costs,
        **dict(snakemake.output.items()),
    )
