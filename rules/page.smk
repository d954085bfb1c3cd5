rule page:
    """Write the page of the study, one file that holds the board, all figures and the pages of the comparisons."""
    input:
        foms=rules.matrix.output.foms,
        cells=rules.matrix.output.json,
        checks=rules.matrix.output.checks,
        image=rules.matrix.output.figure,
        slide=rules.matrix.output.slide,
        pdf=rules.matrix.output.pdf,
        foms_csv=rules.matrix.output.foms_csv,
        checks_csv=rules.matrix.output.checks_csv,
        scenarios=rules.matrix.output.scenarios,
        scenarios_csv=rules.matrix.output.scenarios_csv,
        figures=expand(rules.figures.output.figures, case=plan.cases),
        panels=expand(rules.panel.output.figure, case=plan.cases),
        pages=[
            *([rules.comparison_page.output.html] if plan.skies else []),
            *([rules.engine_page.output.html] if plan.engines else []),
        ],
    output:
        html=shown("matrix", f"{RESULTS}/matrix.html", "the board", "page"),
    log:
        plan.log("page"),
    benchmark:
        plan.benchmark("page")
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1500, 15),
    params:
        **stage("page"),
        config=plan.config,
    script:
        "../scripts/stage.py"
