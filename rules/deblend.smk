rule deblend:
    """Separate the light of blended objects, on true and on detected centres."""
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
        environment_for("separate")
    threads: 1
    resources:
        mem_mb=memory_for("separate"),
        runtime=per_attempt(60),
    params:
        settings=settings_for("deblend"),
        options=options_for("separate"),
        library=stage_digest("deblend"),
    script:
        "../scripts/deblend.py"
