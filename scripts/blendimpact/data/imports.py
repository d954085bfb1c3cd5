"""Which modules of the library a module imports, read from its source without running it.

Counted are imports anywhere in the source (inside functions too), the packages above each
module, ``importlib.import_module`` of a literal name or of an f-string that begins with a
package's name (then all modules of that package), and the members of a plug-in family wherever
the family itself is imported: they are found at run time by being there.
"""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = __name__.partition(".")[0]


def source_of(name, root=ROOT):
    """Return the file of a module or package of the library, or None."""
    path = Path(root, *name.split("."))
    for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if candidate.is_file():
            return candidate
    return None


def members(name, root=ROOT):
    """Return the names of a module, or of a package and everything below it.

    Raises
    ------
    ValueError
        If there is no such module.
    """
    source = source_of(name, root)
    if source is None:
        raise ValueError(f"there is no module {name}")
    if source.name != "__init__.py":
        return [name]
    found = []
    for path in sorted(source.parent.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if source_of(".".join(parts), root) or parts[-1] == "__init__":
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def closure(names, root=ROOT):
    """Return the sorted names of ``names`` and of all that they import within the library."""
    seen, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        todo += [".".join(parts[:n]) for n in range(1, len(parts))]
        todo += imported(name, root)
    return sorted(seen)


def imported(name, root=ROOT):
    """Return the names of the library's modules that one module imports directly."""
    path = source_of(name, root)
    if path is None:
        raise ValueError(f"there is no module {name}")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            found.update(m for alias in node.names for m in _longest(alias.name, root))
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            for alias in node.names:
                found.update(_longest(f"{base}.{alias.name}", root))
                for family in _families(base, root):
                    if alias.name in (family[0], "*"):
                        found.update(members(family[1], root))
        elif isinstance(node, ast.Call):
            found.update(_dynamic(node, root))
    return sorted(found)


def _nodes(path):
    """Return the nodes of a source file that matter here; parsed once for each state of the file."""
    stat = path.stat()
    return _parsed(path, stat.st_mtime_ns, stat.st_size)


@cache
def _parsed(path, _mtime, _size):
    kinds = (ast.Import, ast.ImportFrom, ast.Call, ast.Assign)
    return [n for n in ast.walk(ast.parse(path.read_bytes(), filename=str(path))) if isinstance(n, kinds)]


def _absolute(node, package):
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[:len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _longest(dotted, root):
    """Return [the longest beginning of a dotted name that is a module of the library], or []."""
    if dotted != PACKAGE and not dotted.startswith(f"{PACKAGE}."):
        return []
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if source_of(name, root):
            return [name]
    return []


def _families(name, root):
    """Return (variable, package) of each plug-in family that a module makes."""
    path = source_of(name, root) if name.startswith(PACKAGE) else None
    if path is None:
        return []
    found = []
    for node in _nodes(path):
        if (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
                and getattr(node.value.func, "id", getattr(node.value.func, "attr", "")) == "Family"):
            words = [a.value for a in node.value.args if isinstance(a, ast.Constant)]
            packages = [w for w in words if isinstance(w, str) and w.startswith(f"{PACKAGE}.")]
            found += [(t.id, p) for t in node.targets if isinstance(t, ast.Name) for p in packages]
    return found


def _dynamic(node, root):
    if getattr(node.func, "attr", getattr(node.func, "id", "")) != "import_module" or not node.args:
        return []
    argument = node.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return _longest(argument.value, root)
    if isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        prefix = argument.values[0].value.rpartition(".")[0]
        if prefix.startswith(PACKAGE) and source_of(prefix, root):
            return members(prefix, root)
    return []
