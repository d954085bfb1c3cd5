"""Draw the figures that the cases name."""
# ruff: noqa: F821

from job import job

with job(snakemake, pass_on=False):
    from blendimpact.pipeline import figures

    figures.run(
        cases=snakemake.params.cases,
        foms=snakemake.input.foms,
        figures_out=snakemake.output.figures,
    )
