COMPARED_SOURCES = plan.product("compare", "{deblender}.{chunk}.parquet")
COMPARED_SCORES = plan.product("compare", "{deblender}.{chunk}.scores.parquet")
COMPARED_STAMPS = plan.product("compare", "{deblender}.{chunk}.npz")
COMPARED_COST = plan.product("cost", "{deblender}.{chunk}.json")


rule reference:
    """Measure what all deblenders of the comparison are held against: truth, and exact deblending."""
    input:
        images=plan.scene("fits"),
        truth=plan.scene("truth.parquet"),
        detections=plan.product("detect", "{chunk}.detections.parquet"),
        assignments=plan.product("detect", "{chunk}.assignments.parquet"),
        sky=plan.product("detect", "{chunk}.sky.h5"),
    output:
        measurements=data(plan.product("compare", "reference/{chunk}.parquet")),
    log:
        plan.log("reference/{case}.{scenario}.{chunk}"),
    benchmark:
        plan.benchmark("reference/{case}.{scenario}.{chunk}")
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(1000, 60),
    params:
        **stage("compare.reference"),
        settings=plan.settings_for("reference"),
        seed=plan.seed,
    script:
        "../scripts/stage.py"


# A job runs the deblenders of one environment one after the other: half of what one of them takes is start-up.
for environment, (deblenders, memory) in plan.compared_deblenders().items():

    rule:
        """Run deblenders on one sky of the comparison, and hold their children against the exact ones."""
        name:
            f"compare_{environment}"
        input:
            images=plan.scene("fits"),
            truth=plan.scene("truth.parquet"),
            detections=plan.product("detect", "{chunk}.detections.parquet"),
            assignments=plan.product("detect", "{chunk}.assignments.parquet"),
            sky=plan.product("detect", "{chunk}.sky.h5"),
            measured=rules.reference.output.measurements,
        output:
            sources=data(expand(COMPARED_SOURCES, deblender=deblenders, allow_missing=True)),
            scores=data(expand(COMPARED_SCORES, deblender=deblenders, allow_missing=True)),
            stamps=data(expand(COMPARED_STAMPS, deblender=deblenders, allow_missing=True)),
            cost=data(expand(COMPARED_COST, deblender=deblenders, allow_missing=True)),
        log:
            plan.log(f"compare/{{case}}.{{scenario}}.{environment}.{{chunk}}"),
        benchmark:
            plan.benchmark(f"compare/{{case}}.{{scenario}}.{environment}.{{chunk}}")
        conda:
            f"../envs/{environment}.yaml"
        resources:
            **needs(memory, 30 * len(deblenders)),
        params:
            **stage("compare.run_each"),
            settings=plan.settings_for("compare"),
            deblenders=deblenders,
            options={name: plan.study["deblenders"].get(name, {}) for name in deblenders},
            seed=plan.seed,
        script:
            "../scripts/stage.py"


rule comparison:
    """Aggregate the comparison: deblenders side by side, with intervals."""
    input:
        sources=plan.compared(COMPARED_SOURCES),
        scores=plan.compared(COMPARED_SCORES),
    output:
        comparison=f"{RESULTS}/comparison/comparison.parquet",
        comparison_csv=shown("comparison", f"{RESULTS}/comparison/comparison.csv", "deblenders side by side", "table"),
        column=f"{RESULTS}/comparison/deblending_column.parquet",
        column_csv=shown(
            "comparison", f"{RESULTS}/comparison/deblending_column.csv", "the board's deblending column", "table"
        ),
    log:
        plan.log("comparison"),
    benchmark:
        plan.benchmark("comparison")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2000, 30),
    params:
        **stage("comparison"),
        config=plan.config,
        seed=plan.seed,
    script:
        "../scripts/stage.py"


rule comparison_page:
    """Draw accuracy against cost and one blend through all deblenders, and write the page of the comparison."""
    input:
        comparison=rules.comparison.output.comparison,
        column=rules.comparison.output.column,
        costs=plan.compared(COMPARED_COST),
        stamps=[path for path in plan.compared(COMPARED_STAMPS) if ".000." in path],
    output:
        html=shown("comparison", f"{RESULTS}/comparison/page/comparison.html", "deblenders side by side", "page"),
        cost=shown("comparison", f"{RESULTS}/comparison/page/cost.csv", "CPU and memory", "table"),
        frontier=shown("comparison", f"{RESULTS}/comparison/page/frontier.png", "accuracy against cost", "figure"),
        blendedness=shown(
            "comparison", f"{RESULTS}/comparison/page/blendedness.png", "flux against blendedness", "figure"
        ),
        panels=shown(
            "comparison",
            expand(f"{RESULTS}/comparison/page/blend_{{sky}}.png", sky=plan.skies),
            "one blend through all deblenders",
            "figure",
        ),
    log:
        plan.log("comparison_page"),
    benchmark:
        plan.benchmark("comparison_page")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1500, 15),
    params:
        **stage("comparison_page"),
        config=plan.config,
    script:
        "../scripts/stage.py"
