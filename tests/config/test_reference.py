"""The reference of all keys is that of the models, and every key says what it is."""

import pytest
import yaml
from blendimpact.config import reference
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.models import Model
from jsonschema import Draft202012Validator


def test_the_page_is_that_of_the_models():
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "python -m blendimpact.config.reference"


def test_every_key_says_what_it_is():
    parts = list(subclasses(Model))
    assert set(reference.FILES.values()) <= set(parts)
    for part in parts:
        if part.__module__.startswith("blendimpact.config.") and part.__module__ != "blendimpact.config.plugins":
            assert part.__doc__
            for key, field in part.model_fields.items():
                assert field.description and field.description.endswith((".", ":")), f"{part.__name__}.{key}"


def subclasses(kind):
    for part in kind.__subclasses__():
        yield part
        yield from subclasses(part)


@pytest.mark.parametrize(
    "name, path",
    [
        ("study", "config.yaml"),
        ("survey", "surveys/lsst_visit.yaml"),
        ("image", "images/des_dr2_g.yaml"),
        ("inputs", "inputs.yaml"),
        ("resources", "resources.yaml"),
    ],
)
def test_the_json_schema_takes_the_files_of_the_study_and_no_others(name, path):
    schema = reference.json_schema(reference.FILES[name])
    Draft202012Validator.check_schema(schema)
    data = yaml.safe_load((CONFIG_DIR / path).read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(data)) == []
    assert list(Draft202012Validator(schema).iter_errors({**data, "unknown_key": 1}))


def test_the_json_schema_has_the_limits():
    schema = reference.json_schema(reference.FILES["study"])
    for wrong in (
        {"seed": -1},
        {"chunk_size": 0},
        {"cases": {"a": {"shear": 0.5}}},
        {"cases": {"a": {"stamp": 0}}},
        {"cases": {"a": {"inject": {"mag": [1]}}}},
        {"measure": {"noise_correlation": "picture"}},
    ):
        assert list(Draft202012Validator(schema).iter_errors({"cases": {"a": {}}, **wrong})), wrong
