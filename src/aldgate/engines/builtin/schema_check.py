"""Whether a JSON value satisfies a JSON Schema, as far as a sample needs to know.

`format` is taken to hold: a sample is made to fit it. Semantics: https://json-schema.org/draft/2020-12/json-schema-validation
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeGuard

from aldgate.engines.builtin.pattern_match import matches
from aldgate.engines.builtin.pattern_shape import NotSimple

Schema = dict[str, Any] | bool
Resolve = Callable[[str], Schema]
"""The schema a `$ref` points to."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "null": type(None),
    "boolean": bool,
    "string": str,
    "array": list,
    "object": dict,
    "number": (int, float),
}


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether `value` is a JSON array."""
    return isinstance(value, list)


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether `value` is a JSON object."""
    return isinstance(value, dict)


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if is_list(one) and is_list(other):
        return len(one) == len(other) and all(map(same, one, other))
    if is_object(one) and is_object(other):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return one == other


def is_type(value: Any, name: str) -> bool:
    """Whether `value` is of the JSON type `name`."""
    if name == "integer":
        return is_type(value, "number") and value == int(value)
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


class Check:
    """Checks values against one document's schemas.

    Args:
        resolve: Follows references.
        step: Told how much work comes next; ends the check by raising.
    """

    def __init__(self, resolve: Resolve, step: Callable[[int], None]) -> None:
        self._resolve = resolve
        self._step = step

    def accepts(self, schema: Schema, value: Any) -> bool:
        """Whether `value` satisfies `schema`.

        Raises:
            NotSimple: It depends on a `pattern` that is not understood.
        """
        if isinstance(schema, bool):
            return schema
        self._step(1 + len(schema.get("enum", ())))
        if not (self._any_value(schema, value) and self._applied(schema, value) and self._is_evaluated(schema, value)):
            return False
        if is_list(value):
            return self._array(schema, value)
        if is_object(value):
            return self._object(schema, value)
        if isinstance(value, str):
            fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
            return fits and ("pattern" not in schema or matches(schema["pattern"], value, self._step))
        return not is_type(value, "number") or _number(schema, value)

    def _any_value(self, schema: dict[str, Any], value: Any) -> bool:
        types = schema.get("type", [])
        return (
            (not types or any(is_type(value, name) for name in ([types] if isinstance(types, str) else types)))
            and ("const" not in schema or same(value, schema["const"]))
            and ("enum" not in schema or any(same(value, item) for item in schema["enum"]))
        )

    def _applied(self, schema: dict[str, Any], value: Any) -> bool:
        if "$ref" in schema and not self.accepts(self._resolve(schema["$ref"]), value):
            return False
        if "if" in schema:
            branch = "then" if self.accepts(schema["if"], value) else "else"
            if not self.accepts(schema.get(branch, True), value):
                return False
        return (
            all(self.accepts(part, value) for part in schema.get("allOf", ()))
            and ("anyOf" not in schema or self._any(schema["anyOf"], value))
            and ("oneOf" not in schema or sum(self.accepts(part, value) for part in schema["oneOf"]) == 1)
            and ("not" not in schema or not self.accepts(schema["not"], value))
        )

    def _any(self, parts: list[Schema], value: Any) -> bool:
        """Whether one of `parts` accepts it; what another one's pattern says does not matter then."""
        unclear: NotSimple | None = None
        for part in parts:
            try:
                if self.accepts(part, value):
                    return True
            except NotSimple as error:
                unclear = error
        if unclear is not None:
            raise unclear
        return False

    def _array(self, schema: dict[str, Any], value: list[Any]) -> bool:
        first = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return False
        if schema.get("uniqueItems") and any(same(item, other) for at, item in enumerate(value) for other in value[:at]):
            return False
        if not all(map(self.accepts, first, value)) or not all(self.accepts(rest, item) for item in value[len(first) :]):
            return False
        if "contains" not in schema:
            return True
        found = sum(self.accepts(schema["contains"], item) for item in value)
        return schema.get("minContains", 1) <= found <= schema.get("maxContains", found)

    def _object(self, schema: dict[str, Any], value: dict[str, Any]) -> bool:
        if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
            return False
        needed = schema.get("dependentRequired", {})
        return (
            all(name in value for name in schema.get("required", ()))
            and all(other in value for name in value for other in needed.get(name, ()))
            and all(self.accepts(part, item) for name, item in value.items() for part in self.members(schema, name))
            and all(self.accepts(schema.get("propertyNames", True), name) for name in value)
            and all(self.accepts(part, value) for name, part in schema.get("dependentSchemas", {}).items() if name in value)
        )

    def members(self, schema: dict[str, Any], name: str) -> list[Schema]:
        """What a schema says of the member `name` of an object."""
        found: list[Schema] = [schema["properties"][name]] if name in schema.get("properties", ()) else []
        patterns = schema.get("patternProperties", {})
        found += [part for pattern, part in patterns.items() if matches(pattern, name, self._step)]
        return found or [schema.get("additionalProperties", True)]

    def _is_evaluated(self, schema: dict[str, Any], value: Any) -> bool:
        """Whether nothing is left that `unevaluatedProperties` or `unevaluatedItems` forbid; what is unclear is forbidden."""
        if is_object(value) and "unevaluatedProperties" in schema:
            rest = schema["unevaluatedProperties"]
            return all(self.accepts(rest, item) for name, item in value.items() if not self._looks_at(schema, value, name))
        if is_list(value) and "unevaluatedItems" in schema and "items" not in schema:
            return all(self.accepts(schema["unevaluatedItems"], item) for item in value[len(schema.get("prefixItems", ())) :])
        return True

    def _looks_at(self, schema: Schema, value: dict[str, Any], name: str) -> bool:
        """Whether `schema`, or what it applies to the same object, has something to say of the member `name`."""
        if isinstance(schema, bool):
            return False
        if "additionalProperties" in schema or name in schema.get("properties", ()):
            return True
        if any(matches(pattern, name, self._step) for pattern in schema.get("patternProperties", ())):
            return True
        parts: list[Schema] = list(schema.get("allOf", ()))
        parts += [part for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())) if self.accepts(part, value)]
        if "$ref" in schema:
            parts.append(self._resolve(schema["$ref"]))
        self._step(1)
        return any(self._looks_at(part, value, name) for part in parts)


def _number(schema: dict[str, Any], value: float) -> bool:
    exact = Fraction(str(value))
    return (
        ("minimum" not in schema or value >= schema["minimum"])
        and ("maximum" not in schema or value <= schema["maximum"])
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and ("multipleOf" not in schema or exact % Fraction(str(schema["multipleOf"])) == 0)
    )
