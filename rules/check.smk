rule check:
    """Read all that the study will use, and say on one page what was understood of it: results/<study>/check.txt."""
    input:
        plan.read_before(),
    log:
        plan.log("check"),
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(2000, 30),
    params:
        **stage("check"),
        study=plan.study,
    script:
        "../scripts/stage.py"
