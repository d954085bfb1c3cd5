rule detect:
    """Find objects and say which truth each one holds."""
    input:
        images=plan.scene("fits"),
        truth=plan.scene("truth.parquet"),
        separated=plan.separated_before,
    output:
        detections=data(plan.product("detect", "{chunk}.detections.parquet")),
        assignments=data(plan.product("detect", "{chunk}.assignments.parquet")),
        sky=image(plan.product("detect", "{chunk}.sky.h5")),
    log:
        plan.log("detect/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("detect/{case}.{scenario}.{chunk}")
    conda:
        plan.environment_for("find")
    resources:
        **needs(plan.memory_for("find"), 20),
    params:
        **stage("detect"),
        settings=plan.settings_for("detect"),
        options=plan.options_for("find"),
        seed=plan.seed,
    script:
        "../scripts/stage.py"
