"""Do a job of the workflow: call the driver of its rule."""
# ruff: noqa: F821

from blendimpact.stages.job import run

run(snakemake)
