rule detect:
    """Find objects and say which truth each one holds."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
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
        environment_for("subtract", "subtractor")
    threads: 1
    resources:
        mem_mb=memory_for("subtract", "subtractor", 1000),
        runtime=per_attempt(20),
    params:
        settings=settings_for("detect"),
        options=separated(
            options_for("detectors", "detector"), options_for("finders", "finder")
        ),
        engine_options=options_for("subtractors", "subtractor"),
        seed=SEED,
        library=stage_digest("detect"),
    script:
        "../scripts/detect.py"
