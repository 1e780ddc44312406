"""JSON Schema and the subset of OpenAPI's schemas that `parameters` and `responseSchema` take, each from the other.

https://ai.google.dev/api/caching#Schema. Newer models take JSON Schema as it is; these are for older ones, and for callers.
"""

from __future__ import annotations

from typing import Any, cast

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.gemini.keys import camel
from aldgate.dialects.schema_shape import check_schema

Object = dict[str, Any]

_KEPT = frozenset(
    """type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength
    maxLength pattern anyOf propertyOrdering items minimum maximum""".split()
)
_FORMATS = {
    "string": {"enum", "date-time"},
    "number": {"float", "double"},
    "integer": {"int32", "int64"},
}
_DEEPEST = 32


def subset_of(schema: Object) -> Object:
    """`schema` in what OpenAPI's subset can say: looser where it must be, never stricter.

    Raises:
        InvalidRequest: It refers to itself, or to what is not there.
    """
    check_schema(schema, "tools")
    return _Subset(schema).of(schema, 0)


class _Subset:
    def __init__(self, root: Object) -> None:
        self._root = root

    def of(self, schema: Any, depth: int) -> Object:
        if depth > _DEEPEST:
            raise InvalidRequest("This model takes no schema that refers to itself or is nested so deep.", param="tools")
        if not isinstance(schema, dict):
            return {}  # `true`: anything
        given = self._resolved(cast(Object, schema), depth)
        said: Object = {name: given[name] for name in given if name in _KEPT}
        _say_type(said)
        if "const" in given:
            said["enum"] = [given["const"]]
        if "oneOf" in given:
            said["anyOf"] = given["oneOf"]
        _say_enum(said)
        if said.get("format") not in _FORMATS.get(str(said.get("type")).lower(), ()):
            said.pop("format", None)
        return self._deeper(said, depth + 1)

    def _deeper(self, said: Object, depth: int) -> Object:
        properties = said.get("properties")
        if isinstance(properties, dict):
            said["properties"] = {name: self.of(inner, depth) for name, inner in cast(Object, properties).items()}
            said["required"] = [name for name in said.get("required") or () if name in said["properties"]]
            if not said["required"]:
                del said["required"]
        if "items" in said:
            said["items"] = self.of(said["items"], depth)
        if "anyOf" in said:
            choices = [self.of(inner, depth) for inner in said["anyOf"] or ()]
            said["anyOf"] = [choice for choice in choices if choice.get("type") != "null"]
            if len(said["anyOf"]) < len(choices):
                said["nullable"] = True
            if len(said["anyOf"]) == 1:
                return said.pop("anyOf")[0] | said
        return said

    def _resolved(self, schema: Object, depth: int) -> Object:
        """With what `$ref` points at and every branch of `allOf` in one object."""
        if depth > _DEEPEST:
            raise InvalidRequest("This model takes no schema that refers to itself.", param="tools")
        if isinstance(schema.get("$ref"), str):
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            return self._resolved(self._at(schema["$ref"]), depth + 1) | rest
        if "allOf" not in schema:
            return schema
        merged: Object = {name: value for name, value in schema.items() if name != "allOf"}
        for branch in schema["allOf"]:
            for name, value in self._resolved(cast(Object, branch), depth + 1).items():
                merged[name] = _joined(name, merged.get(name), value)
        return merged

    def _at(self, reference: str) -> Object:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if name:
                found = cast(Object, found).get(name) if isinstance(found, dict) else None
        if not isinstance(found, dict) or not reference.startswith("#"):
            raise InvalidRequest(f"A schema refers to `{reference[:100]}`, which is not in it.", param="tools")
        return cast(Object, found)


def _joined(name: str, one: Any, other: Any) -> Any:
    if name == "properties" and isinstance(one, dict):
        return {**cast(Object, one), **other}
    if name == "required" and isinstance(one, list):
        return list(dict.fromkeys([*cast("list[Any]", one), *other]))
    return other if one is None else one


def _say_type(said: Object) -> None:
    kinds = said.get("type")
    if not isinstance(kinds, list):
        return
    named = [kind for kind in cast("list[str]", kinds) if kind != "null"]
    if len(named) < len(cast("list[str]", kinds)):
        said["nullable"] = True
    del said["type"]
    if len(named) == 1:
        said["type"] = named[0]
    elif named:
        said.setdefault("anyOf", [{"type": kind} for kind in named])


def _say_enum(said: Object) -> None:
    """Only strings can be enumerated; other constants are left to the description."""
    values = said.get("enum")
    if not isinstance(values, list):
        return
    listed = cast("list[Any]", values)
    if None in listed:
        said["nullable"] = True
    strings = [value for value in listed if isinstance(value, str) and value]
    if strings and said.get("type", "string") == "string":
        said["type"], said["enum"] = "string", strings
        return
    del said["enum"]
    described = f"One of {', '.join(map(str, listed))}."
    said["description"] = f"{said['description']} {described}" if "description" in said else described


def json_schema_of(schema: Object) -> Object:
    """An OpenAPI schema, in either spelling of its keywords, as JSON Schema.

    Raises:
        InvalidRequest: It is none.
    """
    check_schema(schema, "tools")
    return _json_schema(schema)


def _json_schema(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema  # `true`: anything
    return _json_schema_of(cast(Object, schema))


def _json_schema_of(schema: Object) -> Object:
    said: Object = {}
    for key, value in schema.items():
        name = camel(key)
        match name:
            case "properties" | "anyOf" | "maxItems" | "minItems" | "minLength" | "maxLength" if value is None:
                pass
            case "type" if isinstance(value, str):
                if value != "TYPE_UNSPECIFIED":
                    said["type"] = value.lower()
            case "properties":
                said["properties"] = {each: _json_schema(inner) for each, inner in value.items()}
            case "items" | "additionalProperties" if isinstance(value, dict):
                said[name] = _json_schema(value)
            case "anyOf":
                said["anyOf"] = [_json_schema(inner) for inner in value]
            case "maxItems" | "minItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties":
                said[name] = _integer(name, value)
            case "nullable" | "propertyOrdering" | "example":
                pass
            case _:
                said[name] = value
    if schema.get("nullable") is True:
        _allow_null(said)
    return said


def _integer(name: str, value: Any) -> int:
    """A bound: proto3 writes 64-bit numbers as strings."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest(f"A schema's `{name}` is a whole number.", param="tools") from None


def _allow_null(said: Object) -> None:
    if "type" in said:
        said["type"] = [said["type"], "null"]
    elif "anyOf" in said:
        said["anyOf"] = [*said["anyOf"], {"type": "null"}]
    if "enum" in said:
        said["enum"] = [*said["enum"], None]
