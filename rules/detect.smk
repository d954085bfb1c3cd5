rule detect:
    """Find objects and say which truth each one holds."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
        separated=separated_before,
    output:
        detections=ensure(
            product("detect", "{chunk}.detections.parquet"), non_empty=True
        ),
        assignments=ensure(
            product("detect", "{chunk}.assignments.parquet"), non_empty=True
        ),
        sky=image_product(product("detect", "{chunk}.sky.h5")),
    log:
        log_of("detect", "{chunk}"),
    benchmark:
        benchmark_of("detect", "{chunk}")
    conda:
        environment_for("find")
    threads: 1
    resources:
        mem_mb=memory_for("find"),
        runtime=per_attempt(20),
    params:
        settings=settings_for("detect"),
        options=options_for("find"),
        seed=SEED,
        library=stage_digest("detect"),
    script:
        "../scripts/detect.py"
