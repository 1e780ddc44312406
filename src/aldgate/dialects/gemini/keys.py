"""Gemini's JSON is proto3's: every field may be written `likeThis` or `like_this`, at every depth.

https://protobuf.dev/programming-guides/json/. Google's own clients mix both in one body.
"""

from __future__ import annotations

import re
from typing import Any, cast

from aldgate.core.errors import InvalidRequest

Object = dict[str, Any]

_FREE_FORM = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels", "metadata"}
)
"""What stands beneath these belongs to the caller: arguments, results, schemas, labels."""
_HUMP = re.compile(r"_([a-z0-9])")
"""One underscore each: `candidate__count` is no spelling of `candidateCount`, for nothing that is governed has a third one."""


def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`."""
    return _HUMP.sub(lambda found: found[1].upper(), name) if "_" in name else name


def normalised(value: Any) -> Any:
    """The same JSON with every field name in camel case, nulls left out as proto3 reads them.

    Raises:
        InvalidRequest: A field stands in both spellings.
    """
    if isinstance(value, list):
        return [normalised(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found: Object = {}
    for key, inner in cast(Object, value).items():
        name = camel(key)
        if name in found:
            raise InvalidRequest(f"The key `{name}` stands there twice, as `{key}` too.", param=name)
        if inner is not None:
            found[name] = inner if name in _FREE_FORM else normalised(inner)
    return found
