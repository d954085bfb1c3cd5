"""Reduce the tables of one chunk to sufficient statistics."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.pipeline import score

    _, meta = provenance(snakemake)
    score.run(
        settings=snakemake.params.settings,
        truth=snakemake.input.truth,
        detections=snakemake.input.detections,
        assignments=snakemake.input.assignments,
        measurements=snakemake.input.measurements,
        scores_out=snakemake.output.scores,
        meta=meta,
    )
