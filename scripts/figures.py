"""Draw the figures that a case names."""
# ruff: noqa: F821

from job import job

with job(snakemake, pass_on=False):
    from blendimpact.stages import figures

    figures.run(
        case=snakemake.wildcards.case,
        foms=snakemake.input.foms,
        figures_out=snakemake.output.figures,
    )
