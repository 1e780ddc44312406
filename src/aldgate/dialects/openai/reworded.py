"""Replies on OpenAI's wire with words that are not OpenAI's: callers get OpenAI's, and everything else as it came."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from aldgate.core.errors import UpstreamError
from aldgate.dialects.openai.finish import FAILURES, KNOWN, finish_of
from aldgate.dialects.openai.pieces import said_of
from aldgate.dialects.openai.usage import PassThrough

Object = dict[str, Any]

_ODD = re.compile(
    rb'"finish_reason"\s*:\s*"(?!(?:%b)")|"content"\s*:\s*\[|"arguments"\s*:\s*\{' % "|".join(sorted(KNOWN)).encode()
)
"""What such words look like. Few events have one; all others pass as the bytes that came."""
_GIVEN_UP = re.compile(rb'"finish_reason"\s*:\s*"(?:%b)"' % "|".join(sorted(FAILURES)).encode())


class Reworded(PassThrough):
    """A `PassThrough` that puts OpenAI's words in the place of others.

    Reasons for an answer's end are mapped, text in a list becomes text and thoughts, and arguments in an object become JSON
    text. An answer that its provider gave up is an error.
    """

    __slots__ = ()

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`."""
        super().whole(body)
        _refuse_given_up(body)
        return _reworded(body) if _ODD.search(body) else body

    def feed(self, piece: bytes) -> bytes:
        """See `ports.Relay`."""
        return _events(super().feed(piece))

    def end(self) -> bytes:
        """See `ports.Relay`."""
        return _events(super().end())

    def _keep(self, payload: bytes) -> bool:
        is_kept = super()._keep(payload)
        _refuse_given_up(payload)
        return is_kept


def _refuse_given_up(payload: bytes) -> None:
    if _GIVEN_UP.search(payload):
        raise UpstreamError("The provider gave up in the middle of its answer.")


def _events(events: bytes) -> bytes:
    if not _ODD.search(events):
        return events
    return b"".join(map(_event, events.replace(b"\r\n", b"\n").removesuffix(b"\n\n").split(b"\n\n")))


def _event(event: bytes) -> bytes:
    lines = event.split(b"\n")
    payload = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
    if _ODD.search(payload):
        lines = [*(line for line in lines if not line.startswith(b"data:")), b"data: " + _reworded(payload)]
    return b"\n".join(lines) + b"\n\n"


def _reworded(payload: bytes) -> bytes:
    """A chunk or a whole reply in OpenAI's words."""
    said = msgspec.json.decode(payload)
    choices: Any = cast(Object, said).get("choices") if isinstance(said, dict) else None
    for choice in cast("list[Any]", choices) if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            _reword(cast(Object, choice))
    return msgspec.json.encode(said)


def _reword(choice: Object) -> None:
    for field in ("message", "delta"):
        message: Any = choice.get(field)
        if isinstance(message, dict):
            _reword_message(cast(Object, message))
    reason: Any = choice.get("finish_reason")
    if isinstance(reason, str) and reason not in KNOWN:
        choice["finish_reason"] = finish_of(reason, has_calls=False)


def _reword_message(message: Object) -> None:
    content: Any = message.get("content")
    if isinstance(content, list):
        thoughts, text = said_of(cast("list[Any]", content), None)
        message["content"] = text
        if thoughts:
            message["reasoning_content"] = thoughts
    calls: Any = message.get("tool_calls")
    for call in cast("list[Any]", calls) if isinstance(calls, list) else ():
        function: Any = cast(Object, call).get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(cast(Object, function).get("arguments"), dict):
            function["arguments"] = msgspec.json.encode(cast(Object, function)["arguments"]).decode()
