"""Which rows of the ledger a request asks about: the parameters that all reports share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from starlette.datastructures import QueryParams

from aldgate.core.dimensions import DIMENSIONS
from aldgate.core.errors import InvalidRequest, ScopeDenied
from aldgate.core.principals import Principal
from aldgate.core.spans import TIMES, parse_moment, parse_month

SPAN = ("since", "until")
MOST_VALUES = 100

Where = tuple[tuple[str, tuple[str, ...]], ...]


class Asked(msgspec.Struct, frozen=True):
    """Rows of a time, by what stands in them; see `ports.Store.usage`."""

    since: float | None
    until: float | None
    where: Where


def asked(query: QueryParams, now: float, others: Collection[str] = ()) -> Asked:
    """Read `since`, `until` and a parameter for each dimension; each may stand several times, and one of its values must hold.

    Args:
        query: The request's parameters.
        now: Unix seconds.
        others: Further parameters that the path has.

    Raises:
        InvalidRequest: A parameter is not readable, or there is none of its name.
    """
    unknown = next((name for name in query if name not in (*DIMENSIONS, *SPAN, *others)), None)
    if unknown is not None:
        raise InvalidRequest(f"There is no parameter `{unknown[:100]}` here.", param=unknown[:100])
    where: list[tuple[str, tuple[str, ...]]] = []
    for name in DIMENSIONS:
        values = tuple(value for value in query.getlist(name) if value)
        if values:
            where.append((name, _checked(name, values)))
    return Asked(moment(query, "since", now), moment(query, "until", now), tuple(where))


def seen_by(principal: Principal) -> Where:
    """The rows that somebody may see: a key its own, a user those of all keys it owns, a client its own, an admin all.

    Raises:
        ScopeDenied: None at all.
    """
    if "usage" not in principal.rights.scopes:
        raise ScopeDenied("This API key may not read usage.")
    if "admin" in principal.rights.scopes:
        return ()
    level = {"user": "user_id", "client": "client_id"}.get(principal.kind, "key_id")
    return ((level, (principal.account,)),)


def moment(query: QueryParams, name: str, now: float) -> float | None:
    """A moment that a parameter says; None if it is not there.

    Raises:
        InvalidRequest: It is none.
    """
    text = query.get(name)
    if not text:
        return None
    try:
        return parse_moment(text, now)
    except (ValueError, OverflowError):
        message = f"`{name}` is a date like 2026-11-21, a time in ISO 8601, Unix seconds, or so long ago, like 7d."
        raise InvalidRequest(message, param=name) from None


def month(query: QueryParams) -> str:
    """The month that a report is asked for.

    Raises:
        InvalidRequest: It is none, or missing.
    """
    text = query.get("month", "")
    try:
        parse_month(text)
    except ValueError:
        raise InvalidRequest("`month` is a month like 2026-11.", param="month") from None
    return text


def whole(query: QueryParams, name: str, otherwise: int, most: int, least: int = 1) -> int:
    """A whole number that a parameter says.

    Raises:
        InvalidRequest: It is none, or out of bounds.
    """
    text = query.get(name) or str(otherwise)
    if not (text.isascii() and text.isdigit() and len(text) < 16 and least <= int(text) <= most):
        raise InvalidRequest(f"`{name}` is a whole number from {least} to {most}.", param=name)
    return int(text)


def _checked(name: str, values: Sequence[str]) -> tuple[str, ...]:
    if len(values) > MOST_VALUES:
        raise InvalidRequest(f"`{name}` stands here more than {MOST_VALUES} times.", param=name)
    for value in values:
        try:
            if name in TIMES:
                TIMES[name](value)
            elif name == "status" and not (len(value) == 3 and value.isascii() and value.isdigit()):
                raise ValueError("write a status like 429")
            elif any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in value):  # some databases keep none
                raise ValueError("it has control characters")
        except (ValueError, OverflowError) as error:
            raise InvalidRequest(f"`{name}`: {error}.", param=name) from None
    return tuple(values)
