"""The shape of a JSON Schema document: every keyword the sampler reads has the type it should have."""

from typing import Annotated, Any, Literal, Union
from urllib.parse import unquote

import msgspec
from msgspec import Meta, Struct, field

from aldgate.engines.builtin.schema_check import is_list

SimpleType = Literal["null", "boolean", "string", "integer", "number", "array", "object"]
Size = Annotated[int, Meta(ge=0)]
Part = Union["Keywords", bool]
Names = list[str]


class Unsamplable(Exception):
    """No instance of the schema can be made; says why, without quoting values."""


class Keywords(Struct, rename="camel"):
    """The keywords and their types; others are let through."""

    ref: str | None = field(default=None, name="$ref")
    defs: dict[str, Part] = field(default_factory=dict[str, Part], name="$defs")
    definitions: dict[str, Part] = {}
    type: SimpleType | list[SimpleType] | None = None
    enum: list[Any] | None = None
    all_of: list[Part] = []
    any_of: list[Part] = []
    one_of: list[Part] = []
    not_: Part = field(default=True, name="not")
    if_: Part = field(default=True, name="if")
    then: Part = True
    else_: Part = field(default=True, name="else")
    properties: dict[str, Part] = {}
    required: Names = []
    additional_properties: Part = True
    pattern_properties: dict[str, Part] = {}
    unevaluated_properties: Part = True
    unevaluated_items: Part = True
    property_names: Part = True
    dependent_required: dict[str, Names] = {}
    dependent_schemas: dict[str, Part] = {}
    min_properties: Size = 0
    max_properties: Size = 0
    items: Part = True
    prefix_items: list[Part] = []
    contains: Part = True
    min_contains: Size = 0
    max_contains: Size = 0
    min_items: Size = 0
    max_items: Size = 0
    unique_items: bool = False
    min_length: Size = 0
    max_length: Size = 0
    pattern: str = ""
    format: str = ""
    minimum: float = 0
    maximum: float = 0
    exclusive_minimum: float = 0
    exclusive_maximum: float = 0
    multiple_of: Annotated[float, Meta(gt=0)] = 1


class _Document(Struct):
    schema: Part


def check_shape(schema: Any) -> None:
    """Refuse what is not a schema.

    Raises:
        Unsamplable: Names the place.
    """
    try:
        msgspec.convert({"schema": schema}, _Document)
    except msgspec.ValidationError as error:
        place = str(error).partition("`$.schema")[2].rstrip("`")
        raise Unsamplable(f"`{place.lstrip('.') or '$'}` is not what a schema has there") from None


def resolve_pointer(document: Any, reference: str) -> Any:
    """What a local `$ref` (`#`, `#/$defs/name`) points to in `document`.

    Raises:
        Unsamplable: It points outside the document, or to nothing.
    """
    if reference != "#" and not reference.startswith("#/"):
        raise Unsamplable("a `$ref` does not lead into the schema itself")
    target: Any = document
    for step in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            target = target[int(name) if is_list(target) else name]
        except (LookupError, TypeError, ValueError):
            raise Unsamplable("a `$ref` points to nothing") from None
    check_shape(target)
    return target
