rule simulate:
    """Draw the patches of one chunk and keep the truth."""
    input:
        tables=plan.drawn,
        survey=plan.survey,
        template=plan.template,
        visits=plan.visits,
    output:
        images=image(plan.product("simulate", "{chunk}.fits")),
        truth=data(plan.product("simulate", "{chunk}.truth.parquet")),
    log:
        plan.log("simulate/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("simulate/{case}.{scenario}.{chunk}")
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(1000, 30),
    params:
        **stage("simulate"),
        settings=plan.settings_for("simulate"),
        patches=patches_of,
        seed=plan.seed,
    script:
        "../scripts/stage.py"
