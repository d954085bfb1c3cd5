"""Adopt a real image."""
# ruff: noqa: F821

from job import job, provenance

with job(snakemake):
    from blendimpact.stages import adopt

    cards, meta = provenance(snakemake)
    adopt.run(
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        image_spec_path=snakemake.input.image_spec,
        inputs_dir=snakemake.params.inputs_dir,
        images_out=snakemake.output.images,
        truth_out=snakemake.output.truth,
        report_out=snakemake.output.report,
        cards=cards,
        meta=meta,
    )
