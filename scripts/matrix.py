"""Make the board of the figures of merit of all cases."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake, pass_on=False):
    from blendimpact.stages import matrix

    sources = [*snakemake.input.requirements, *snakemake.input.sources]
    _, meta = provenance(snakemake, sources)
    matrix.run(
        config=snakemake.params.config,
        tables=snakemake.input.foms,
        meta=meta,
        **dict(snakemake.output.items()),
    )
