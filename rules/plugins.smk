"""Plug-ins: their names, and what their modules say of their jobs, read without importing them."""

import os
import re
from functools import cache
from glob import glob


@cache
def plugin_modules(family):
    """Return the text of the modules of a plug-in family by member, without importing them."""
    texts = {}
    for path in glob(
        os.path.join(workflow.basedir, "scripts/blendimpact", family, "*.py")
    ):
        with open(path) as file:
            text = file.read()
        for name in re.findall(r"^@\w+\.register\([\"'](\w+)[\"']\)", text, flags=re.M):
            texts[name] = text
    return texts


def plugins(family):
    """Return the names of the members of a plug-in family."""
    return sorted(plugin_modules(family))


def declared(family, name, constant, default):
    """Return what the module of a plug-in says of its jobs, or the default."""
    text = plugin_modules(family).get(name, "")
    value = re.search(rf"^{constant} = [\"']?([\w.-]+)", text, flags=re.M)
    return value[1] if value else default


def declared_by(task, constant, default):
    """Return a function that gives what the module of the plug-in of a job says, or the default."""

    def said(wildcards):
        role, name = chosen(wildcards, task)
        return declared(role.package, name, constant, default)

    return said


def environment_for(task):
    """Return a function that gives the conda environment of a plug-in's jobs."""
    name = declared_by(task, "ENVIRONMENT", "imaging")
    return lambda wildcards: f"../envs/{name(wildcards)}.yaml"


def memory_for(task, default):
    """Return a function that gives the memory of a plug-in's jobs, more at each attempt."""
    return more_at_each_attempt(declared_by(task, "MEMORY_MB", default))


def by_environment(deblenders):
    """Return {conda environment: deblenders that need it}."""
    out = {}
    for name in deblenders:
        out.setdefault(declared("deblend", name, "ENVIRONMENT", "imaging"), []).append(
            name
        )
    return {environment: sorted(names) for environment, names in out.items()}


def most_memory(deblenders):
    """Return the most memory that one of the deblenders takes."""
    return max(int(declared("deblend", name, "MEMORY_MB", 1000)) for name in deblenders)


def of_each(pattern, deblenders):
    """Return a product of each of the deblenders, none of which may be empty."""
    return ensure(
        expand(pattern, deblender=deblenders, allow_missing=True), non_empty=True
    )
