rule deblend:
    """Separate the light of blended objects, on true and on detected centres."""
    input:
        images=plan.scene("fits"),
        truth=plan.scene("truth.parquet"),
        detections=plan.product("detect", "{chunk}.detections.parquet"),
        sky=plan.product("detect", "{chunk}.sky.h5"),
    output:
        children=image(plan.product("deblend", "{chunk}.h5")),
    log:
        plan.log("deblend/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("deblend/{case}.{scenario}.{chunk}")
    conda:
        plan.environment_for("separate")
    resources:
        **needs(plan.memory_for("separate"), 60),
    params:
        **stage("deblend"),
        settings=plan.settings_for("deblend"),
        options=plan.options_for("separate"),
    script:
        "../scripts/stage.py"
