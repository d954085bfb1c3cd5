rule measure:
    """Measure every rung of the ladder."""
    input:
        images=plan.scene("fits"),
        truth=plan.scene("truth.parquet"),
        detections=plan.product("detect", "{chunk}.detections.parquet"),
        sky=plan.product("detect", "{chunk}.sky.h5"),
        assignments=plan.product("detect", "{chunk}.assignments.parquet"),
        separated=plan.separated,
    output:
        measurements=directory(plan.product("measure", "{chunk}")),
    log:
        plan.log("measure/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("measure/{case}.{scenario}.{chunk}")
    conda:
        plan.environment_for("measure")
    resources:
        **needs(plan.memory_for("measure"), 60),
    params:
        **stage("measure"),
        settings=plan.settings_for("measure"),
        options=plan.options_for("find"),
        seed=plan.seed,
    script:
        "../scripts/stage.py"
