rule foms:
    """Aggregate the scores of one case to its figures of merit."""
    input:
        scores=lambda wildcards: scores_of(wildcards.case),
        sources=lambda wildcards: sources_of(wildcards.case),
    output:
        foms=ensure(f"{RESULTS}/{{case}}/foms.parquet", non_empty=True),
    log:
        f"{RESULTS}/logs/foms/{{case}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/foms/{{case}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        settings={"bootstrap": STUDY["bootstrap"]},
        seed=SEED,
        library=stage_digest("foms"),
    script:
        "../scripts/foms.py"


rule matrix:
    """Stack the figures of merit of all cases: the board, and their comparison with published values."""
    input:
        foms=expand(rules.foms.output.foms, case=CASES),
        references=[
            source(f"config/{name}.yaml")
            for name in ("board", "requirements", "external")
        ],
        sources=lambda wildcards: sources_of(*CASES),
    output:
        foms=f"{RESULTS}/foms.parquet",
        foms_csv=report(
            f"{RESULTS}/foms.csv",
            caption="../report/foms.rst",
            category="Matrix",
            labels={"what": "all figures of merit", "form": "table"},
        ),
        html=report(
            f"{RESULTS}/matrix.html",
            caption="../report/matrix.rst",
            category="Matrix",
            labels={"what": "the board", "form": "page"},
        ),
        figure=report(
            f"{RESULTS}/matrix.png",
            caption="../report/matrix.rst",
            category="Matrix",
            labels={"what": "the board", "form": "figure"},
        ),
        pdf=f"{RESULTS}/matrix.pdf",
        json=f"{RESULTS}/matrix.json",
        csv=f"{RESULTS}/matrix.csv",
        parquet=f"{RESULTS}/matrix.parquet",
        checks=f"{RESULTS}/external_checks.parquet",
        checks_csv=report(
            f"{RESULTS}/external_checks.csv",
            caption="../report/external_checks.rst",
            category="Matrix",
            labels={"what": "comparison with published values", "form": "table"},
        ),
    log:
        f"{RESULTS}/logs/matrix.log",
    benchmark:
        f"{RESULTS}/benchmarks/matrix.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1500),
        runtime=per_attempt(15),
    params:
        config=results_depend_on(STUDY),
        seed=SEED,
        library=stage_digest("matrix"),
    script:
        "../scripts/matrix.py"


rule figures:
    """Draw every figure that a case names."""
    input:
        foms=rules.foms.output.foms,
        requirements=source("config/requirements.yaml"),
    output:
        figures=report(
            directory(f"{RESULTS}/figures/{{case}}"),
            patterns=["{figure}.png"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"case": "{case}", "figure": "{figure}"},
        ),
    log:
        f"{RESULTS}/logs/figures/{{case}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/{{case}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1500),
        runtime=per_attempt(15),
    params:
        library=stage_digest("figures"),
    script:
        "../scripts/figures.py"


rule panel:
    """Draw one blend through the rungs of the ladder, as colour images."""
    input:
        images=first_chunk(scene_of("fits")),
        truth=first_chunk(scene_of("truth.parquet")),
        detections=first_chunk(product("detect", "{chunk}.detections.parquet")),
        assignments=first_chunk(product("detect", "{chunk}.assignments.parquet")),
        sky=first_chunk(product("detect", "{chunk}.sky.h5")),
        separated=first_chunk(separated),
    output:
        figure=report(
            f"{RESULTS}/panels/{{case}}.png",
            caption="../report/panel.rst",
            category="Figures",
            labels={"case": "{case}", "figure": "one blend through the rungs"},
        ),
    log:
        f"{RESULTS}/logs/panel/{{case}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/panel/{{case}}.tsv"
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1500),
        runtime=per_attempt(15),
    params:
        settings=first_chunk(settings_for("measure")),
        seed=SEED,
        library=stage_digest("panel"),
    script:
        "../scripts/panel.py"
