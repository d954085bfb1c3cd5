"""Measure every rung of the ladder on the patches of one chunk."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import measure

    _, meta = provenance(snakemake)
    measure.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        **named(snakemake.input),
        measurements_out=snakemake.output.measurements,
        options=snakemake.params.options,
        meta=meta,
    )
