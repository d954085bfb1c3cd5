rule foms:
    """Aggregate the scores of one case to its figures of merit."""
    input:
        scores=lambda wildcards: plan.scores(wildcards.case),
        sources=lambda wildcards: plan.sources(wildcards.case),
    output:
        foms=data(f"{RESULTS}/{{case}}/foms.parquet"),
        scenarios=data(f"{RESULTS}/{{case}}/scenarios.parquet"),
    log:
        plan.log("foms/{case}"),
    benchmark:
        plan.benchmark("foms/{case}")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2000, 30),
    params:
        **stage("foms"),
        pairs=lambda wildcards: plan.same_skies(wildcards.case),
        bootstrap=plan.study["bootstrap"],
        seed=plan.seed,
    script:
        "../scripts/stage.py"


rule matrix:
    """Stack the figures of merit of all cases: the board, and their comparison with published values."""
    input:
        foms=expand(rules.foms.output.foms, case=plan.cases),
        scenarios=expand(rules.foms.output.scenarios, case=plan.cases),
        requirements=published_files(),
        sources=lambda wildcards: plan.sources(*plan.cases),
    output:
        foms=f"{RESULTS}/foms.parquet",
        foms_csv=shown("foms", f"{RESULTS}/foms.csv", "all figures of merit", "table"),
        figure=shown("matrix", f"{RESULTS}/matrix.png", "the board", "figure"),
        slide=shown("matrix", f"{RESULTS}/matrix_slide.png", "the board", "slide"),
        pdf=f"{RESULTS}/matrix.pdf",
        json=f"{RESULTS}/matrix.json",
        csv=f"{RESULTS}/matrix.csv",
        parquet=f"{RESULTS}/matrix.parquet",
        checks=f"{RESULTS}/external_checks.parquet",
        checks_csv=shown(
            "external_checks", f"{RESULTS}/external_checks.csv", "comparison with published values", "table"
        ),
        scenarios=f"{RESULTS}/scenarios.parquet",
        scenarios_csv=shown("scenarios", f"{RESULTS}/scenarios.csv", "scenarios side by side", "table"),
    log:
        plan.log("matrix"),
    benchmark:
        plan.benchmark("matrix")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1500, 15),
    params:
        **stage("matrix"),
        config=plan.config,
        seed=plan.seed,
    script:
        "../scripts/stage.py"


rule figures:
    """Draw every figure that a case names."""
    input:
        foms=rules.foms.output.foms,
        requirements=lambda wildcards: published_files([wildcards.case]),
    output:
        figures=report(
            directory(f"{RESULTS}/figures/{{case}}"),
            patterns=["{figure}.png"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"case": "{case}", "figure": "{figure}"},
        ),
    log:
        plan.log("figures/{case}"),
    benchmark:
        plan.benchmark("figures/{case}")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1500, 15),
    params:
        **stage("figures"),
    script:
        "../scripts/stage.py"


rule panel:
    """Draw one blend through the rungs of the ladder, as colour images."""
    input:
        images=plan.first_chunk(plan.scene("fits")),
        truth=plan.first_chunk(plan.scene("truth.parquet")),
        detections=plan.first_chunk(plan.product("detect", "{chunk}.detections.parquet")),
        assignments=plan.first_chunk(plan.product("detect", "{chunk}.assignments.parquet")),
        sky=plan.first_chunk(plan.product("detect", "{chunk}.sky.h5")),
        separated=plan.first_chunk(plan.separated),
    output:
        figure=report(
            f"{RESULTS}/panels/{{case}}.png",
            caption="../report/panel.rst",
            category="Figures",
            labels={"case": "{case}", "figure": "one blend through the rungs"},
        ),
    log:
        plan.log("panel/{case}"),
    benchmark:
        plan.benchmark("panel/{case}")
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(1500, 15),
    params:
        **stage("panel"),
        settings=plan.first_chunk(plan.settings_for("measure")),
        seed=plan.seed,
    script:
        "../scripts/stage.py"
