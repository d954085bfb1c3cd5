"""The blending impact study: from real inputs to the matrix.

snakemake                                                 the laptop study
snakemake --configfile config/presets/smoke.yaml          a first look
snakemake check                                           what was understood of all that it will use, before any job
snakemake matrix | two_point | galaxies                   the board alone, the scores of one case
snakemake results/laptop/figures/two_point                the figures of one case
snakemake --workflow-profile slurm                        on a cluster (profiles/README.md)
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: os.path.relpath(os.path.join(workflow.basedir, "config/config.yaml"))


include: "rules/common.smk"
include: "rules/fetch.smk"
include: "rules/check.smk"
include: "rules/simulate.smk"
include: "rules/adopt.smk"
include: "rules/subtract.smk"
include: "rules/detect.smk"
include: "rules/deblend.smk"
include: "rules/measure.smk"
include: "rules/photo_z.smk"
include: "rules/score.smk"
include: "rules/matrix.smk"


if plan.skies:

    include: "rules/compare.smk"


if plan.engines:

    include: "rules/engines.smk"


include: "rules/page.smk"


# Short, or in need of the network, which a cluster's nodes may lack.
localrules:
    all,
    check,
    fetch,
    matrix,
    figures,
    page,


rule all:
    default_target: True
    input:
        rules.matrix.output,
        rules.page.output,
        expand([*rules.figures.output, *rules.panel.output], case=plan.cases),
        [*rules.comparison.output, *rules.comparison_page.output] if plan.skies else [],
        [*rules.engine_comparison.output, *rules.engine_page.output] if plan.engines else [],


for case in plan.cases:

    rule:
        name:
            case
        input:
            plan.scores(case),
        localrule: True


onsuccess:
    announce()
