"""Reduce the tables of one chunk to sufficient statistics."""
# ruff: noqa: F821

from job import job, named, provenance

with job(snakemake):
    from blendimpact.stages import score

    _, meta = provenance(snakemake)
    score.run(
        settings=snakemake.params.settings,
        **named(snakemake.input),
        scores_out=snakemake.output.scores,
        meta=meta,
    )
