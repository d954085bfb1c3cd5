rule score:
    """Reduce a chunk to sufficient statistics of every figure of merit, per patch."""
    input:
        truth=scene_of("truth.parquet"),
        detections=product("detect", "{chunk}.detections.parquet"),
        assignments=product("detect", "{chunk}.assignments.parquet"),
        measurements=product("measure", "{chunk}.parquet"),
    output:
        scores=ensure(product("score", "{chunk}.parquet"), non_empty=True),
    log:
        log_of("score", "{chunk}"),
    benchmark:
        benchmark_of("score", "{chunk}")
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(15),
    params:
        settings=settings_for("score"),
        seed=SEED,
        library=stage_digest("score"),
    script:
        "../scripts/score.py"
