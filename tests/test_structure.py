"""The shape of the library: imports run one way, modules and functions of drivers stay short, no Snakemake in it.

What is not so yet stands in the lists below. They only get shorter: an entry that is no longer needed fails too.
"""

import ast
import importlib
from collections import Counter

import grimp
import pytest
from harness import ROOT

LIBRARY = ROOT / "scripts" / "blendimpact"
MODULES = sorted(path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.py"))
LAYERS = (
    ("__main__",),
    ("stages",),
    ("cases", "report"),
    ("ladder", "detect", "deblend", "subtract", "search", "measure", "photoz"),
    ("sky", "populations", "fitting"),
    ("data", "stats", "config"),
    ("errors",),
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
LINES, STATEMENTS = 400, 40

LONG_MODULES = set()
LONG_FUNCTIONS = set()


def parsed(path):
    return ast.parse((LIBRARY / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def graph():
    """Who imports whom, inside of functions too."""
    return grimp.build_graph("blendimpact", include_external_packages=True, cache_dir=None)


def test_imports_run_one_way(graph):
    """Scripts, stages, cases and report, the ladder and plug-ins, what they work on, data: never the other way."""
    found = set()
    for module in graph.find_descendants("blendimpact"):
        package = module.split(".")[1]
        for imported in graph.find_modules_directly_imported_by(module) & graph.find_descendants("blendimpact"):
            if LEVEL[imported.split(".")[1]] < LEVEL[package]:
                found.add(" -> ".join(name.removeprefix("blendimpact.") for name in (module, imported)))
    assert not found


def test_modules_are_short():
    lengths = {path: len((LIBRARY / path).read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path for path, lines in lengths.items() if lines > LINES} == LONG_MODULES


def test_functions_of_drivers_are_short():
    found = set()
    for path in (p for p in MODULES if p.startswith("stages/")):
        functions = (n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef))
        for node in functions:
            signature_and_text = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            if node.end_lineno - signature_and_text.lineno >= STATEMENTS:
                found.add(f"{path}:{node.name}")
    assert found == LONG_FUNCTIONS


def test_the_library_knows_no_snakemake(graph):
    assert "numpy" in graph.modules and "snakemake" not in graph.modules


@pytest.mark.parametrize("package", [*sorted(LEVEL)])
def test_every_module_can_be_imported(package):
    """Whatever else is installed: plug-ins import the packages that only they need when they are used."""
    prefix = "blendimpact."
    names = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in MODULES]
    for name in (n for n in names if n.split(".")[0] == package):
        assert importlib.import_module(prefix + name).__doc__, f"{name} does not say what it is for"


def test_test_modules_have_names_of_their_own():
    """They are imported by their base names, some by each other."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
