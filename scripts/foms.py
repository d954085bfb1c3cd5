"""Aggregate the scores of one case."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake, pass_on=False):
    from blendimpact.stages import foms

    # Not the scores: how the work is cut changes no result, and it would change these.
    _, meta = provenance(snakemake, snakemake.input.sources)
    foms.run(
        case=snakemake.wildcards.case,
        scores=snakemake.input.scores,
        bootstrap=snakemake.params.settings["bootstrap"],
        seed=snakemake.params.seed,
        foms_out=snakemake.output.foms,
        meta=meta,
    )
