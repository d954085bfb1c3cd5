"""YAML files, JSON schemas, and messages that name file, line, key and remedy.

The schemas in ``config/schema`` are plain JSON Schema (draft 2020-12). What is done here beyond
``jsonschema`` itself: all errors at once, in the words of someone who edits a YAML file, with
the nearest known key for an unknown one; and defaults filled in.
"""

import copy
import difflib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from ..errors import StudyError

CONFIG_DIR = Path(__file__).resolve().parents[3] / "config"


@dataclass(frozen=True)
class Source:
    """A YAML file that was read: its data and the line of each key."""

    path: str
    data: dict
    lines: dict


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: ``key`` is a tuple of keys and list indices."""

    key: tuple
    what: str
    remedy: str = ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that refuses a key given twice: YAML would silently keep the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _lines(node, path=()):
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            here = (*path, key_node.value)
            yield here, key_node.start_mark.line + 1
            yield from _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*path, number), value.start_mark.line + 1
            yield from _lines(value, (*path, number))


def _shown(path):
    """Return a path as a user would type it: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def load_yaml(path):
    """Read a YAML file with a mapping at top level.

    Returns
    -------
    Source

    Raises
    ------
    StudyError
        If the file is missing, not YAML, gives a key twice, or holds no mapping.
    """
    shown = _shown(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        near = sorted(p.name for p in Path(path).parent.glob("*.yaml"))
        raise StudyError(f"cannot be read ({error.strerror})", shown,
                         f"give one of {', '.join(near)}" if near else "check the path") from error
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{shown}:{mark.line + 1}" if mark else shown
        raise StudyError(f"not valid YAML: {getattr(error, 'problem', None) or error}", where,
                         "indent with spaces, quote strings with special characters") from error
    if data is None:
        data, node = {}, None  # an empty file, or only comments
    if not isinstance(data, dict):
        raise StudyError(f"holds {_kind(data)} at top level", shown, "it must hold keys and values")
    return Source(shown, data, dict(_lines(node)) if node else {})


def merge(base, overlay):
    """Return ``base`` with ``overlay`` laid over it, as Snakemake merges configuration files.

    Mappings are merged key by key; anything else (lists too) replaces what was there.
    """
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return copy.deepcopy(overlay)
    out = {key: copy.deepcopy(value) for key, value in base.items()}
    for key, value in overlay.items():
        out[key] = merge(out.get(key), value) if isinstance(value, dict) else copy.deepcopy(value)
    return out


@lru_cache
def load_schema(name):
    """Return the schema ``config/schema/<name>.yaml`` (do not change it)."""
    return load_yaml(CONFIG_DIR / "schema" / f"{name}.yaml").data


def _resolve(schema, root):
    while "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def fill_defaults(data, schema, root=None):
    """Return ``data`` with the defaults of the schema for keys that are not given.

    Parts of the schema with ``x-partial: true`` stand for overrides and are left as they are.
    """
    root = root or schema
    schema = _resolve(schema, root)
    if schema.get("x-partial"):
        return data
    if isinstance(data, list) and "items" in schema:
        return [fill_defaults(item, schema["items"], root) for item in data]
    if not isinstance(data, dict):
        return data
    out, known = dict(data), schema.get("properties", {})
    for key, part in known.items():
        default = _resolve(part, root)
        if key not in out and "default" in default:
            out[key] = copy.deepcopy(default["default"])
    extra = schema.get("additionalProperties")
    for key, value in out.items():
        part = known.get(key, extra)
        if isinstance(part, dict):
            out[key] = fill_defaults(value, part, root)
    return out


def _kind(value):
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return {list: "a list", dict: "keys and values"}.get(type(value), repr(value))


_TYPES = {"string": "text", "number": "a number", "integer": "a whole number", "object": "keys and values",
          "array": "a list", "boolean": "true or false", "null": "null"}


def _is_number(text):
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _type_problem(error):
    wanted = error.validator_value
    wanted = [wanted] if isinstance(wanted, str) else wanted
    allowed = " or ".join(_TYPES[t] for t in wanted)
    value = error.instance
    remedy = f"give {allowed}"
    if isinstance(value, bool) and "string" in wanted:
        remedy = "quote it: YAML reads on, off, yes and no as truth values, so write e.g. \"on\""
    elif isinstance(value, str) and _is_number(value) and {"number", "integer"} & set(wanted):
        remedy = ("write it without quotes, and an exponent with a decimal point: YAML reads 1e-3 as text, "
                  "1.0e-3 as a number")
    return f"is {_kind(value)}, but must be {allowed}", remedy


def nearest(word, known):
    """Return advice that names the nearest of the ``known`` words, and all of them."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.6)
    listed = "known: " + (", ".join(str(k) for k in known) or "none")
    return f"did you mean {close[0]!r}? ({listed})" if close else listed


def _translate(error):
    key, value = tuple(error.absolute_path), error.instance
    kind, limit = error.validator, error.validator_value
    if kind == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for name in value:
            if name not in known:
                yield Problem((*key, name), "unknown key", nearest(name, known))
    elif kind == "required":
        for name in limit:
            if name not in value:
                part = error.schema.get("properties", {}).get(name, {})
                yield Problem(key, f"the key {name!r} is missing", f"add it: {part.get('description', name)}")
    elif kind == "type":
        yield Problem(key, *_type_problem(error))
    elif kind == "enum":
        yield Problem(key, f"is {_kind(value)}", nearest(value, limit))
    elif kind == "propertyNames" or (kind == "pattern" and error.parent is not None):
        yield Problem(key, f"the name {value!r} is not allowed", f"a name must match {limit}")
    else:
        text = {"minimum": f"must be at least {limit}", "maximum": f"must be at most {limit}",
                "exclusiveMinimum": f"must be more than {limit}",
                "exclusiveMaximum": f"must be less than {limit}",
                "minItems": f"must have at least {limit} entries",
                "maxItems": f"must have at most {limit} entries",
                "minProperties": f"must have at least {limit} entries",
                "uniqueItems": "must not name anything twice", "minLength": "must not be empty",
                "pattern": f"must match {limit}"}.get(kind, error.message)
        shown = value if isinstance(value, (list, dict)) else _kind(value)
        yield Problem(key, f"is {shown}, but {text}", error.schema.get("description", ""))


def problems(data, schema):
    """Return the list of `Problem` of ``data`` against a schema, in the order of the data."""
    errors = Draft202012Validator(schema).iter_errors(data)
    found = dict.fromkeys(p for e in errors for p in _translate(e))  # each once, in order
    return sorted(found, key=lambda p: tuple(map(str, p.key)))


def locate(key, sources, otherwise="the merged configuration"):
    """Return "file:line" of the last source that holds ``key`` or the longest beginning of it."""
    for length in range(len(key), 0, -1):
        for source in reversed(list(sources)):
            if tuple(key[:length]) in source.lines:
                return f"{source.path}:{source.lines[tuple(key[:length])]}"
    listed = [s.path for s in sources]
    return listed[-1] if listed and not key else otherwise


def raise_problems(found, sources, otherwise="the merged configuration"):
    """Raise one `StudyError` with all problems; its ``problems`` holds them. Return if there is none."""
    if not found:
        return
    entries = []
    for problem in found:
        dotted = ".".join(str(k) for k in problem.key)
        place = locate(problem.key, sources, otherwise)
        entries.append((problem.what, f"{place}: {dotted}" if dotted else place, problem.remedy))
    if len(entries) == 1:
        error = StudyError(*entries[0])
    else:
        text = [f"{len(entries)} things are wrong:"]
        for what, where, remedy in entries:
            text.append(f"- {where}: {what}" + (f". Remedy: {remedy}" if remedy else ""))
        error = StudyError("\n  ".join(text))
    error.problems = list(found)
    raise error


def load_checked(path, schema):
    """Read a YAML file, check it against the schema of that name and fill in the defaults.

    Returns
    -------
    data : dict
    source : Source

    Raises
    ------
    StudyError
        That names every key that is wrong.
    """
    source = load_yaml(path)
    raise_problems(problems(source.data, load_schema(schema)), [source], source.path)
    return fill_defaults(source.data, load_schema(schema)), source


def find(kind, name):
    """Return the path of a named definition, e.g. ``find("surveys", "hsc")``.

    Parameters
    ----------
    kind : str
        Folder of ``config``: "surveys" or "images".
    name : str or path
        Name of a file of that folder, without ``.yaml``; or the path of a YAML file.

    Raises
    ------
    StudyError
        If there is none; the message lists what there is.
    """
    text = str(name)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        if not Path(text).is_file():
            raise StudyError("there is no such file", text, f"give the path of a YAML file as in {kind}/")
        return Path(text)
    path = CONFIG_DIR / kind / f"{text}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in (CONFIG_DIR / kind).glob("*.yaml"))
        raise StudyError(f"there is no {text!r} in config/{kind}", None, nearest(text, known))
    return path
