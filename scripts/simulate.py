"""Draw the patches of one chunk."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.stages import simulate

    cards, meta = provenance(snakemake)
    simulate.run(
        settings=snakemake.params.settings,
        patches=snakemake.params.patches,
        seed=snakemake.params.seed,
        galaxies=snakemake.input.galaxies,
        stars=snakemake.input.stars,
        survey_path=snakemake.input.survey,
        visits=next(iter(snakemake.input.get("visits") or []), None),
        images_out=snakemake.output.images,
        truth_out=snakemake.output.truth,
        cards=cards,
        meta=meta,
    )
