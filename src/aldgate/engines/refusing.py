"""Requests that ask for what an engine does not do, refused before anything is sent."""

from collections.abc import Collection, Mapping

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation, Input
from aldgate.core.levels import Operation


def check_asked(
    asked: Generation,
    *,
    operations: Collection[Operation],
    fields: Collection[str],
    roles: Collection[str] = (),
    formats: Collection[str] = (),
    options: Mapping[str, type | tuple[type, ...]] | None = None,
) -> None:
    """See that a request has nothing that its engine would have to ignore.

    Args:
        asked: The request.
        operations: What the engine does.
        fields: Fields of `Generation` that it takes, besides `prompt`, `format` and one for `count`.
        roles: Inputs that it takes, one of each.
        formats: What it can make, in lower case.
        options: Its own further options, and what their values are.

    Raises:
        InvalidRequest: It has; `param` says what.
    """
    if asked.operation not in operations:
        raise InvalidRequest(f"This engine does not do `{asked.operation}`.")
    taken = {"operation", "prompt", "format", "options", "inputs", *fields}
    for field in Generation.__struct_fields__:
        value = getattr(asked, field)
        if field not in taken and value not in (None, "") and not (field == "count" and value == 1):
            raise InvalidRequest(f"This engine does not take `{field}`.", param=field)
    if asked.format is not None and asked.format.lower() not in formats:
        raise InvalidRequest(f"This engine makes {', '.join(formats)}, not `{asked.format}`.", param="format")
    for name, value in asked.options.items():
        kinds = (options or {}).get(name)
        if kinds is None or not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise InvalidRequest(f"This engine has no such option as `{name}`, or not with this value.", param=f"options.{name}")
    given = [each.role for each in asked.inputs]
    if len(set(given)) < len(given) or not set(given) <= set(roles):
        raise InvalidRequest(
            f"This engine takes {' and '.join(f'one `{role}`' for role in roles) or 'no input'}.", param="inputs"
        )


def input_of(asked: Generation, role: str) -> Input | None:
    """The input for that, if there is one."""
    return next((each for each in asked.inputs if each.role == role), None)


def check_range(asked: Generation, field: str, least: float, most: float) -> None:
    """See that a number is within bounds, where there is one.

    Raises:
        InvalidRequest: It is not.
    """
    value = getattr(asked, field)
    if value is not None and not least <= value <= most:
        raise InvalidRequest(f"`{field}` must be from {least:g} to {most:g} here.", param=field)
