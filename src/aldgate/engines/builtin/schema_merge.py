"""What two schemas say together, keyword by keyword; only of flat ones, without `$ref`, `allOf`, `anyOf` and `oneOf`."""

from collections.abc import Callable
from typing import Any

from aldgate.engines.builtin.schema_check import same

Flat = dict[str, Any]


def merge(one: Flat, other: Flat) -> Flat:
    """A schema that accepts what both accept. Of keywords not known here `other`'s stays: whoever samples checks again."""
    merged = one | other
    for keyword in one.keys() & other.keys():
        if keyword in _RULES:
            merged[keyword] = _RULES[keyword](one[keyword], other[keyword])
    return merged


def _both(one: Any, other: Any) -> Any:
    return {"allOf": [one, other]}


def _either(one: Any, other: Any) -> Any:
    return {"anyOf": [one, other]}


def _properties(one: Flat, other: Flat) -> Flat:
    return one | other | {name: _both(one[name], other[name]) for name in one if name in other}


def _names(one: list[str], other: list[str]) -> list[str]:
    return list(dict.fromkeys(one + other))


def _patterns(one: str | list[str], other: str | list[str]) -> list[str]:
    """Every one of them must match. A list only here: a schema has one, and whoever samples knows."""
    first, second = ([patterns] if isinstance(patterns, str) else patterns for patterns in (one, other))
    return _names(first, second)


def _dependents(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, list[str]]:
    return one | other | {name: _names(one[name], other[name]) for name in one if name in other}


def _values(one: list[Any], other: list[Any]) -> list[Any]:
    return [value for value in one if any(same(value, item) for item in other)]


def _types(one: Any, other: Any) -> list[str]:
    first, second = ([types] if isinstance(types, str) else types for types in (one, other))
    wider = {"number"} & set(first), {"number"} & set(second)
    shared = [name for name in first if name in second or (name == "integer" and wider[1])]
    return shared + [name for name in second if name == "integer" and wider[0] and name not in shared]


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "properties": _properties,
    "required": _names,
    "pattern": _patterns,
    "patternProperties": _properties,
    "dependentRequired": _dependents,
    "dependentSchemas": _properties,
    "enum": _values,
    "type": _types,
    "items": _both,
    "additionalProperties": _both,
    "contains": _both,
    "propertyNames": _both,
    "not": _either,
    **dict.fromkeys(["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"], max),
    **dict.fromkeys(["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"], min),
}
