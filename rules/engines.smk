rule compare_engines:
    """Run one subtraction engine on the patches of a chunk, and measure what it leaves."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
        sky=product("detect", "{chunk}.sky.h5"),
    output:
        rows=ensure(product("engines", "{engine}.{chunk}.parquet"), non_empty=True),
        cost=ensure(product("engines", "{engine}.{chunk}.json"), non_empty=True),
    log:
        log_of("compare_engines", "{engine}.{chunk}"),
    benchmark:
        benchmark_of("compare_engines", "{engine}.{chunk}")
    conda:
        environment_for("separate")
    threads: 1
    resources:
        mem_mb=memory_for("separate"),
        runtime=per_attempt(30),
    params:
        settings=settings_for("compare_engines"),
        options=options_for("separate"),
        patches=STUDY["subtraction_comparison"]["patches"],
        seed=SEED,
        library=stage_digest("compare_engines"),
    script:
        "../scripts/compare_engines.py"


rule engine_comparison:
    """Aggregate the comparison: subtraction engines side by side, with intervals."""
    input:
        rows=compared_differences(rules.compare_engines.output.rows),
    output:
        comparison=f"{RESULTS}/subtraction/engines.parquet",
        comparison_csv=report(
            f"{RESULTS}/subtraction/engines.csv",
            caption="../report/subtraction.rst",
            category="Subtraction",
            labels={"what": "engines side by side", "form": "table"},
        ),
    log:
        f"{RESULTS}/logs/engine_comparison.log",
    benchmark:
        f"{RESULTS}/benchmarks/engine_comparison.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(15),
    params:
        config=results_depend_on(STUDY),
        seed=SEED,
        library=stage_digest("engine_comparison"),
    script:
        "../scripts/engine_comparison.py"


rule engine_page:
    """Draw the figure of the comparison of subtraction engines, and write its page."""
    input:
        comparison=rules.engine_comparison.output.comparison,
        costs=compared_differences(rules.compare_engines.output.cost),
    output:
        html=report(
            f"{RESULTS}/subtraction/page/engines.html",
            caption="../report/subtraction.rst",
            category="Subtraction",
            labels={"what": "engines side by side", "form": "page"},
        ),
        cost=report(
            f"{RESULTS}/subtraction/page/cost.csv",
            caption="../report/subtraction.rst",
            category="Subtraction",
            labels={"what": "CPU and memory", "form": "table"},
        ),
        figure=report(
            f"{RESULTS}/subtraction/page/engines.png",
            caption="../report/subtraction.rst",
            category="Subtraction",
            labels={"what": "engines side by side", "form": "figure"},
        ),
    log:
        f"{RESULTS}/logs/engine_page.log",
    benchmark:
        f"{RESULTS}/benchmarks/engine_page.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1500),
        runtime=per_attempt(15),
    params:
        config=results_depend_on(STUDY),
        library=stage_digest("engine_page"),
    script:
        "../scripts/engine_page.py"
