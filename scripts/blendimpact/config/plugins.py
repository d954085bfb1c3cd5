"""Plug-in families: one file per member, discovered automatically.

A family is a package (``detect``, ``deblend``, ...). A file in it with a class under ``@FAMILY.register("name")`` adds
a member; no list elsewhere needs an edit. Installed packages add members by an entry point of the family's group::

    [project.entry-points."blendimpact.detectors"]
    mine = "my_package.detector:Mine"

The options of a member are the arguments of its ``__init__``, with their annotations as types and limits. An option
without an annotation has the type of its default.

Names, environments and memory are read from the source: Snakemake asks for them at every start, and with conda its own
environment lacks the packages that members import.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
import traceback
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path

from pydantic import create_model

from ..errors import MissingPackage, StudyError
from .files import Problem, nearest, shown
from .models import UNKNOWN, Model, Number, Text, read

USUAL = "imaging"
"""Conda environment of a member that names none."""


@dataclass(frozen=True)
class Declaration:
    """What a member says of its jobs.

    Attributes
    ----------
    name, module : str
    environment : str
        Its conda environment, a file of ``envs/`` without ``.yaml``: class attribute ``environment``.
    memory_mb : int
        Memory of its jobs: class attribute ``memory_mb``.
    requires : str or None
        Package that it imports when it works and that the study does not install: class attribute ``requires``.
    inputs, uses, follows : tuple of str
    ending : str
    transient : bool
        Of populations: see `populations.base.Population`.
    entry_point : importlib.metadata.EntryPoint or None
        Where an installed package has it.
    """

    name: str
    module: str
    environment: str = USUAL
    memory_mb: int = 1000
    inputs: tuple = ()
    uses: tuple = ()
    follows: tuple = ()
    ending: str = "parquet"
    transient: bool = False
    requires: str | None = None
    entry_point: object = field(default=None, compare=False)


DECLARED = ("environment", "memory_mb", "inputs", "uses", "follows", "ending", "transient", "requires")
"""Class attributes that are read from the source: constants, or tuples of them."""


class Family:
    """The members of one plug-in family.

    Parameters
    ----------
    kind : str
        What a member is called in messages ("detector").
    package : str
        Import path of the package whose modules are searched.
    config_key : str
        Block of the configuration that holds the options of members ("detectors"); ``blendimpact.<config_key>`` is the
        group of entry points.
    checked : str, optional
        Method of members whose result passes through ``<package>.base.checked(name, result, ...)``, with its arguments.
    """

    def __init__(self, kind, package, config_key, checked=None):
        self.kind, self.package, self.config_key, self.checked = kind, package, config_key, checked
        self._members = {}

    def register(self, name):
        """Return a class decorator that makes the class a member called ``name``."""

        def add(cls):
            known = self._members.get(name, cls)
            if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise StudyError(f"two {self.kind}s are called {name!r}", self.package, "rename one of them")
            cls.name = name
            self._members[name] = cls
            return cls

        return add

    def declarations(self):
        """Return {name: `Declaration`} of all members, sorted by name, without importing them.

        Raises
        ------
        StudyError
            If two members have one name.
        """
        folders = importlib.import_module(self.package).__path__
        found = [
            Declaration(name, f"{self.package}.{path.stem}", **c.jobs)
            for folder in folders
            for path in sorted(Path(folder).glob("*.py"))
            for c in _classes(path)
            for name in c.registered
        ]
        found += _installed(f"blendimpact.{self.config_key}", tuple(sys.path))
        names = [d.name for d in found]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            where = ", ".join(d.module for d in found if d.name == twice[0])
            raise StudyError(f"two {self.kind}s are called {twice[0]!r}", where, "rename one of them")
        return {d.name: d for d in sorted(found, key=lambda d: d.name)}

    def names(self):
        """Return the sorted names of all members."""
        return sorted({*self.declarations(), *self._members})

    def declaration(self, name):
        """Return the `Declaration` of a member.

        Raises
        ------
        StudyError
            If no member has that name; the message lists what there is.
        """
        if name in (found := self.declarations()):
            return found[name]
        if name not in self._members:
            raise StudyError(
                f"there is no {self.kind} called {name!r}",
                self.config_key,
                f"choose one of {', '.join(self.names())}, or add a module to {self.package}",
            )
        cls = self._members[name]  # registered by code, e.g. of a notebook
        jobs = {key: getattr(cls, key) for key in DECLARED if hasattr(cls, key)}
        return Declaration(name, cls.__module__, **jobs)

    def together(self, names):
        """Return the `Declaration` of a job that runs several members.

        Raises
        ------
        StudyError
            If two of them need environments of their own.
        """
        found = [self.declaration(name) for name in names]
        others = sorted({d.environment for d in found} - {USUAL})
        if len(others) > 1:
            raise StudyError(
                f"{self.kind}s of several environments: {', '.join(others)}",
                self.config_key,
                "one job runs all of them: choose those of one environment",
            )
        return Declaration(
            ", ".join(d.name for d in found),
            self.package,
            *others,
            memory_mb=max((d.memory_mb for d in found), default=Declaration.memory_mb),
        )

    def absent(self, name):
        """Return the package that a member works with and that is not installed here, or None."""
        package = self.declaration(name).requires
        try:
            return None if package is None or importlib.util.find_spec(package) else package
        except ModuleNotFoundError:  # not even its parent
            return package

    def member(self, name):
        """Return the class of a member, imported when it is first asked for.

        Raises
        ------
        StudyError
            If no member has that name.
        """
        if name not in self._members:
            declared = self.declaration(name)
            if declared.entry_point:
                self.register(name)(declared.entry_point.load())
            else:
                importlib.import_module(declared.module)
        return self._members[name]

    def options(self, name):
        """Return the model of a member's options, made of the arguments of its ``__init__``."""
        return _options(self.member(name), name)

    def problems(self, name, options):
        """Return the list of `config.files.Problem` of a member's options, keys counted from the options.

        Where a package that the member imports is not installed, nothing is checked: its jobs have an environment of
        their own, and check there.
        """
        if name not in (names := self.names()):
            return [Problem((), f"there is no {self.kind} called {name!r}", nearest(name, names))]
        try:
            self.member(name)
            _, found = self._read(name, options)
            if not found:
                self.create(name, options)
            return found
        except MissingPackage:  # said by what needs it, and all else is made
            return []
        except StudyError as error:  # options that do not go together
            return [Problem((), error.what, error.remedy or "")]
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(__name__.split(".")[0]):
                return []
            return [Problem((), f"the {self.kind} {name!r} cannot be used: {_said(error)}", "mend it there")]

    def _read(self, name, options):
        """Return (options as arguments or None, list of `Problem`)."""
        settings, found = read(dict(options or {}), self.options(name))
        found = [
            Problem(p.key, f"the {self.kind} {name!r} has no option {p.key[-1]!r}", p.remedy)
            if p.what == UNKNOWN
            else p
            for p in found
        ]
        return settings and {key: getattr(settings, key) for key in type(settings).model_fields}, found

    def create(self, name, options=None):
        """Return a member made with ``options`` (a dict).

        Raises
        ------
        StudyError
            If no member has that name, or it does not take these options.
        """
        cls = self.member(name)
        settings, found = self._read(name, options)
        if found:
            first = found[0]
            raise StudyError(first.what, ".".join([self.config_key, name, *map(str, first.key)]), first.remedy)
        member = cls(**settings)
        if self.checked:
            method = getattr(member, self.checked, None)
            if method is None:
                raise StudyError(
                    f"the {self.kind} {name!r} has no method {self.checked!r}",
                    cls.__module__,
                    f"see {self.package}.base for what a {self.kind} must have",
                )
            check = importlib.import_module(f"{self.package}.base").checked
            setattr(
                member,
                self.checked,
                wraps(method)(lambda *arguments, **more: check(name, method(*arguments, **more), *arguments, **more)),
            )
        return member


def member_problems(family, block):
    """Yield the `Problem` of members of a family and their options, {name: options}; without a family there is none."""
    for name, options in block.items() if family else ():
        found = unknown(family, name) or family.problems(name, options)
        yield from (problem.below(name) for problem in found)


def unknown(family, name):
    """Return the problem that a family has no member of that name, if so, in a list; without a family there is none."""
    if family is None or name is None or name in (names := family.names()):
        return []
    return [Problem((), f"there is no {family.kind} {name!r}", nearest(name, names))]


@cache
def _options(cls, name):
    fields = {}
    for argument in inspect.signature(cls.__init__).parameters.values():
        if argument.name != "self" and argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            default = ... if argument.default is argument.empty else argument.default
            typed = argument.annotation is not argument.empty
            fields[argument.name] = (argument.annotation if typed else _type_of(default), default)
    return create_model(f"options_of_{name}", __base__=Model, **fields)


def _said(error):
    """Return what went wrong in a plug-in, with file and line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({shown(last.filename)}:{last.lineno})"


def _type_of(default):
    """Return the type of an option that has no annotation."""
    for kind, known in ((bool, bool), (int, Number), (float, Number), (str, Text)):
        if isinstance(default, kind):
            return known
    return object


@cache
def _installed(group, _path):
    """Return the declarations of the entry points of a group; the modules they name are not imported."""
    found = []
    for point in importlib.metadata.entry_points(group=group):
        spec = importlib.util.find_spec(point.module)
        classes = {c.name: c.jobs for c in _classes(spec.origin)} if spec and spec.origin else {}
        found.append(Declaration(point.name, point.module, **classes.get(point.attr, {}), entry_point=point))
    return found


@dataclass(frozen=True)
class _Class:
    """A class as its source has it: name, names it registers, and what it says of its jobs."""

    name: str
    registered: tuple
    jobs: dict


def _classes(path):
    """Return the `_Class` of each class of a source file; parsed once for each state of the file."""
    stat = Path(path).stat()
    return _parsed(str(path), stat.st_mtime_ns, stat.st_size)


@cache
def _parsed(path, _mtime, _size):
    try:
        tree = ast.parse(Path(path).read_bytes(), filename=path)
    except SyntaxError as error:
        where = f"{path}:{error.lineno}"
        raise StudyError(f"is no valid Python: {error.msg}", where, "mend or remove the file") from None
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names = [
                call.args[0].value
                for call in node.decorator_list
                if isinstance(call, ast.Call)
                and getattr(call.func, "attr", "") == "register"
                and call.args
                and isinstance(call.args[0], ast.Constant)
            ]
            own = {
                target.id: _literal(path, target.id, part.value)
                for part in node.body
                if isinstance(part, ast.Assign)
                for target in part.targets
                if isinstance(target, ast.Name) and target.id in DECLARED
            }
            found.append(_Class(node.name, tuple(names), own))
    return found


def _literal(path, name, node):
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise StudyError(
            f"{name} is {ast.unparse(node)}, which cannot be read without running the file",
            f"{path}:{node.lineno}",
            "write it as plain text or a number",
        ) from None
