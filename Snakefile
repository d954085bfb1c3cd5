"""The blending impact study: from real inputs to the matrix.

snakemake                                                 the laptop study
snakemake --configfile config/presets/smoke.yaml          a first look
snakemake matrix | two_point | galaxies                   the board alone, the scores of one case
snakemake results/laptop/figures/two_point                the figures of one case
snakemake --workflow-profile slurm                        on a cluster (profiles/README.md)
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: os.path.relpath(os.path.join(workflow.basedir, "config/config.yaml"))


include: "rules/common.smk"
include: "rules/plugins.smk"
include: "rules/fetch.smk"
include: "rules/simulate.smk"
include: "rules/adopt.smk"
include: "rules/subtract.smk"
include: "rules/detect.smk"
include: "rules/deblend.smk"
include: "rules/measure.smk"
include: "rules/score.smk"
include: "rules/matrix.smk"


if SKIES:

    include: "rules/compare.smk"


if ENGINES:

    include: "rules/engines.smk"


# Short, or in need of the network, which a cluster's nodes may lack.
localrules:
    all,
    fetch,
    matrix,
    figures,


rule all:
    default_target: True
    input:
        rules.matrix.output,
        expand([*rules.figures.output, *rules.panel.output], case=CASES),
        [*rules.comparison.output, *rules.comparison_page.output] if SKIES else [],
        [*rules.engine_comparison.output, *rules.engine_page.output] if ENGINES else [],


for case in CASES:

    rule:
        name:
            case
        input:
            scores_of(case),
        localrule: True


onsuccess:
    announce()
