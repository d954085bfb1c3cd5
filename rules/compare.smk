COMPARED_SOURCES = product("compare", "{deblender}.{chunk}.parquet")
COMPARED_SCORES = product("compare", "{deblender}.{chunk}.scores.parquet")
COMPARED_STAMPS = product("compare", "{deblender}.{chunk}.npz")
COMPARED_COST = product("cost", "{deblender}.{chunk}.json")
COMPARED = by_environment(STUDY["comparison"]["deblenders"])


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


# A job runs the deblenders of one environment one after the other: half of what one of them takes is start-up.
for environment, deblenders in COMPARED.items():

    rule:
        """Run deblenders on one sky of the comparison, and hold their children against the exact ones."""
        name:
            f"compare_{environment}"
        input:
            images=scene_of("fits"),
            truth=scene_of("truth.parquet"),
            detections=product("detect", "{chunk}.detections.parquet"),
            assignments=product("detect", "{chunk}.assignments.parquet"),
            sky=product("detect", "{chunk}.sky.h5"),
            measured=rules.reference.output.measurements,
        output:
            sources=of_each(COMPARED_SOURCES, deblenders),
            scores=of_each(COMPARED_SCORES, deblenders),
            stamps=of_each(COMPARED_STAMPS, deblenders),
            cost=of_each(COMPARED_COST, deblenders),
        log:
            log_of("compare", f"{environment}.{{chunk}}"),
        benchmark:
            benchmark_of("compare", f"{environment}.{{chunk}}")
        conda:
            f"../envs/{environment}.yaml"
        threads: 1
        resources:
            mem_mb=per_attempt(most_memory(deblenders)),
            runtime=per_attempt(30 * len(deblenders)),
        params:
            settings=settings_for("compare"),
            deblenders=deblenders,
            options={name: STUDY["deblenders"].get(name, {}) for name in deblenders},
            seed=SEED,
            library=stage_digest("compare"),
        script:
            "../scripts/compare.py"


rule comparison:
    """Aggregate the comparison: deblenders side by side, with intervals."""
    input:
        sources=compared(COMPARED_SOURCES),
        scores=compared(COMPARED_SCORES),
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
        costs=compared(COMPARED_COST),
        stamps=[path for path in compared(COMPARED_STAMPS) if ".000." in path],
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
