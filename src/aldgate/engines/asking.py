"""Whether an engine can do what a generation asks: what it cannot is refused before anything is sent."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation, Input
from aldgate.core.levels import Operation

Kinds = Mapping[str, type | tuple[type, ...]]
"""Options by name, and what their values are."""
NO_KINDS: Kinds = MappingProxyType({})
S = TypeVar("S", bound=msgspec.Struct)
_USUAL = Generation(operation="image")
_ALWAYS = {"operation", "model", "options", "hints", "inputs"}


def take_only(asked: Generation, fields: Collection[str], *, roles: Collection[str] = ()) -> None:
    """See that nothing is asked for but by these fields of `Generation`, and by inputs of these roles.

    Raises:
        InvalidRequest: Something else is; it names the field.
    """
    for field in Generation.__struct_fields__:
        if field not in fields and field not in _ALWAYS and getattr(asked, field) != getattr(_USUAL, field):
            raise InvalidRequest(f"This engine takes no `{field}`.", param=field)
    for given in asked.inputs:
        if given.role not in roles:
            raise InvalidRequest(f"This engine takes no `{given.role}` to begin with.", param=given.role)


def check_asked(
    asked: Generation,
    *,
    operations: Collection[Operation],
    fields: Collection[str],
    roles: Collection[str] = (),
    formats: Collection[str] = (),
    options: Kinds = NO_KINDS,
) -> None:
    """See that a request has nothing that its engine would have to ignore.

    Args:
        asked: The request.
        operations: What the engine does.
        fields: Fields of `Generation` that it takes, besides `prompt`, `format` and one for `count`.
        roles: Inputs that it takes, one of each.
        formats: What it can make, in lower case.
        options: As for `check_options`.

    Raises:
        InvalidRequest: It has; `param` says what.
    """
    if asked.operation not in operations:
        raise InvalidRequest(f"This engine does not do `{asked.operation}`.")
    if asked.model and "model" not in fields:
        raise InvalidRequest("This engine takes no `model`.", param="model")
    take_only(asked, ("prompt", "format", *fields), roles=roles)
    one_of(asked.format, "format", formats)
    check_options(asked, options)
    given_roles = [each.role for each in asked.inputs]
    if len(set(given_roles)) < len(given_roles):
        raise InvalidRequest(f"This engine takes {' and '.join(f'one `{role}`' for role in roles)}.", param="inputs")


def check_options(asked: Generation, known: Kinds) -> None:
    """See that every option is known and of its kind.

    Args:
        asked: The request.
        known: The engine's own further options, and what their values are.

    Raises:
        InvalidRequest: One is not.
    """
    for name, value in asked.options.items():
        kinds = known.get(name)
        if kinds is None or not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise InvalidRequest(f"This engine has no such option as `{name}`, or not with this value.", param=f"options.{name}")


def prompt_of(asked: Generation, *, most: int | None = None) -> str:
    """The prompt.

    Raises:
        InvalidRequest: It is empty, or has more characters than `most`.
    """
    if not asked.prompt.strip():
        raise InvalidRequest("There is nothing to work on: the prompt is empty.", param="prompt")
    if most is not None and len(asked.prompt) > most:
        raise InvalidRequest(f"The prompt has {len(asked.prompt)} characters; this engine takes {most}.", param="prompt")
    return asked.prompt


def input_or_none(asked: Generation, role: str) -> Input | None:
    """The first input of this role, if there is one."""
    return next((each for each in asked.inputs if each.role == role), None)


def input_of(asked: Generation, role: str) -> Input:
    """The one input of this role.

    Raises:
        InvalidRequest: There is none, an empty one, or more than one.
    """
    found = [given for given in asked.inputs if given.role == role and given.data]
    if len(found) != 1:
        raise InvalidRequest(f"This engine takes one `{role}` to begin with; there are {len(found)}.", param=role)
    return found[0]


def options_of(asked: Generation, kind: type[S]) -> S:
    """The engine's own options, checked.

    Raises:
        InvalidRequest: One is unknown, or not of its kind.
    """
    try:
        return msgspec.convert(dict(asked.options), kind)
    except msgspec.ValidationError as error:
        known = ", ".join(f"`{field}`" for field in kind.__struct_encode_fields__)
        raise InvalidRequest(f"Options of this engine: {error}. It has {known}.", param="options") from None


def number(value: float | None, param: str, least: float, most: float) -> float | None:
    """The value of a field.

    Raises:
        InvalidRequest: It is not from `least` to `most`.
    """
    if value is not None and not least <= value <= most:
        raise InvalidRequest(f"`{param}` must be from {least:g} to {most:g} here.", param=param)
    return value


def one_of(value: str | None, param: str, known: Iterable[str]) -> str | None:
    """The value of a field, in lower case.

    Raises:
        InvalidRequest: It is none of those known.
    """
    names = sorted(known)
    if value is not None and value.lower() not in names:
        raise InvalidRequest(f"`{param}` is one of {', '.join(names)} here.", param=param)
    return None if value is None else value.lower()


def given(**fields: Any) -> dict[str, Any]:
    """Those fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def set_fields(options: msgspec.Struct) -> Mapping[str, Any]:
    """Those of an engine's own options that were given, by the engine's names."""
    return {name: value for name, value in msgspec.to_builtins(options).items() if value is not None}
