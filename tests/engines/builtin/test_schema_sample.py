import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldgate.engines.builtin.pattern_sample import shortest_match
from aldgate.engines.builtin.schema_check import same
from aldgate.engines.builtin.schema_sample import sample
from aldgate.engines.builtin.schema_shape import Unsamplable

NODE = {
    "type": "object",
    "properties": {"value": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}
SHAPES = {
    "oneOf": [
        {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "exclusiveMinimum": 0}},
         "required": ["kind", "radius"]},
        {"type": "object", "properties": {"kind": {"const": "square"}, "side": {"type": "number"}}, "required": ["kind", "side"]},
    ]
}  # fmt: skip

SCHEMAS: list[tuple[dict[str, Any], Any]] = [
    ({}, "hi you"),
    ({"type": "string", "maxLength": 2}, "hi"),
    ({"type": "string", "minLength": 8}, "hi youxx"),
    ({"type": "string", "format": "date"}, "2026-01-01"),
    ({"type": "string", "pattern": "^[A-Z]{2}-\\d+$"}, "AA-0"),
    ({"enum": [3, "a"]}, 3),
    ({"enum": [3, "a"], "type": "string"}, "a"),
    ({"const": {"a": [None]}}, {"a": [None]}),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "exclusiveMaximum": -3}, -4),
    ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
    ({"type": "integer", "minimum": 1.5}, 2),
    ({"type": "number", "minimum": 0.25, "multipleOf": 0.1}, 0.3),
    ({"type": "number", "exclusiveMinimum": 0.25, "exclusiveMaximum": 0.75}, 0.5),
    ({"type": "number", "not": {"const": 0}}, 1),
    ({"type": ["null", "boolean"]}, False),
    ({"type": "array"}, []),
    ({"type": "array", "minItems": 2, "items": {"type": "integer"}, "uniqueItems": True}, [0, 1]),
    ({"type": "array", "minItems": 2, "items": {"type": "string"}, "uniqueItems": True}, ["hi you", "hi you1"]),
    ({"type": "array", "prefixItems": [{"type": "null"}, {"type": "boolean"}], "minItems": 2}, [None, False]),
    ({"type": "array", "contains": {"const": 7}}, [7]),
    ({"type": "object"}, {}),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}, {"b": "hi you"}),
    ({"required": ["x"], "additionalProperties": {"type": "integer"}}, {"x": 0}),
    ({"type": "object", "minProperties": 1, "additionalProperties": {"type": "boolean"}}, {"property1": False}),
    ({"dependentRequired": {"a": ["b"]}, "required": ["a"], "properties": {"b": {"type": "null"}}}, {"a": "hi you", "b": None}),
    ({"allOf": [{"type": "string", "maxLength": 4}, {"maxLength": 3}]}, "hi "),
    ({"allOf": [{"properties": {"a": {"type": "number"}}}, {"properties": {"a": {"minimum": 2}}, "required": ["a"]}]}, {"a": 2}),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
    ({"anyOf": [False, {"type": "integer"}], "minimum": 3}, 3),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 0.5),
    (SHAPES, {"kind": "circle", "radius": 1}),
    ({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}, {"value": "hi you", "next": None}),
    ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "boolean"}}}, False),
    ({"type": "object", "properties": {"child": {"$ref": "#"}}, "required": []}, {}),
    ({"type": "string", "enum": ["abc", "12"], "pattern": "^\\d+$"}, "12"),
    ({"enum": ["abc", 5], "pattern": "^\\d+$"}, 5),
    ({"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "b$"}]}, "ab"),
    ({"allOf": [{"type": "string", "pattern": "b$"}, {"pattern": "^a"}, {"minLength": 2}]}, "ab"),
    ({"oneOf": [{"type": "string", "pattern": "^h"}, {"type": "string", "pattern": "i$"}]}, "h"),
    ({"type": "string", "not": {"pattern": "hi"}}, ""),
    ({"anyOf": [{"pattern": "(?=x)y", "type": "string"}, {"enum": ["a"]}]}, "a"),
    ({"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[A-Z]+$"}}, {"A": "hi you"}),
    ({"minProperties": 2, "propertyNames": {"enum": ["b", "a"]}, "additionalProperties": {"type": "null"}},
     {"b": None, "a": None}),
    ({"minProperties": 1, "propertyNames": {"minLength": 12}}, {"propertyxxxx": "hi you"}),
    ({"required": ["a"], "dependentRequired": {"a": ["b"], "b": ["c"]}, "properties": {"c": {"type": "integer"}}},
     {"c": 0, "a": "hi you", "b": "hi you"}),
    ({"allOf": [{"dependentRequired": {"a": ["b"]}}, {"dependentRequired": {"a": ["c"]}}], "required": ["a"],
      "additionalProperties": {"type": "null"}}, {"a": None, "b": None, "c": None}),
    ({"required": ["a"], "dependentSchemas": {"a": {"required": ["b"], "properties": {"b": {"type": "integer"}}}}},
     {"b": 0, "a": "hi you"}),
    ({"patternProperties": {"^x": {"type": "integer"}}, "required": ["x1", "y"]}, {"x1": 0, "y": "hi you"}),
    ({"patternProperties": {"^x": {"type": "integer"}}, "minProperties": 2, "additionalProperties": False}, {"x": 0, "xx": 0}),
    ({"patternProperties": {"^x": {"type": "integer"}, "1$": {"minimum": 3}}, "required": ["x1"]}, {"x1": 3}),
    ({"allOf": [{"properties": {"a": {"type": "null"}}}], "unevaluatedProperties": False, "required": ["a"]}, {"a": None}),
    ({"type": "array", "prefixItems": [{"type": "null"}], "unevaluatedItems": {"type": "integer"}, "contains": {"const": None}},
     [None]),
    ({"if": {"type": "string"}, "then": {"maxLength": 1}, "type": "string"}, "h"),
]  # fmt: skip


def valid(schema: dict[str, Any], value: Any) -> bool:
    return jsonschema_rs.is_valid(schema, value)


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_samples(schema: dict[str, Any], expected: Any) -> None:
    value = sample(schema, "hi you")
    assert valid(schema, value)
    assert valid(schema, sample(schema, "hi you", once=True))
    assert same(value, expected)


def test_once_is_only_in_the_first_string() -> None:
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b", "a"]}
    assert sample(schema, "hi", once=True) == {"a": "hi", "b": ""}
    assert sample(schema, "hi") == {"a": "hi", "b": "hi"}


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"$ref": "#"},
        {"$ref": "#/$defs/gone"},
        {"$ref": "https://example.com/schema"},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "string", "pattern": "(?=x)y"},
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 10**9},
        {"type": "array", "minItems": 10**4, "uniqueItems": True, "items": {"type": "integer"}},
        {"type": "array", "minItems": 900, "items": {"type": "array", "minItems": 900}},
        {"type": "object", "minProperties": 10**9},
        {"type": "strin"},
        {"properties": []},
        {"multipleOf": 0},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"const": "abc", "pattern": "^\\d+$"},
        {"const": "abc", "pattern": "(?=x)y"},
        {"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "^b"}]},
        {"required": ["x"], "propertyNames": {"pattern": "^[A-Z]+$"}},
        {"required": ["x"], "patternProperties": {"(?=x)": {"type": "integer"}}},
        {"required": ["b"], "properties": {"a": {}}, "unevaluatedProperties": False},
        {"type": "array", "minItems": 1, "unevaluatedItems": False},
        {"enum": ["a" * 5_000 + "b"], "pattern": "^(a+)+$" + "(a*)*" * 200},
        {"patternProperties": []},
    ],
)
def test_what_cannot_be_sampled_is_refused(schema: Any) -> None:
    with pytest.raises(Unsamplable):
        sample(schema, "hi")


def test_a_long_text_is_not_multiplied() -> None:
    many = {f"p{at}": {"type": "string"} for at in range(1000)}
    made = sample({"properties": many, "required": list(many)}, "x" * 100_000)
    assert sum(map(len, made.values())) <= 1_100_000


small = st.integers(0, 9)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
leaves = st.one_of(
    st.builds(
        lambda kind, bounds: {"type": kind, "minimum": min(bounds), "maximum": max(bounds)},
        st.sampled_from(["integer", "number"]),
        st.tuples(st.integers(-50, 50), st.integers(-50, 50)),
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, st.integers(0, 9), st.integers(0, 9)
    ),
    st.builds(lambda step: {"type": "number", "multipleOf": step, "exclusiveMinimum": 0.3}, st.sampled_from([0.1, 0.25, 3])),
    st.builds(lambda values: {"enum": values}, st.lists(scalars, min_size=1)),
    st.builds(lambda value: {"const": value}, st.text()),
    st.sampled_from([{"type": "null"}, {"type": "boolean"}, {"type": ["null", "string"]}, {}, True, {"$ref": "#/$defs/tree"}]),
)
TREE = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["kids"]}


def wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "c", "d"])
    return st.one_of(
        st.builds(
            lambda known, required, extra: {
                "type": "object", "properties": known, "required": sorted(required & known.keys()), "additionalProperties": extra,
            },
            st.dictionaries(names, inner), st.sets(names), st.booleans(),
        ),
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part, name: {"allOf": [part, {"title": name}]}, inner, names),
        st.builds(lambda first, rest: {"prefixItems": first, "minItems": len(first), "type": "array", "items": rest},
                  st.lists(inner, min_size=1, max_size=2), inner),
    )  # fmt: skip


@settings(deadline=None)
@given(st.recursive(leaves, wider, max_leaves=8), st.text(), st.booleans())
def test_samples_of_any_schema_are_valid(schema: Any, text: str, once: bool) -> None:
    document = {"$defs": {"tree": TREE}, "allOf": [schema]}
    value = sample(document, text, once=once)
    assert valid(document, value)
    assert sample(document, text, once=once) == value


@settings(deadline=None)
@given(st.lists(st.recursive(leaves, wider, max_leaves=4), min_size=2, max_size=3), st.sampled_from(["allOf", "oneOf"]))
def test_combinations_are_valid_or_refused(parts: list[Any], how: str) -> None:
    document = {"$defs": {"tree": TREE}, how: parts}
    try:
        value = sample(document, "hi you")
    except Unsamplable:
        return
    assert valid(document, value)


names_and_patterns = st.fixed_dictionaries(
    {},
    optional={
        "required": st.lists(st.sampled_from(["a", "b", "x1", "X"]), max_size=3, unique=True),
        "minProperties": st.integers(0, 3),
        "properties": st.dictionaries(st.sampled_from(["a", "b", "X"]), leaves, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^x", "1$", "[A-Z]", "^.{3,}$"]), leaves, max_size=2),
        "additionalProperties": st.booleans(),
        "unevaluatedProperties": st.booleans(),
        "propertyNames": st.sampled_from([True, {"pattern": "^[a-z]"}, {"maxLength": 2}, {"enum": ["a", "X"]}]),
        "dependentRequired": st.dictionaries(
            st.sampled_from(["a", "b"]), st.lists(st.sampled_from("abX"), max_size=2, unique=True)
        ),
    },
).map(lambda schema: {"type": "object", **schema})
strings = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "pattern": st.sampled_from(["^a", "b$", "^[a-z]+$", "\\d{2}", "^(ab|c)*$", "hi", ""]),
        "enum": st.lists(st.sampled_from(["", "ab", "c12", "hi", "abab"]), min_size=1),
        "minLength": st.integers(0, 5),
        "maxLength": st.integers(0, 9),
    },
)


@settings(deadline=None)
@given(
    st.one_of(st.lists(names_and_patterns, min_size=1, max_size=2), st.lists(strings, min_size=1, max_size=3)),
    st.sampled_from(["allOf", "oneOf", "anyOf"]),
)
def test_patterns_and_names_are_valid_or_refused(parts: list[Any], how: str) -> None:
    document = {"$defs": {"tree": TREE}, how: parts}
    try:
        value = sample(document, "hi you")
    except Unsamplable:
        return
    assert valid(document, value)


@pytest.mark.parametrize("least", [0, 7])
@pytest.mark.parametrize(
    "pattern",
    ["", "^.+$", ".*", "foo|bar", "^[a-z]{3}\\d+$", "^\\+?[0-9]{3,}-\\w*$", "(a|b)+c$", "^[^x0]+$", "^(?:[A-Z]{2}\\.)*z$",
     "[]]a", "^[\\w.-]+@[a-z]+\\.com$", "^(?P<year>\\d{4})-?", "a\\$", "^[^\\s\\w]+?", "()*", "a|^b", "^\\S[\\t ]{2,5}\\.", "{x"],
)  # fmt: skip
def test_patterns(pattern: str, least: int) -> None:
    made = shortest_match(pattern, "hi", least)
    if pattern == "{x":
        assert made is None
        return
    assert made is not None
    assert re.search(pattern, made)
    assert len(made) >= least


@given(st.text(alphabet="ab0^$|()[]{}*+?.\\d-,1:<>P="))
def test_a_made_match_always_matches(pattern: str) -> None:
    made = shortest_match(pattern, "hi")
    if made is None:
        return
    try:
        matched = re.search(pattern, made)
    except (re.error, FutureWarning):
        return
    assert matched


@pytest.mark.parametrize("pattern", ["(a+)+$" * 50, "(" * 5000, "a{99999}{99999}", "[" * 5000, "(a{9000}){9000}", "a" * 20_000])
def test_hostile_patterns_cost_nothing(pattern: str) -> None:
    made = shortest_match(pattern, "hi")
    assert made is None or len(made) <= 10_000
