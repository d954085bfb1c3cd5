"""The files in envs/: every rule has one, every spec is bounded, what pip installed here satisfies it.

None of this can prove that conda-forge holds the packages.
"""

import ast
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from blendimpact.deblend import DEBLENDERS
from blendimpact.detect import DETECTORS
from blendimpact.search import FINDERS
from blendimpact.subtract import SUBTRACTORS
from harness import build_dag
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow  # the graph of every preset
MatchSpec = pytest.importorskip("rattler", reason="py-rattler is not installed").MatchSpec

FAMILIES = (DETECTORS, DEBLENDERS, FINDERS, SUBTRACTORS)
# conda-forge's name: PyPI's name
PYPI = {"matplotlib-base": "matplotlib"}
# What only Snakemake itself needs; what plug-ins need that a user installs, imported only when they are used.
OPTIONAL = {"grimp", "scarlet2", "jax", "equinox", "numpyro", "scarlet", "lsst", "piff"}


def environments(root):
    return sorted((root / "envs").glob("*.yaml"))


def specs(path):
    return [MatchSpec(text) for text in yaml.safe_load(path.read_text())["dependencies"] if isinstance(text, str)]


def pip_specs(path):
    """Return (name, version) of what pip adds to an environment: pinned exactly, which MatchSpec need not know."""
    parts = [part for part in yaml.safe_load(path.read_text())["dependencies"] if isinstance(part, dict)]
    assert all(set(part) == {"pip"} for part in parts)
    return [re.fullmatch(r"([\w-]+)==([\d.]+)", text).groups() for part in parts for text in part["pip"]]


def declared(root, family):
    """Return the environment file that each member of a plug-in family asks for, by its module."""
    found = family.declarations().values()
    return {
        Path(importlib.util.find_spec(d.module).origin): root / "envs" / f"{d.environment}.yaml"
        for d in found
        if d.environment != "imaging"
    }


def installed_version(name):
    if name == "python":
        return ".".join(map(str, sys.version_info[:3]))
    return importlib.metadata.version(PYPI.get(name, name))


@pytest.fixture(scope="module")
def rules(root, tmp_path_factory):
    """Return the (rule, module of its driver, environment file) of the jobs of the survey, which has every rule."""
    dag = build_dag(tmp_path_factory.mktemp("survey"), root / "config" / "presets" / "survey.yaml")
    jobs = {job.rule.name: job for job in dag.jobs if job.output}

    def environment(job):
        return Path(job.rule.expand_conda_env(job.wildcards_dict).file.get_path_or_uri(secret_free=True)).resolve()

    return sorted({(job.rule.name, job.params.stage.partition(".")[0], environment(job)) for job in jobs.values()})


def test_every_environment_exists_and_is_used(root, rules):
    used = {environment for _, _, environment in rules}
    used |= {root / "envs" / f"{d.environment}.yaml" for family in FAMILIES for d in family.declarations().values()}
    assert used == {p.resolve() for p in environments(root)}


def test_channels_are_conda_forge_and_nothing_else(root):
    for path in environments(root):
        assert yaml.safe_load(path.read_text())["channels"] == ["conda-forge", "nodefaults"], path


def test_every_dependency_is_a_bounded_spec(root):
    for path in environments(root):
        for spec in specs(path):
            version = str(spec.version)
            assert ">=" in version and "<" in version, f"{path.name}: {spec} has no two bounds"
        assert not pip_specs(path) or "pip" in {spec.name.normalized for spec in specs(path)}


def test_python_packages_installed_here_satisfy_the_specs(root):
    for path in environments(root):
        for spec in specs(path):
            name = spec.name.normalized
            version = installed_version(name)
            from rattler import Version, VersionSpec

            assert VersionSpec(str(spec.version)).matches(Version(version)), f"{path.name}: {name} {version}"
        for name, version in pip_specs(path):
            assert importlib.metadata.version(name) == version, f"{path.name}: {name}"


def test_what_pip_adds_finds_all_that_it_needs_from_conda(root):
    """Otherwise pip would install copies of its own, of any version."""
    for path in environments(root):
        known = {spec.name.normalized for spec in specs(path)}
        for name, _ in pip_specs(path):
            for text in importlib.metadata.requires(name):
                if "extra ==" not in text:
                    needed = re.match(r"[\w-]+", text)[0].lower()
                    assert {needed, f"{needed}-base"} & known, f"{path.name}: {name} needs {needed}"


def test_a_plug_in_s_own_environment_holds_all_of_the_rule_s_usual_one(root):
    usual = {str(spec) for spec in specs(root / "envs" / "imaging.yaml")}
    for path, file in declared(root, DEBLENDERS).items():
        assert usual <= {str(spec) for spec in specs(file)}, f"{path.name}: {file.name}"
        for name in ("scarlet2", "jax", "jaxlib", "equinox", "numpyro", "optax"):
            assert name in {n for n, _ in pip_specs(file)} | {spec.name.normalized for spec in specs(file)}


@pytest.mark.parametrize(
    "lock, extras",
    [
        ("requirements.lock", ("workflow", "scarlet2", "test")),
        ("requirements-slurm.lock", ("workflow", "scarlet2", "test", "slurm")),
    ],
)
def test_a_lock_holds_what_the_project_asks_for(root, lock, extras):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (root / lock).read_text(), flags=re.M))
    for requirement in map(Requirement, asked):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{lock}: {requirement}, {version}"


def third_party(path):
    """Return the packages that a source file imports, by the name that is imported."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"blendimpact"} - OPTIONAL


def test_what_a_rule_s_stage_imports_is_in_the_rule_s_environment(rules):
    """Wherever it is imported: the modules are those whose edits rerun the rule."""
    from blendimpact.data.provenance import source_of, stage_modules

    conda_name = {
        "yaml": "pyyaml",
        "PIL": "pillow",
        "ruamel": "ruamel.yaml",
        "pydantic_core": "pydantic",
        "skimage": "scikit-image",
        "sklearn": "scikit-learn",
        "matplotlib": "matplotlib-base",
    }
    for rule, stage, environment in rules:
        known = {spec.name.normalized for spec in specs(environment)}
        for module in stage_modules(stage):
            for name in third_party(source_of(module)):
                text = f"{environment.name} of rule {rule}: {module} imports {name}"
                assert conda_name.get(name, name) in known, text
