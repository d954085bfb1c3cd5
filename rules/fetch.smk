def spec(wildcards):
    """Return what pins the inputs; at the start of a run, what could not be had the last time is to be tried again."""
    starts = workflow.is_main_process and workflow.executor_plugin is not None
    if starts and not (workflow.dryrun or workflow.touch):
        forget_missing(fetched(wildcards.name))
    return ancient(config_file("inputs.yaml"))


rule fetch:
    """Get real data by name and checksum; its receipt lists the files beside it, with their checksums."""
    input:
        spec=spec,
    output:
        receipt=update(data(fetched("{name}"))),  # stays there whatever reruns: it is what the files are checked by
    log:
        plan.log("fetch/{name}", INPUTS),
    benchmark:
        plan.benchmark("fetch/{name}", INPUTS)
    conda:
        "../envs/fetch.yaml"
    resources:
        **needs(500, 30),
    params:
        **stage("fetch"),
        package=plan.package,
    script:
        "../scripts/stage.py"


rule population:
    """Build what a population is drawn from."""
    input:
        receipts=plan.receipts,
    output:
        table=data(f"{INPUTS}/population/{{population}}.{{ending}}"),
    log:
        plan.log("population/{population}.{ending}", INPUTS),
    benchmark:
        plan.benchmark("population/{population}.{ending}", INPUTS)
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(lambda wildcards: plan.populations[wildcards.population].memory_mb, 15),
    params:
        **stage("population"),
    script:
        "../scripts/stage.py"
