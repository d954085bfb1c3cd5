rule measure:
    """Measure every rung of the ladder."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
        detections=product("detect", "{chunk}.detections.parquet"),
        sky=product("detect", "{chunk}.sky.h5"),
        assignments=product("detect", "{chunk}.assignments.parquet"),
        separated=separated,
    output:
        measurements=ensure(product("measure", "{chunk}.parquet"), non_empty=True),
    log:
        log_of("measure", "{chunk}"),
    benchmark:
        benchmark_of("measure", "{chunk}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(60),
    params:
        settings=settings_for("measure"),
        options=options_for("find"),
        seed=SEED,
        library=stage_digest("measure"),
    script:
        "../scripts/measure.py"
