"""JSON schemas as Anthropic takes them."""

from __future__ import annotations

from typing import Any, cast

Object = dict[str, Any]

_UNKNOWN = frozenset(
    """minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength maxItems uniqueItems minProperties
    maxProperties contains minContains maxContains""".split()
)
"""Constraints that structured outputs refuse
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations)."""
_BRANCHES = ("anyOf", "allOf", "oneOf")
_NAMED = ("properties", "$defs", "definitions")


def input_schema(parameters: Object | None) -> Object:
    """A tool's parameters: always an object, and it says so."""
    if not parameters:
        return {"type": "object", "properties": {}}
    return parameters if "type" in parameters else {"type": "object", **parameters}


def answer_schema(schema: Object, lost: list[str]) -> Object:
    """A schema that structured outputs take: closed objects, and constraints they cannot keep told in the description instead.

    `lost` takes the names of those constraints.
    """
    kept = {key: value for key, value in schema.items() if not _is_lost(key, value)}
    dropped = {key: value for key, value in schema.items() if key not in kept}
    if dropped:
        lost.extend(dropped)
        told = ", ".join(f"{key}: {value}" for key, value in dropped.items())
        kept["description"] = f"{kept['description']} ({told})" if kept.get("description") else told
    if kept.get("type") == "object" or "properties" in kept:
        kept.setdefault("additionalProperties", False)
    for key in _NAMED:
        if isinstance(kept.get(key), dict):
            kept[key] = {name: _inner(inner, lost) for name, inner in cast(Object, kept[key]).items()}
    for key in _BRANCHES:
        if isinstance(kept.get(key), list):
            kept[key] = [_inner(inner, lost) for inner in cast("list[Any]", kept[key])]
    if "items" in kept:
        kept["items"] = _inner(kept["items"], lost)
    return kept


def _is_lost(key: str, value: Any) -> bool:
    return key in _UNKNOWN or (key == "minItems" and value not in (0, 1))


def _inner(schema: Any, lost: list[str]) -> Any:
    return answer_schema(cast(Object, schema), lost) if isinstance(schema, dict) else schema
