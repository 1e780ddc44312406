"""Reads a request's body for the first time: whatever is wrong with it becomes the caller's error, and says where."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.governed import MANY_BYTES, check_countable, is_plain, rewritten

T = TypeVar("T")

_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F]).*[}\]]\s*$", re.DOTALL)


def read_body(
    body: bytes,
    governed: tuple[bytes, ...],
    read: Callable[[bytes], T],
    rewrite: Callable[[bytes, tuple[bytes, ...]], bytes] = rewritten,
) -> T:
    """What `read` makes of the body, which is written anew first if parsers could dispute a governed key.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, too much or nested too deep, a field of a wrong type or value, an ambiguous key.
    """
    try:
        if not body.isascii():
            body.decode()
        if len(body) > MANY_BYTES:
            check_countable(body)
        if governed and not is_plain(body, governed):
            body = rewrite(body, governed)
        return read(body)
    except msgspec.ValidationError as error:
        raise invalid_field(error) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {_reason(error, body)}.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deep.") from None


def invalid_field(error: msgspec.ValidationError) -> InvalidRequest:
    """A field that is missing or wrong, as the caller knows it."""
    # msgspec says "Expected `int`, got `str` - at `$.n`" and "Object missing required field `model`".
    text, _, path = str(error).partition(" - at `$")
    param = path.rstrip("`").lstrip(".") or None
    if param is None and "missing required field `" in text:
        param = text.rsplit("`", 2)[1]
    return InvalidRequest(f"{text}{f' (`{param}`)' if path and param else ''}.", param=param)


def _reason(error: Exception, body: bytes) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    reason = str(error).removeprefix("JSON is malformed: ")
    if "surrogate" in reason:
        _, bracket, place = reason.partition(" (")
        return f"an escape like `\\ud800` is half a character, and its other half is missing{bracket}{place}"
    # msgspec looks for the other half before it looks at the string's end.
    if "truncated" in reason and _LONE_SURROGATE.search(body[-64:]):
        return "an escape like `\\ud800` is half a character, and its other half is missing (near the end)"
    return reason
