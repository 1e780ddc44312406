from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.gemini.schemas import json_schema_of, subset_of

KNOWN = set(
    """type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength
    maxLength pattern anyOf propertyOrdering items minimum maximum""".split()
)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "title": "T"}, {"type": "string", "nullable": True, "title": "T"}),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": [{"type": "string"}, {"type": "number"}]}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "One of 1, 2."}),
        ({"type": "string", "enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"type": "string", "format": "email"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "integer", "exclusiveMinimum": 0, "multipleOf": 2}, {"type": "integer"}),
        (
            {"type": "object", "properties": {"a": True}, "required": ["a", "b"]},
            {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "number"}}, "required": ["b"]},
                ]
            },
            {"properties": {"a": {"type": "string"}, "b": {"type": "number"}}, "required": ["a", "b"]},
        ),
        (
            {"items": {"$ref": "#/$defs/x~1y", "description": "D"}, "$defs": {"x/y": {"type": "string", "default": "z"}}},
            {"items": {"type": "string", "description": "D"}},
        ),
    ],
)
def test_what_openapi_can_say(schema: dict[str, Any], said: dict[str, Any]) -> None:
    assert subset_of(schema) == said


def test_what_refers_to_itself_cannot_be_said() -> None:
    tree = {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}}
    with pytest.raises(InvalidRequest, match="itself"):
        subset_of(tree)
    with pytest.raises(InvalidRequest, match="itself"):
        subset_of({"$ref": "#"})
    with pytest.raises(InvalidRequest, match="not in it"):
        subset_of({"$ref": "#/$defs/gone"})


LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", ["string", "null"], ["integer", "string"]]),
        "enum": st.lists(st.none() | st.integers() | st.text(max_size=3), min_size=1, max_size=3),
        "default": st.integers(),
        "examples": st.lists(st.integers()),
        "additionalProperties": st.booleans(),
        "$comment": st.text(max_size=3),
    },
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("object"),
            "properties": st.dictionaries(st.text(max_size=4), inner, max_size=3),
            "required": st.lists(st.text(max_size=4), max_size=2),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "additionalProperties": inner,
        },
    ),
    max_leaves=8,
)


def keywords(schema: Any) -> set[str]:
    found = set(schema)
    items = [schema["items"]] if "items" in schema else []
    for inner in [*items, *schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        found |= keywords(inner)
    return found


@given(SCHEMAS)
def test_nothing_but_the_subset_is_left_of_any_schema(schema: dict[str, Any]) -> None:
    said = subset_of(schema)
    assert keywords(said) <= KNOWN
    assert keywords(subset_of(said)) <= KNOWN


@pytest.mark.parametrize("order", ["propertyOrdering", "property_ordering"])
def test_openapi_schemas_become_json_schema(order: str) -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "any_of": {"type": "STRING", "nullable": True, "enum": ["a"]},
            "b": {"any_of": [{"type": "INTEGER"}], "nullable": True},
        },
        "required": ["any_of"],
        order: ["b"],
        "items": {"type": "ARRAY", "min_items": "2", "items": {"type": "TYPE_UNSPECIFIED"}},
    }
    assert json_schema_of(schema) == {
        "type": "object",
        "properties": {
            "any_of": {"type": ["string", "null"], "enum": ["a", None]},
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["any_of"],
        "items": {"type": "array", "minItems": 2, "items": {}},
    }
