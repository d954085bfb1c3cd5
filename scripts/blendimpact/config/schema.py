"""JSON schemas: what is wrong with a file, and its defaults."""

import copy
from functools import lru_cache

from jsonschema import Draft202012Validator

from .files import CONFIG_DIR, Problem, kind_of, load_yaml, nearest, raise_problems


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
    return f"is {kind_of(value)}, but must be {allowed}", remedy


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
        yield Problem(key, f"is {kind_of(value)}", nearest(value, limit))
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
        shown = value if isinstance(value, (list, dict)) else kind_of(value)
        yield Problem(key, f"is {shown}, but {text}", error.schema.get("description", ""))


def problems(data, schema):
    """Return the list of `Problem` of ``data`` against a schema, in the order of the data."""
    errors = Draft202012Validator(schema).iter_errors(data)
    found = dict.fromkeys(p for e in errors for p in _translate(e))  # each once, in order
    return sorted(found, key=lambda p: tuple(map(str, p.key)))


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
