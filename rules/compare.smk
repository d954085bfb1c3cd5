rule reference:
    """Measure what all deblenders of the comparison are held against: truth, and exact deblending."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
        detections=product("detect", "{chunk}.detections.parquet"),
        assignments=product("detect", "{chunk}.assignments.parquet"),
        sky=product("detect", "{chunk}.sky.h5"),
    output:
        measurements=ensure(
            product("compare", "reference/{chunk}.parquet"), non_empty=True
        ),
    log:
        log_of("reference", "{chunk}"),
    benchmark:
        benchmark_of("reference", "{chunk}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(60),
    params:
        settings=settings_for("reference"),
        seed=SEED,
        library=stage_digest("compare"),
    script:
        "../scripts/reference.py"


rule compare:
    """Run one deblender on one sky of the comparison, and hold its children against the exact ones."""
    input:
        images=scene_of("fits"),
        truth=scene_of("truth.parquet"),
        detections=product("detect", "{chunk}.detections.parquet"),
        assignments=product("detect", "{chunk}.assignments.parquet"),
        sky=product("detect", "{chunk}.sky.h5"),
        measured=rules.reference.output.measurements,
    output:
        sources=ensure(
            product("compare", "{deblender}.{chunk}.parquet"), non_empty=True
        ),
        scores=ensure(
            product("compare", "{deblender}.{chunk}.scores.parquet"), non_empty=True
        ),
        stamps=ensure(product("compare", "{deblender}.{chunk}.npz"), non_empty=True),
        cost=ensure(product("cost", "{deblender}.{chunk}.json"), non_empty=True),
    log:
        log_of("compare", "{deblender}.{chunk}"),
    benchmark:
        benchmark_of("compare", "{deblender}.{chunk}")
    conda:
        environment_for("deblend", "deblender")
    threads: 1
    resources:
        mem_mb=memory_for("deblend", "deblender", 1000),
        runtime=per_attempt(60),
    params:
        settings=settings_for("compare"),
        options=options_for("deblenders", "deblender"),
        seed=SEED,
        library=stage_digest("compare"),
    script:
        "../scripts/compare.py"


rule comparison:
    """Aggregate the comparison: deblenders side by side, with intervals."""
    input:
        sources=compared(rules.compare.output.sources),
        scores=compared(rules.compare.output.scores),
    output:
        comparison=f"{RESULTS}/comparison/comparison.parquet",
        comparison_csv=report(
            f"{RESULTS}/comparison/comparison.csv",
            caption="../report/comparison.rst",
            category="Deblenders",
            labels={"what": "deblenders side by side", "form": "table"},
        ),
        column=f"{RESULTS}/comparison/deblending_column.parquet",
        column_csv=report(
            f"{RESULTS}/comparison/deblending_column.csv",
            caption="../report/comparison.rst",
            category="Deblenders",
            labels={"what": "the board's deblending column", "form": "table"},
        ),
    log:
        f"{RESULTS}/logs/comparison.log",
    benchmark:
        f"{RESULTS}/benchmarks/comparison.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        config=results_depend_on(STUDY),
        seed=SEED,
        library=stage_digest("comparison"),
    script:
        "../scripts/comparison.py"


rule comparison_page:
    """Draw accuracy against cost and one blend through all deblenders, and write the page of the comparison."""
    input:
        comparison=rules.comparison.output.comparison,
        column=rules.comparison.output.column,
        costs=compared(rules.compare.output.cost),
        stamps=[
            path for path in compared(rules.compare.output.stamps) if ".000." in path
        ],
    output:
        html=report(
            f"{RESULTS}/comparison/page/comparison.html",
            caption="../report/comparison.rst",
            category="Deblenders",
            labels={"what": "deblenders side by side", "form": "page"},
        ),
        cost=report(
            f"{RESULTS}/comparison/page/cost.csv",
            caption="../report/comparison.rst",
            category="Deblenders",
            labels={"what": "CPU and memory", "form": "table"},
        ),
        frontier=report(
            f"{RESULTS}/comparison/page/frontier.png",
            caption="../report/comparison.rst",
            category="Deblenders",
            labels={"what": "accuracy against cost", "form": "figure"},
        ),
        blendedness=report(
            f"{RESULTS}/comparison/page/blendedness.png",
            caption="../report/comparison.rst",
            category="Deblenders",
            labels={"what": "flux against blendedness", "form": "figure"},
        ),
        panels=report(
            expand(f"{RESULTS}/comparison/page/blend_{{sky}}.png", sky=SKIES),
            caption="../report/comparison.rst",
            category="Deblenders",
            labels={"what": "one blend through all deblenders", "form": "figure"},
        ),
    log:
        f"{RESULTS}/logs/comparison_page.log",
    benchmark:
        f"{RESULTS}/benchmarks/comparison_page.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1500),
        runtime=per_attempt(15),
    params:
        config=results_depend_on(STUDY),
        library=stage_digest("comparison_page"),
    script:
        "../scripts/comparison_page.py"
