"""Cut the coma of a real comet out of its frame."""
# ruff: noqa: F821

from pathlib import Path

from job import job, provenance

# A comet that is not to be had leaves a file that says so: other transients are injected without it.
with job(snakemake, pass_on=False):
    from blendimpact.data import missing_inputs
    from blendimpact.stages import population

    cards, _ = provenance(snakemake)
    population.run_coma(
        folder=Path(snakemake.input.receipt[0]).parent,
        out=snakemake.output.stamp,
        cards=cards,
        missing=missing_inputs.reason(snakemake.input),
    )
