"""The reference of all keys, made from the models: ``python -m blendimpact.config.reference``.

It writes ``docs/configuration.md``. With the name of a kind of file (``study``, ``survey``, ``image``, ``inputs``,
``resources``) it prints the JSON schema of that, for an editor that completes and checks YAML.
"""

import json
import sys

from pydantic import BaseModel

from .case import Case, Keys
from .files import CONFIG_DIR
from .measure import Measure
from .models import Override, inner
from .real_image import Image
from .registry import Inputs, Resources
from .study import Study
from .surveys import SurveyFile

PAGE = CONFIG_DIR.parent / "docs" / "configuration.md"
FILES = {"study": Study, "survey": SurveyFile, "image": Image, "inputs": Inputs, "resources": Resources}
_NAMES = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
_LIMITS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "exclusiveMaximum": "< {}",
    "maximum": "≤ {}",
    "pattern": "`{}`",
}
_TYPES = {
    "integer": "whole number",
    "boolean": "true, false",
    "string": "text",
    "null": "null",
    "array": "list",
    "object": "keys",
}

INTRODUCTION = """# All keys of the configuration

Made from the models in `scripts/blendimpact/config` by `python -m blendimpact.config.reference`; do not edit it.

`config/config.yaml` is the study, with a comment for every key. A file of your own is laid over it
(`snakemake --configfile mine.yaml`) and holds only what differs. A key that is not known is refused, with the nearest
one that is; so is a value of another type or beyond a limit. Numbers must be finite. Write an exponent with a decimal
point (`1.0e-3`), and quote names that YAML reads as numbers or truth values (`"on"`).

A key without a default may be left out; "needed" says that it may not. `<name>` stands for a name of your choice.
"""


def json_schema(model):
    """Return the JSON schema of a model."""

    def translated(part):
        if isinstance(part, dict):  # limits of numbers that keep their type come in pydantic's own words
            return {_NAMES.get(key, key): translated(value) for key, value in part.items()}
        return [translated(value) for value in part] if isinstance(part, list) else part

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **translated(model.model_json_schema())}


def _entry(part):
    """Return (type, limits) of a key in words."""
    kinds, limits = [], []
    for option in part.get("anyOf", [part]):
        if "const" in option or "enum" in option:
            kinds += [f"`{value}`" for value in option.get("enum", [option.get("const")])]
            continue
        if "$ref" in option:
            kinds.append("keys")
            continue
        kind = option.get("type")
        if kind == "array":
            entries = _entry(option["items"])[0]
            kinds.append(f"list of {entries}{'s' if entries.endswith('number') else ''}")
            limits += [text for text in (_entry(option["items"])[1], _length(option)) if text]
        else:
            kinds.append(_TYPES.get(kind, kind or "anything"))
        limits += [text.format(option[key]) for key, text in _LIMITS.items() if key in option]
    return ", ".join(kinds), ", ".join(limits)


def _length(part):
    low, high = part.get("minItems"), part.get("maxItems")
    return f"{low} entries" if low == high and low else f"at least {low}" if low else ""


def rows(model, prefix="", skip=()):
    """Yield (key, type, default, limits, meaning) of each key of a model, and of the models in it."""
    parts = json_schema(model)["properties"]
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        kind, key = inner(field.annotation), f"{prefix}{name}"
        form, limits = _entry(parts[name])
        within = _model(kind)
        told = field.exclude_if is None and not (within and field.default is not None)
        default = "needed" if field.is_required() else f"`{json.dumps(field.default)}`" if told else ""
        yield key, form.removesuffix(", null") if field.exclude_if else form, default, limits, field.description
        if within and not issubclass(within, Override):  # what overrides may hold is in the table of what they override
            more = {list: "[].", dict: ".<name>."}.get(getattr(kind, "__origin__", None), ".")
            yield from rows(within, f"{key}{more}")


def _model(kind):
    """Return the model of a type: its own, or that of its entries."""
    kinds = [inner(part) for part in (kind, *getattr(kind, "__args__", ())[-1:])]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def _table(model, prefix="", skip=()):
    lines = ["| key | type | default | limits | meaning |", "|---|---|---|---|---|"]
    for key, form, default, limits, meaning in rows(model, prefix, skip):
        cells = (f"`{key}`", form, default, limits, meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def page():
    """Return the text of ``docs/configuration.md``."""
    sections = [
        ("The study: `config/config.yaml`", _table(Study, skip=("cases", "measure"))),
        (
            "A case: `cases.<name>`",
            "What a case, or one of its scenarios, does not give has the default.\n\n"
            + _table(Case, skip=tuple(Keys.model_fields))
            + "\n\nThese keys a scenario can override, under "
            "`scenarios.<name>`:\n\n" + _table(Keys, skip=("measure",)),
        ),
        (
            "How objects are measured: `measure`",
            "Of the study; under `cases.<name>.measure` those of a case.\n\n" + _table(Measure, "measure."),
        ),
        ("A survey: `config/surveys/<name>.yaml`", _table(SurveyFile)),
        ("A real image: `config/images/<name>.yaml`", _table(Image)),
        ("Data that is fetched: `config/inputs.yaml`", _table(Inputs)),
        ("Tools and data sets: `config/resources.yaml`", _table(Resources)),
    ]
    return INTRODUCTION + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(json_schema(FILES[sys.argv[1]]), indent=1))
    else:
        PAGE.write_text(page(), encoding="utf-8")
