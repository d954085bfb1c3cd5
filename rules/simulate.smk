rule simulate:
    """Draw the patches of one chunk and keep the truth."""
    input:
        galaxies=rules.population.output.galaxies,
        stars=stars_of,
        survey=survey_of,
        template=template_of,
        visits=visits_of,
    output:
        images=image_product(product("simulate", "{chunk}.fits")),
        truth=ensure(product("simulate", "{chunk}.truth.parquet"), non_empty=True),
    log:
        log_of("simulate", "{chunk}"),
    benchmark:
        benchmark_of("simulate", "{chunk}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(30),
    params:
        settings=settings_for("simulate"),
        patches=patches_of,
        seed=SEED,
        library=stage_digest("simulate"),
    script:
        "../scripts/simulate.py"
