rule fetch:
    """Get real data by name and checksum; its receipt lists the files beside it, with their checksums."""
    input:
        spec=ancient(source("config/inputs.yaml")),
    output:
        receipt=ensure(f"{INPUTS}/{{name}}/receipt.json", non_empty=True),
    log:
        f"{INPUTS}/logs/fetch/{{name}}.log",
    benchmark:
        f"{INPUTS}/benchmarks/fetch/{{name}}.tsv"
    conda:
        "../envs/fetch.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(500),
        runtime=per_attempt(30),
    params:
        package=package_of,
        library=stage_digest("fetch"),
    script:
        "../scripts/fetch.py"


rule population:
    """Join the catalogues into the galaxies and stars that are drawn."""
    input:
        receipts=expand(rules.fetch.output.receipt, name=["pzflow", "skycatalogs"]),
    output:
        galaxies=ensure(f"{INPUTS}/population/galaxies.parquet", non_empty=True),
        stars=ensure(f"{INPUTS}/population/stars.parquet", non_empty=True),
    log:
        f"{INPUTS}/logs/population.log",
    benchmark:
        f"{INPUTS}/benchmarks/population.tsv"
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1500),
        runtime=per_attempt(15),
    params:
        library=stage_digest("population"),
    script:
        "../scripts/population.py"


rule isochrone:
    """Number the stars of an old population by an initial mass function: fields of any density are drawn from it."""
    input:
        receipt=expand(rules.fetch.output.receipt, name="artpop"),
    output:
        stars=ensure(f"{INPUTS}/population/isochrone.parquet", non_empty=True),
    log:
        f"{INPUTS}/logs/isochrone.log",
    benchmark:
        f"{INPUTS}/benchmarks/isochrone.tsv"
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(500),
        runtime=per_attempt(5),
    params:
        library=stage_digest("population"),
    script:
        "../scripts/isochrone.py"


rule visits:
    """Reduce simulated visits to the seeing and depth of each."""
    input:
        receipt=expand(rules.fetch.output.receipt, name="sorcha"),
    output:
        visits=ensure(f"{INPUTS}/population/visits.parquet", non_empty=True),
    log:
        f"{INPUTS}/logs/visits.log",
    benchmark:
        f"{INPUTS}/benchmarks/visits.tsv"
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(700),
        runtime=per_attempt(5),
    params:
        library=stage_digest("population"),
    script:
        "../scripts/visits.py"


rule supernovae:
    """Tabulate magnitudes of supernovae by redshift and phase."""
    input:
        receipt=expand(rules.fetch.output.receipt, name="sncosmo"),
    output:
        supernovae=ensure(f"{INPUTS}/population/supernovae.parquet", non_empty=True),
    log:
        f"{INPUTS}/logs/supernovae.log",
    benchmark:
        f"{INPUTS}/benchmarks/supernovae.tsv"
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(700),
        runtime=per_attempt(5),
    params:
        library=stage_digest("population"),
    script:
        "../scripts/supernovae.py"


rule coma:
    """Cut the coma of a real comet out of its frame: a stamp to inject."""
    input:
        receipt=expand(rules.fetch.output.receipt, name="comet_9p"),
    output:
        stamp=ensure(f"{INPUTS}/population/coma_9p.fits", non_empty=True),
    log:
        f"{INPUTS}/logs/coma.log",
    benchmark:
        f"{INPUTS}/benchmarks/coma.tsv"
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(500),
        runtime=per_attempt(5),
    params:
        library=stage_digest("population"),
    script:
        "../scripts/coma.py"
