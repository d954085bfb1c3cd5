rule fetch:
    """Get real data by name and checksum; its receipt lists the files beside it, with their checksums."""
    input:
        spec=pinned,
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
