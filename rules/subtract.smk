rule subtract:
    """Subtract the template from the visit, in cases that look for what has changed."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
    output:
        differences=image_product(product("subtract", "{chunk}.h5")),
    log:
        log_of("subtract", "{chunk}"),
    benchmark:
        benchmark_of("subtract", "{chunk}")
    conda:
        environment_for("separate")
    threads: 1
    resources:
        mem_mb=memory_for("separate"),
        runtime=per_attempt(20),
    params:
        settings=settings_for("subtract"),
        options=options_for("separate"),
        library=stage_digest("subtract"),
    script:
        "../scripts/subtract.py"
