rule deblend:
    """Separate the light of blended objects, on true and on detected centres; or subtract the template."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
        detections=product("detect", "{chunk}.detections.parquet"),
        sky=product("detect", "{chunk}.sky.h5"),
    output:
        children=image_product(product("deblend", "{chunk}.h5")),
    log:
        log_of("deblend", "{chunk}"),
    benchmark:
        benchmark_of("deblend", "{chunk}")
    conda:
        separated(
            environment_for("deblend", "deblender"),
            environment_for("subtract", "subtractor"),
        )
    threads: 1
    resources:
        mem_mb=more_at_each_attempt(
            separated(
                declared_by("deblend", "deblender", "MEMORY_MB", 1000),
                declared_by("subtract", "subtractor", "MEMORY_MB", 1000),
            )
        ),
        runtime=per_attempt(60),
    params:
        settings=settings_for("deblend"),
        options=separated(
            options_for("deblenders", "deblender"),
            options_for("subtractors", "subtractor"),
        ),
        library=stage_digest("deblend"),
    script:
        "../scripts/deblend.py"
