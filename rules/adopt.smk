rule adopt:
    """Bring a real image in: WCS, zero point, variance, mask, and a PSF from its stars."""
    input:
        image_spec=plan.image_spec,
        files=plan.image_files,
    output:
        images=image(plan.product("adopt", "image.fits")),
        truth=data(plan.product("adopt", "image.truth.parquet")),
        report=data(plan.product("adopt", "report.json")),
    log:
        plan.log("adopt/{case}.{scenario}.image"),
    benchmark:
        plan.benchmark("adopt/{case}.{scenario}.image")
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(lambda wildcards: 1000 * (1 + len(plan.settings_of(wildcards)["bands"])), 30),
    params:
        **stage("adopt"),
        settings=plan.settings_for("adopt"),
        inputs_dir=INPUTS,
        seed=plan.seed,
    script:
        "../scripts/stage.py"


rule inject:
    """Add targets of known light to the patches of one chunk, simulated or real."""
    input:
        images=plan.sky("fits"),
        truth=plan.sky("truth.parquet"),
        tables=plan.tables,
        catalogue=plan.catalogue,
    output:
        images=image(plan.product("inject", "{chunk}.fits")),
        truth=data(plan.product("inject", "{chunk}.truth.parquet")),
    log:
        plan.log("inject/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("inject/{case}.{scenario}.{chunk}")
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(2000, 30),
    params:
        **stage("inject"),
        settings=plan.settings_for("inject"),
        patches=patches_of,
        seed=plan.seed,
    script:
        "../scripts/stage.py"
