"""Draw one blend through the rungs of the ladder."""
# ruff: noqa: F821

from job import job

with job(snakemake):
    from blendimpact.stages import panel

    panel.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        images=snakemake.input.images,
        truth=snakemake.input.truth,
        detections=snakemake.input.detections,
        sky=snakemake.input.sky,
        assignments=snakemake.input.assignments,
        separated=snakemake.input.separated,
        figure_out=snakemake.output.figure,
    )
