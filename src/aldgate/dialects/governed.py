r"""What was authorised is what is sent.

A JSON parser may keep the first or the last of two equal keys, may read `"mod\u0065l"` as `model`, and Go's even matches keys
without regard to case. So bytes pass through only while no parser could read another value for a governed key than we did;
anything else is decoded, refused if it is ambiguous, and written anew.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest

MANY_BYTES = 1_048_576
MOST_VALUES = 200_000
"""Objects and lists in a body of over a megabyte; reading more of them would hold up everybody else."""
MOST_MEMBERS = 500_000
"""Their members, counted by commas. What no model could read has as many: a text has one in sixty bytes, a table one in six."""
_ESCAPED = re.compile(rb"\\u(?:00[2-7]|017[fF]|212[aA])")
_FOLDS_TO_ASCII = (b"\xc5\xbf", b"\xe2\x84\xaa")
"""UTF-8 of the long s and the Kelvin sign: the only characters beyond ASCII that fold to ASCII letters."""
_MODEL = re.compile(rb'"model"\s*:\s*"[^"\\]*"')

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


@cache
def _finder(governed: tuple[bytes, ...]) -> tuple[Callable[[bytes], list[bytes]], frozenset[bytes]]:
    """Finds governed keys in any case. Classes like `[mM]` instead of a flag: that keeps the quote a prefix to search by."""
    spellings = (re.sub(rb"[a-z]", lambda letter: b"[%b%b]" % (letter[0], letter[0].upper()), key) for key in governed)
    return re.compile(b"|".join(spellings)).findall, frozenset(governed)


def check_countable(body: bytes) -> None:
    """Refuse a body that takes too long to read, before it is read.

    Raises:
        InvalidRequest: It holds more than `MOST_VALUES` objects and lists, or more than `MOST_MEMBERS` members of such.
    """
    if body.count(b"{") + body.count(b"[") > MOST_VALUES:
        raise InvalidRequest(f"The body holds more than {MOST_VALUES} objects and lists.")
    if body.count(b",") > MOST_MEMBERS:
        raise InvalidRequest(f"The body holds more than {MOST_MEMBERS} values, by its commas.")


def is_plain(body: bytes, governed: tuple[bytes, ...]) -> bool:
    """True if every governed key (quoted, as in `b'"model"'`) stands at most once, in no spelling that parsers dispute."""
    if b"\\" in body and b"\\u" in body and _ESCAPED.search(body):
        return False
    if not body.isascii() and any(letter in body for letter in _FOLDS_TO_ASCII):
        return False
    find, exact = _finder(governed)
    found = find(body)
    return exact.issuperset(found) and len(found) == len(set(found))


def rewritten(body: bytes, governed: tuple[bytes, ...]) -> bytes:
    """Write `body` anew with each key once and unescaped. Values are kept to the byte.

    Raises:
        InvalidRequest: A governed key stands twice, or in a spelling that some parser takes for another.
    """
    names = {key[1:-1].decode() for key in governed}
    seen: set[str] = set()
    for key in _top_level_keys(body):
        folded = key.casefold()
        if folded not in names:
            continue
        if key != folded:
            raise InvalidRequest(f"The key `{key}` is not spelled `{folded}`.", param=folded)
        if key in seen:
            raise InvalidRequest(f"The key `{key}` stands twice; which one should count?", param=key)
        seen.add(key)
    return _encode(_members.decode(body))


def _top_level_keys(body: bytes) -> list[str]:
    # Only the outermost keys count: `tuple` keeps each object's pairs without a call to Python, and `str` has no limits.
    pairs = json.loads(body, object_pairs_hook=tuple, parse_int=str, parse_float=str)
    return [key for key, _ in pairs]


def with_model(body: bytes, model: str) -> bytes:
    """Replace the value of the top-level `model`. A `model` further in, in metadata or in a tool's schema, stays as it is."""
    found = _MODEL.search(body)
    if found is None or body.count(b'"model"') > 1:
        return with_members(body, {"model": model})
    return b"".join((body[: found.start()], b'"model":', _encode(model), body[found.end() :]))


def with_member_first(body: bytes, member: bytes) -> bytes:
    """Put `member` (as in `b'"n":1'`) in front of the others. The body must be an object with at least one member."""
    start = body.index(b"{") + 1
    return b"".join((body[:start], member, b",", body[start:]))


def with_members(body: bytes, changes: Mapping[str, Any]) -> bytes:
    """Set top-level members, keeping all others to the byte."""
    members: dict[str, Any] = _members.decode(body)
    members.update(changes)
    return _encode(members)


def without_member(body: bytes, name: str) -> bytes:
    """Leave out a top-level member, keeping all others to the byte."""
    members: dict[str, Any] = _members.decode(body)
    members.pop(name, None)
    return _encode(members)
