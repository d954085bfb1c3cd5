rule score:
    """Reduce a chunk to sufficient statistics of every figure of merit, per patch."""
    input:
        truth=plan.scene("truth.parquet"),
        detections=plan.product("detect", "{chunk}.detections.parquet"),
        assignments=plan.product("detect", "{chunk}.assignments.parquet"),
        measurements=plan.product("measure", "{chunk}"),
        redshifts=plan.redshifts,
    output:
        scores=data(plan.product("score", "{chunk}.parquet")),
    log:
        plan.log("score/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("score/{case}.{scenario}.{chunk}")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1000, 15),
    params:
        **stage("score"),
        settings=plan.settings_for("score"),
        seed=plan.seed,
    script:
        "../scripts/stage.py"
