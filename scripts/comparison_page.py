"""Draw the figures of the comparison of deblenders and write its page."""
# ruff: noqa: F821

from job import job

with job(snakemake, pass_on=False):
    from blendimpact.stages import comparison_page

    comparison_page.run(
        config=snakemake.params.config,
        comparison=snakemake.input.comparison,
        column=snakemake.input.column,
        costs=snakemake.input.costs,
        stamps=snakemake.input.stamps,
        **dict(snakemake.output.items()),
    )
