"""The shape of a JSON Schema, as far as dialects look into it: what a caller sends for one may be anything."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest


class _Schema(msgspec.Struct):
    type: str | list[str] | None = None
    description: str | None = None
    properties: dict[str, _Schema | bool] | None = None
    required: list[str] | None = None
    items: Any = None
    anyOf: list[_Schema | bool] | None = None
    any_of: list[_Schema | bool] | None = None
    oneOf: list[_Schema | bool] | None = None
    allOf: list[_Schema] | None = None
    enum: list[Any] | None = None
    ref: str | None = msgspec.field(default=None, name="$ref")


def check_schema(schema: object, where: str) -> None:
    """See that the keywords which shape a schema have the types that the specification gives them.

    Raises:
        InvalidRequest: One has another.
    """
    try:
        msgspec.convert(schema, _Schema)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"This is no JSON Schema: {error}.", param=where) from None
