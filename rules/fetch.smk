rule fetch:
    """Get real data by name and checksum; its receipt lists the files beside it, with their checksums."""
    input:
        spec=ancient(config_file("inputs.yaml")),
    output:
        receipt=data(fetched("{name}")),
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
    """Join the catalogues into the galaxies and stars that are drawn."""
    input:
        receipts=[fetched("pzflow"), fetched("skycatalogs")],
    output:
        galaxies=data(prepared("galaxies")),
        stars=data(prepared("stars")),
    log:
        plan.log("population", INPUTS),
    benchmark:
        plan.benchmark("population", INPUTS)
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(1500, 15),
    params:
        **stage("population"),
    script:
        "../scripts/stage.py"


rule isochrone:
    """Number the stars of an old population by an initial mass function: fields of any density are drawn from it."""
    input:
        receipt=fetched("artpop"),
    output:
        stars=data(prepared("isochrone")),
    log:
        plan.log("isochrone", INPUTS),
    benchmark:
        plan.benchmark("isochrone", INPUTS)
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(500, 5),
    params:
        **stage("population.isochrone"),
    script:
        "../scripts/stage.py"


rule visits:
    """Reduce simulated visits to the seeing and depth of each."""
    input:
        receipt=fetched("sorcha"),
    output:
        visits=data(prepared("visits")),
    log:
        plan.log("visits", INPUTS),
    benchmark:
        plan.benchmark("visits", INPUTS)
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(700, 5),
    params:
        **stage("population.visits"),
    script:
        "../scripts/stage.py"


rule supernovae:
    """Tabulate magnitudes of supernovae by redshift and phase."""
    input:
        receipt=fetched("sncosmo"),
    output:
        supernovae=data(prepared("supernovae")),
    log:
        plan.log("supernovae", INPUTS),
    benchmark:
        plan.benchmark("supernovae", INPUTS)
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(700, 5),
    params:
        **stage("population.supernovae"),
    script:
        "../scripts/stage.py"


rule coma:
    """Cut the coma of a real comet out of its frame: a stamp to inject."""
    input:
        receipt=fetched("comet_9p"),
    output:
        stamp=data(prepared("coma_9p", "fits")),
    log:
        plan.log("coma", INPUTS),
    benchmark:
        plan.benchmark("coma", INPUTS)
    conda:
        "../envs/imaging.yaml"
    resources:
        **needs(500, 5),
    params:
        **stage("population.coma"),
    script:
        "../scripts/stage.py"
