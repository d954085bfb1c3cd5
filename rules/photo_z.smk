rule train:
    """Train the estimator of photometric redshifts, once for all rungs, on isolated galaxies of other patches."""
    input:
        truth=lambda wildcards: plan.training(wildcards, plan.scene("truth.parquet")),
        measurements=lambda wildcards: plan.training(wildcards, plan.product("measure", "{chunk}")),
    output:
        training=data(plan.product("redshift", "training.parquet")),
    log:
        plan.log("train/{case}.{scenario}"),
    benchmark:
        plan.benchmark("train/{case}.{scenario}")
    conda:
        plan.environment_for("estimate")
    resources:
        **needs(plan.memory_for("estimate"), 30),
    params:
        **stage("train"),
        settings=plan.settings_for("train"),
        options=plan.options_for("estimate"),
    script:
        "../scripts/stage.py"


rule redshifts:
    """Estimate the photometric redshifts of a chunk on every rung."""
    input:
        truth=plan.scene("truth.parquet"),
        measurements=plan.product("measure", "{chunk}"),
        training=rules.train.output.training,
    output:
        redshifts=data(plan.product("redshift", "{chunk}.parquet")),
    log:
        plan.log("redshifts/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("redshifts/{case}.{scenario}.{chunk}")
    conda:
        plan.environment_for("estimate")
    resources:
        **needs(plan.memory_for("estimate"), 30),
    params:
        **stage("redshifts"),
        settings=plan.settings_for("redshifts"),
        options=plan.options_for("estimate"),
    script:
        "../scripts/stage.py"
