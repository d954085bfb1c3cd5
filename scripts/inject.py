"""Add targets of known light to the patches of one chunk."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.stages import inject

    cards, meta = provenance(snakemake)
    inject.run(
        settings=snakemake.params.settings,
        patches=snakemake.params.patches,
        seed=snakemake.params.seed,
        images_in=snakemake.input.images,
        truth_in=snakemake.input.truth,
        sources=snakemake.input.sources,
        images_out=snakemake.output.images,
        truth_out=snakemake.output.truth,
        coma=next(iter(snakemake.input.coma), None),
        cards=cards,
        meta=meta,
    )
