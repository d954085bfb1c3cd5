rule compare_engines:
    """Run one subtraction engine on the patches of a chunk, and measure what it leaves."""
    input:
        images=plan.scene("fits"),
        truth=plan.scene("truth.parquet"),
        sky=plan.product("detect", "{chunk}.sky.h5"),
    output:
        rows=data(plan.product("engines", "{engine}.{chunk}.parquet")),
        cost=data(plan.product("engines", "{engine}.{chunk}.json")),
    log:
        plan.log("compare_engines/{case}.{scenario}.{engine}.{chunk}"),
    benchmark:
        plan.benchmark("compare_engines/{case}.{scenario}.{engine}.{chunk}")
    conda:
        plan.environment_for("separate")
    resources:
        **needs(plan.memory_for("separate"), 30),
    params:
        **stage("compare_engines"),
        settings=plan.settings_for("compare_engines"),
        options=plan.options_for("separate"),
        patches=plan.study["subtraction_comparison"]["patches"],
        seed=plan.seed,
    script:
        "../scripts/stage.py"


rule engine_comparison:
    """Aggregate the comparison: subtraction engines side by side, with intervals."""
    input:
        rows=plan.compared_differences(rules.compare_engines.output.rows),
    output:
        comparison=f"{RESULTS}/subtraction/engines.parquet",
        comparison_csv=shown("subtraction", f"{RESULTS}/subtraction/engines.csv", "engines side by side", "table"),
    log:
        plan.log("engine_comparison"),
    benchmark:
        plan.benchmark("engine_comparison")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2000, 15),
    params:
        **stage("engine_comparison"),
        config=plan.config,
        seed=plan.seed,
    script:
        "../scripts/stage.py"


rule engine_page:
    """Draw the figure of the comparison of subtraction engines, and write its page."""
    input:
        comparison=rules.engine_comparison.output.comparison,
        costs=plan.compared_differences(rules.compare_engines.output.cost),
    output:
        html=shown("subtraction", f"{RESULTS}/subtraction/page/engines.html", "engines side by side", "page"),
        cost=shown("subtraction", f"{RESULTS}/subtraction/page/cost.csv", "CPU and memory", "table"),
        figure=shown("subtraction", f"{RESULTS}/subtraction/page/engines.png", "engines side by side", "figure"),
    log:
        plan.log("engine_page"),
    benchmark:
        plan.benchmark("engine_page")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1500, 15),
    params:
        **stage("engine_page"),
        config=plan.config,
    script:
        "../scripts/stage.py"
