rule subtract:
    """Subtract the template from the visit, in cases that look for what has changed."""
    input:
        images=plan.scene("fits"),
        truth=plan.scene("truth.parquet"),
    output:
        differences=image(plan.product("subtract", "{chunk}.h5")),
    log:
        plan.log("subtract/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("subtract/{case}.{scenario}.{chunk}")
    conda:
        plan.environment_for("separate")
    resources:
        **needs(plan.memory_for("separate"), 20),
    params:
        **stage("subtract"),
        settings=plan.settings_for("subtract"),
        options=plan.options_for("separate"),
        seed=plan.seed,
    script:
        "../scripts/stage.py"
