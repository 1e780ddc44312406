"""What may be asked of a builtin model: each number within its bounds, and no option that nobody knows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from hashlib import sha256
from random import Random

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation, Input

MOST_SEED = 2**63 - 1
MOST_COUNT = 10
MOST_STEPS = 150
MOST_PACE_MS = 60_000


def whole(value: int | None, name: str, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`; None is the default.

    Raises:
        InvalidRequest: It is out of bounds.
    """
    if value is None:
        return default
    if not least <= value <= most:
        raise InvalidRequest(f"`{name}` is {least} to {most} with the builtin models.", param=name)
    return value


def number(value: float | None, name: str, default: float, least: float, most: float) -> float:
    """A number from `least` to `most`; None is the default.

    Raises:
        InvalidRequest: It is out of bounds, or not a number.
    """
    if value is None:
        return default
    if not math.isfinite(value) or not least <= value <= most:
        raise InvalidRequest(f"`{name}` is {least:g} to {most:g} with the builtin models.", param=name)
    return value


def one_of(value: str | None, name: str, known: Collection[str]) -> str:
    """One of the words that are known, in lower case; None is the first of them.

    Raises:
        InvalidRequest: It is none of them.
    """
    if not value:
        return next(iter(known))
    if value.lower() not in known:
        raise InvalidRequest(f"`{name}` is one of {', '.join(known)} with this builtin model.", param=name)
    return value.lower()


def check_options(asked: Generation, *known: str) -> None:
    """Refuse options that nobody knows; every model knows `pace_ms`.

    Raises:
        InvalidRequest: There is one.
    """
    for name in asked.options:
        if name not in known and name != "pace_ms":
            raise InvalidRequest(f"The builtin model has no option `{name[:100]}`.", param=name[:100])


def whole_option(options: Mapping[str, object], name: str, default: int, least: int, most: int) -> int:
    """An option that is a whole number.

    Raises:
        InvalidRequest: It is something else, or out of bounds.
    """
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"`{name}` is a whole number.", param=name)
    return whole(value, name, default, least, most)


def inputs_of(asked: Generation, *roles: str) -> dict[str, Input]:
    """The inputs by role.

    Raises:
        InvalidRequest: One is of no use to this model, or there are two of a kind.
    """
    found: dict[str, Input] = {}
    for given in asked.inputs:
        if given.role not in roles or given.role in found:
            said = "takes one" if given.role in roles else "takes no"
            raise InvalidRequest(f"This builtin model {said} `{given.role}`.", param=given.role)
        found[given.role] = given
    return found


def seed_of(asked: Generation) -> int:
    """The seed; where none was given it is a digest of the prompt, so that the same request makes the same.

    Raises:
        InvalidRequest: It is below 0 or does not fit 63 bits.
    """
    whole(asked.seed, "seed", 0, 0, MOST_SEED)
    return _digest(asked.operation, asked.prompt) % 2**32 if asked.seed is None else asked.seed


def chance(*parts: object) -> Random:
    """A source of numbers that gives the same ones wherever the parts are the same."""
    return Random(_digest(*parts))


def _digest(*parts: object) -> int:
    return int.from_bytes(sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest())
