r"""Reads of a Gemini request what the gate decides on, and prepares the bytes that go on to a provider of the same dialect.

The path names model and verb. Governed are the bounds on output in `generationConfig`, which proto3 lets callers spell in two
ways: bytes pass through only while each stands there once, without escapes (see `dialects/governed.py`).

Wire: https://ai.google.dev/api/generate-content and /embeddings.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.errors import InvalidRequest
from aldgate.core.principals import Operation
from aldgate.dialects.gemini.keys import camel
from aldgate.dialects.gemini.signatures import without_foreign
from aldgate.dialects.reading import read_body

Object = dict[str, Any]
Number = int | float | str | None
"""proto3 takes `100`, `100.0` and `"100"`."""

_GOVERNED = re.compile(
    rb'"(?:(?i:generation_?config)|(?i:max_?output_?tokens)|(?i:candidate_?count)|(?i:model)(?="\s*:))"',
)
_SPELLINGS = {
    b'"generationConfig"': "generationConfig",
    b'"generation_config"': "generationConfig",
    b'"maxOutputTokens"': "maxOutputTokens",
    b'"max_output_tokens"': "maxOutputTokens",
    b'"candidateCount"': "candidateCount",
    b'"candidate_count"': "candidateCount",
}
_NAMES = frozenset({"generationConfig", "maxOutputTokens", "candidateCount", "model"})
_FOLDED = {name.casefold() for name in _NAMES}
_ESCAPED = re.compile(rb"\\u(?:00[2-7]|017[fF]|212[aA])")
_MOST_CHOICES = 128


class _Config(msgspec.Struct):
    max_camel: Number = msgspec.field(default=None, name="maxOutputTokens")
    max_snake: Number = msgspec.field(default=None, name="max_output_tokens")
    count_camel: Number = msgspec.field(default=None, name="candidateCount")
    count_snake: Number = msgspec.field(default=None, name="candidate_count")


class _ChatPeek(msgspec.Struct):
    contents: list[Any]
    camel: _Config | None = msgspec.field(default=None, name="generationConfig")
    snake: _Config | None = msgspec.field(default=None, name="generation_config")


class _EmbedPeek(msgspec.Struct):
    content: Any = None
    requests: list[Any] | None = None


_chat = msgspec.json.Decoder(_ChatPeek)
_embed = msgspec.json.Decoder(_EmbedPeek)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def peek(operation: Operation, body: bytes, named: Named | None) -> Peek:
    """Read the governed fields of `body`; model and verb stand in the path.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, nested too deep, a field of a wrong type or value, an ambiguous key.
    """
    if named is None or not named.model:
        raise InvalidRequest("The path names no model.", param="model")
    model = named.model.removeprefix("models/")
    if operation == "embed":
        return read_body(body, (), lambda body: _peek_embedding(body, model))
    is_stream = named.stream
    return read_body(body, (), lambda body: _peek_chat(body if _is_plain(body) else _rewritten(body), model, stream=is_stream))


def _peek_chat(body: bytes, model: str, *, stream: bool) -> Peek:
    seen = _chat.decode(body)
    if not seen.contents:
        raise InvalidRequest("`contents` is empty.", param="contents")
    config = seen.camel or seen.snake or _Config()
    return Peek(
        body=body,
        model=model,
        stream=stream,
        cap=_whole(config.max_camel or config.max_snake, "maxOutputTokens", 1 << 31),
        choices=_whole(config.count_camel or config.count_snake, "candidateCount", _MOST_CHOICES) or 1,
    )


def _peek_embedding(body: bytes, model: str) -> Peek:
    seen = _embed.decode(body)
    if (seen.content is None) == (not seen.requests):
        raise InvalidRequest("The body needs `content`, or a list of `requests`.", param="content")
    return Peek(body=body, model=model)


def _whole(given: Number, name: str, most: int) -> int | None:
    """A whole number of at least 1; 0 is proto3's way to say nothing."""
    try:
        number = int(given) if given else 0
    except (ValueError, OverflowError):
        number = -1
    if not 0 <= number <= most or (isinstance(given, float) and not given.is_integer()):
        raise InvalidRequest(f"`{name}` must be a whole number from 1 to {most}.", param=name)
    return number or None


def _is_plain(body: bytes) -> bool:
    if b"\\" in body and b"\\u" in body and _ESCAPED.search(body):
        return False
    if not body.isascii() and (b"\xc5\xbf" in body or b"\xe2\x84\xaa" in body):  # they fold to `s` and `k`
        return False
    found = [_SPELLINGS.get(key, "") for key in _GOVERNED.findall(body)]
    return all(found) and len(found) == len(set(found))


def _rewritten(body: bytes) -> bytes:
    """The body with each governed key once, in one spelling, where it belongs. A `model` in it cannot contradict the path."""
    members = _single(body, _members.decode(body))
    members.pop("model", None)
    config = members.get("generationConfig")
    if config is not None and bytes(config).strip() != b"null":
        raw = bytes(config)
        members["generationConfig"] = msgspec.Raw(_encode(_single(raw, _members.decode(raw))))
    return _encode(members)


def _single(body: bytes, members: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """The members of an object, governed ones in camel case.

    Raises:
        InvalidRequest: A governed key stands twice, or in a spelling that some parser takes for another.
    """
    seen: set[str] = set()
    pairs = json.loads(body, object_pairs_hook=tuple, parse_int=str, parse_float=str)
    for key, _ in cast("tuple[tuple[str, Any], ...]", pairs):
        name = camel(key)
        if name.casefold() not in _FOLDED:
            continue
        if name not in _NAMES:
            raise InvalidRequest(f"The key `{key}` is not spelled as this API spells it.", param=name)
        if name in seen:
            raise InvalidRequest(f"The key `{name}` stands twice; which one should count?", param=name)
        seen.add(name)
    return {camel(key) if camel(key) in _NAMES else key: value for key, value in members.items()}


def outgoing(operation: Operation, seen: Peek, *, model: str, cap: int | None) -> bytes:
    """The bytes for a provider of the same dialect.

    Args:
        operation: `chat` or `embed`.
        seen: The request.
        model: What the provider calls the model; embedding requests repeat it.
        cap: Output tokens per choice to inject; None injects nothing.
    """
    if operation == "embed":
        return _embedding_for(seen, f"models/{model}")
    body = without_foreign(seen.body, model)
    if cap is None or cap == seen.cap:
        return body
    members = _members.decode(body)
    given = members.pop("generation_config", None) or members.get("generationConfig")
    config: Object = (msgspec.json.decode(given) if given is not None else None) or {}
    config.pop("max_output_tokens", None)
    config["maxOutputTokens"] = cap
    members["generationConfig"] = msgspec.Raw(_encode(config))
    return _encode(members)


def _embedding_for(seen: Peek, model: str) -> bytes:
    if b'"model"' not in seen.body and b"\\u" not in seen.body:
        return seen.body
    body = msgspec.json.decode(seen.body, type=dict[str, Any])
    requests: list[Any] = body.get("requests") or []
    for each in [body, *requests]:
        if isinstance(each, dict) and "model" in each:
            each["model"] = model
    return _encode(body)


def verb_of(operation: Operation, body: bytes, *, stream: bool) -> bytes:
    """The end of the path that `body` is for, behind the colon. Streams are asked for as events."""
    if operation == "embed":
        return b"batchEmbedContents" if is_batch(body) else b"embedContent"
    return b"streamGenerateContent?alt=sse" if stream else b"generateContent"


def is_batch(body: bytes) -> bool:
    """An embedding request is for `batchEmbedContents`."""
    return _embed.decode(body).requests is not None
