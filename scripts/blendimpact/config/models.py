"""The strict base of all typed settings, and what is wrong with a file in the words of someone who edits it.

A model states each key once, with its default, limits and meaning::

    class Check(Model):
        id: Text = Field(description="Name of the check.")
        low: Number | None = Field(None, description="Lower end; null for none.")
        why: Text | None = absent(description="Where the range comes from.")

        def problems(self):
            if self.low is not None and self.why is None:
                yield Problem(("why",), "is missing", "say where the range comes from")

Its fields hold numbers, text, truth values, lists, dicts and other models, each perhaps None; unions of other kinds
give one message for each.
"""

import math
import types
from functools import cache, partial
from pathlib import Path
from typing import Annotated, ClassVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WrapValidator,
    create_model,
)
from pydantic_core import PydanticCustomError

from .files import Problem, kind_of, load_yaml, nearest, raise_problems

UNKNOWN = "unknown key"
LARGEST = 1e18
"""No number of a configuration is larger: arithmetic with it cannot overflow."""


class Model(BaseModel):
    """Base of typed settings: unknown keys, other types and non-finite numbers are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())

    def problems(self):
        """Yield each `Problem` that no single field sees, its key counted from this model; `read` asks all models."""
        return ()

    def complete(self):
        """Return the fields, by name, whose own problems `read` looks for."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def plain(self):
        """Return the settings as a dict of JSON-able values, with defaults; keys that are `absent` are left out."""
        return {name: _plain(getattr(self, name)) for name in self._told()}

    def _told(self):
        """Return the names of the keys that `plain` has."""
        own = [
            name
            for name, field in type(self).model_fields.items()
            if field.exclude_if is None or getattr(self, name) is not None
        ]
        return own + list(self.model_extra or ())


def _plain(value):
    if isinstance(value, Model):
        return value.plain()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def inner(annotation):
    """Return a type without Annotated and None: that of the values."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            kept = [part for part in get_args(annotation) if part is not type(None)]
            if len(kept) > 1:
                return annotation
            annotation = kept[0]
        else:
            return annotation


def nullable(annotation):
    """Return whether a type has None in it."""
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


class Open(Model):
    """A model that keeps keys that it does not know, which are for a plug-in: plain data."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[object, AfterValidator(lambda value: _json(value))]]


class Override(Model):
    """Some keys of a model, to be laid over others: `plain` has those that are given, null too."""

    always: ClassVar = ()

    def _told(self):
        own = [name for name in type(self).model_fields if name in self.model_fields_set or name in self.always]
        return own + list(self.model_extra or ())


class OpenOverride(Override, Open):
    """The override of an `Open` model."""


@cache
def override(model, without=()):
    """Return the model whose keys are those of another, none of them needed: an `Override`."""
    fields = {
        name: (Annotated[_overridden(field.annotation), *field.metadata, Field(description=field.description)], None)
        for name, field in model.model_fields.items()
        if name not in without
    }
    base = OpenOverride if issubclass(model, Open) else Override
    return create_model(f"{model.__name__}Override", __base__=base, __doc__=model.__doc__, **fields)


def _overridden(annotation):
    """Return a type with the models in it replaced by their overrides."""
    kind = inner(annotation)
    if not (isinstance(kind, type) and issubclass(kind, Model)):
        return annotation
    return override(kind) | None if nullable(annotation) else override(kind)


absent = partial(Field, None, exclude_if=lambda value: value is None)
"""A field without default that need not be given: None in the model (also by null), and not in `Model.plain`."""


def _whole(value):
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _bounded(value)


def _bounded(value):
    if isinstance(value, (int, float)) and LARGEST < abs(value) < math.inf:
        raise PydanticCustomError("study", "is too large for any use")
    return value


def _printable(value):
    if not value.isprintable() or value != value.strip() or set("{}") & set(value):
        raise PydanticCustomError("study", "must be one line without braces, and without blanks at its ends")
    return value


def _distinct(values):
    if any(value in values[:number] for number, value in enumerate(values)):
        raise PydanticCustomError("study", "must not name anything twice")
    return values


def ascending(values):
    """Return two values, the first of which must be the smaller."""
    if not values[0] < values[1]:
        raise PydanticCustomError("study", "must have the smaller number first")
    return values


def _hdu(value):
    value = _whole(value)
    if isinstance(value, bool) or not (value >= 0 if isinstance(value, int) else isinstance(value, str) and value):
        raise PydanticCustomError("study", "must be the number of an HDU (0 is the first) or its EXTNAME")
    return value


def _json(value):
    """Return the value of an option that no model knows, refusing what JSON cannot hold."""
    if isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            _json(part)
    elif isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("study", "numbers must be finite")
    elif not isinstance(value, (str, int, float, bool, type(None))):
        raise PydanticCustomError("study", "must be text, a number, a truth value, a list or keys and values")
    return value


Text = Annotated[str, Field(min_length=1)]
Given = Annotated[Text, AfterValidator(_printable)]
"""A name or a path on one line. Braces are Snakemake's: they would be wildcards."""
NAME, STUDY, BAND = r"^[a-z][a-z0-9_]*$", r"^[A-Za-z0-9][A-Za-z0-9_-]*$", r"^[A-Za-z0-9]+$"
Name = Annotated[str, Field(pattern=NAME)]
Band = Annotated[str, Field(pattern=BAND)]
"""A band of an image; it is part of the names of HDUs."""
Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; 5.0 is one."""
Number = Annotated[float, WrapValidator(lambda value, check: (check(_bounded(value)), value)[1])]
"""A finite number, kept as it is given: 20 stays whole."""
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Pair = Annotated[list[Number], Field(min_length=2, max_length=2)]
Distinct = AfterValidator(_distinct)
"""For lists: nothing is named twice."""
Hdu = Annotated[int | str, PlainValidator(lambda value: _hdu(value), json_schema_input_type=int | str)]
"""An HDU of a FITS file: its number, or its name (EXTNAME, or "EXTNAME,EXTVER")."""
Plain = Annotated[object, AfterValidator(_json)]
"""What JSON can hold."""
Options = dict[str, Plain]
"""Options of a plug-in: plain data whose keys the plug-in knows."""


# --- messages --------------------------------------------------------------------------------------


_TYPES = {
    "string_type": "text",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "finite_number": "a finite number",
    "none_required": "null",
}
_PATTERNS = {
    NAME: "small letters, digits and _, a letter first",
    STUDY: "letters, digits, _ and -, a letter or digit first",
    BAND: "letters and digits",
}
_LIMITS = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "greater_than": ("gt", "must be more than {}"),
    "less_than": ("lt", "must be less than {}"),
    "too_short": ("min_length", "must have at least {} entries"),
    "too_long": ("max_length", "must have at most {} entries"),
    "string_too_short": ("min_length", "must not be empty"),
    "string_pattern_mismatch": ("pattern", "must match {}"),
}


def _declared(model, key):
    """Return (type, description) of what a key of a model stands for."""
    kind, text = model, ""
    for part in key:
        kind = inner(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(part)
            if field is None:
                return object, ""
            kind, text = field.annotation, field.description or text
        elif get_origin(kind) in (dict, list):
            kind = get_args(kind)[-1]
        else:
            return object, text
    return inner(kind), text


def _is_number(text):
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _type_remedy(value, wanted):
    if wanted == "text" and not isinstance(value, (list, dict, type(None))):
        why = ': YAML reads on, off, yes and no as truth values, so write e.g. "on"'
        return "quote it" + (why if isinstance(value, bool) else "")
    if isinstance(value, str) and _is_number(value) and "number" in wanted:
        return (
            "write it without quotes, and an exponent with a decimal point: YAML reads 1e-3 as text, 1.0e-3 as a number"
        )
    return f"give {wanted}"


def _default(model, key):
    """Return a remedy that names the default of a key, if it has one that is a word or a number."""
    field = getattr(_declared(model, key[:-1])[0], "model_fields", {}).get(key[-1])
    default = getattr(field, "default", None)
    return f"leave it out for {default}" if isinstance(default, (bool, int, float, str)) else ""


def _translate(error, model):
    """Yield the `Problem` of one error of pydantic."""
    kind, key, value, context = error["type"], error["loc"], error["input"], error.get("ctx", {})
    if key and key[-1] == "[key]":  # the name of an entry of a dict
        allowed = _PATTERNS.get(context.get("pattern"), f"what matches {context.get('pattern')}")
        remedy = f"use {allowed}" if isinstance(value, str) else "quote it"
        shown = repr(value) if isinstance(value, str) else f"that YAML reads as {kind_of(value)}"
        yield Problem((*key[:-2], value), f"the name {shown} is not allowed", remedy)
        return
    wanted, description = _declared(model, key)
    if kind == "extra_forbidden":
        yield Problem(key, UNKNOWN, nearest(key[-1], _declared(model, key[:-1])[0].model_fields))
    elif kind == "invalid_key":
        yield Problem((*key[:-1], value), f"the name that YAML reads as {kind_of(value)} is not allowed", "quote it")
    elif kind == "missing":
        yield Problem(key[:-1], f"the key {key[-1]!r} is missing", f"add it: {description or key[-1]}")
    elif kind == "literal_error":
        yield Problem(key, f"is {kind_of(value)}", nearest(value, get_args(wanted)))
    elif kind in _TYPES:
        yield Problem(key, f"is {kind_of(value)}, but must be {_TYPES[kind]}", _type_remedy(value, _TYPES[kind]))
    else:
        name, text = _LIMITS.get(kind, (None, error["msg"]))
        limit = context.get(name)
        if limit in _PATTERNS:
            text = f"must be made of {_PATTERNS[limit]}"
        elif name:
            text = text.format(f"{limit:g}" if isinstance(limit, float) else limit)
        shown = value if isinstance(value, (list, dict)) else kind_of(value)
        yield Problem(key, f"is {shown}, but {text}", _default(model, key))


def _problems(value, key=()):
    """Yield the problems of all models in a value, each with its whole key."""
    if isinstance(value, Model):
        yield from (problem.below(*key) for problem in value.problems())
        value = value.complete()
    if isinstance(value, (dict, list)):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _problems(part, (*key, name))


def read(data, model):
    """Return (settings, problems): an instance of the model or None, and the list of `Problem` of the data.

    What single keys are wrong comes first; what models say of their keys together, if there is none of it.

    Parameters
    ----------
    data : dict
    model : type
        Subclass of `Model`.
    """
    try:
        settings = model.model_validate(data)
        return settings, list(_problems(settings))
    except ValidationError as error:
        found = dict.fromkeys(p for e in error.errors(include_url=False) for p in _translate(e, model))  # each once
        return None, sorted(found, key=lambda p: tuple(map(str, p.key)))


def load_checked(path, model, named=False):
    """Return the settings of a YAML file: an instance of the model.

    Parameters
    ----------
    path : path-like
    model : type
        Subclass of `Model`.
    named : bool, optional
        Whether the key ``name`` must be the name of the file.

    Raises
    ------
    StudyError
        That names every key that is wrong.
    """
    source = load_yaml(path)
    settings, found = read(source.data, model)
    if named and settings and settings.name != Path(path).stem:
        found.append(
            Problem(
                ("name",), f"is {settings.name!r}, but the file is {Path(path).name}", "give it the name of its file"
            )
        )
    raise_problems(found, [source], source.path)
    return settings
