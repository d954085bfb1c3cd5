"""Plug-ins: what their classes say of their jobs, read without importing them."""

FAMILIES = {
    family.config_key: family
    for family in (DETECTORS, DEBLENDERS, FINDERS, SUBTRACTORS)
}


def declaration_of(wildcards, task):
    """Return what the plug-in that finds, or separates, in a job says of its jobs."""
    role, name = chosen(wildcards, task)
    return FAMILIES[role.options].declaration(name)


def environment_for(task):
    """Return a function that gives the conda environment of a plug-in's jobs."""
    return (
        lambda wildcards: f"../envs/{declaration_of(wildcards, task).environment}.yaml"
    )


def memory_for(task):
    """Return a function that gives the memory of a plug-in's jobs, more at each attempt."""
    return more_at_each_attempt(
        lambda wildcards: declaration_of(wildcards, task).memory_mb
    )


def by_environment(deblenders):
    """Return {conda environment: deblenders that need it}."""
    out = {}
    for name in sorted(deblenders):
        out.setdefault(DEBLENDERS.declaration(name).environment, []).append(name)
    return out


def most_memory(deblenders):
    """Return the most memory that one of the deblenders takes."""
    return max(DEBLENDERS.declaration(name).memory_mb for name in deblenders)


def of_each(pattern, deblenders):
    """Return a product of each of the deblenders, none of which may be empty."""
    return ensure(
        expand(pattern, deblender=deblenders, allow_missing=True), non_empty=True
    )
