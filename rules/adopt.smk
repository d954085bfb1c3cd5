rule adopt:
    """Bring a real image in: WCS, zero point, variance, mask, and a PSF from its stars."""
    input:
        image_spec=image_spec_of,
        files=image_files_of,
    output:
        images=image_product(product("adopt", "image.fits")),
        truth=ensure(product("adopt", "image.truth.parquet"), non_empty=True),
        report=ensure(product("adopt", "report.json"), non_empty=True),
    log:
        log_of("adopt", "image"),
    benchmark:
        benchmark_of("adopt", "image")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        settings=settings_for("adopt"),
        inputs_dir=INPUTS,
        seed=SEED,
        library=stage_digest("adopt"),
    script:
        "../scripts/adopt.py"


rule inject:
    """Add targets of known light to the patches of one chunk, simulated or real."""
    input:
        images=sky_of("fits"),
        truth=sky_of("truth.parquet"),
        sources=injected_from,
        coma=coma_of,
    output:
        images=image_product(product("inject", "{chunk}.fits")),
        truth=ensure(product("inject", "{chunk}.truth.parquet"), non_empty=True),
    log:
        log_of("inject", "{chunk}"),
    benchmark:
        benchmark_of("inject", "{chunk}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        settings=settings_for("inject"),
        patches=patches_of,
        seed=SEED,
        library=stage_digest("inject"),
    script:
        "../scripts/inject.py"
