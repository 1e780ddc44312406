"""What a transcription server heard, whichever of OpenAI's formats it says it in, and while it still listens."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import msgspec

from aldgate.core.errors import UpstreamBroken, UpstreamInvalid
from aldgate.core.generation import Generated, Progress, Segment
from aldgate.dialects.sse import EventReader
from aldgate.engines.asking import given
from aldgate.engines.captions import segments_of, text_of
from aldgate.engines.endings import failed
from aldgate.making import Run

FILES = {"srt": "application/x-subrip", "vtt": "text/vtt"}
"""Formats that are files of their own, and what those are served as."""


class _Segment(msgspec.Struct):
    start: float
    end: float
    text: str


class _Verbose(msgspec.Struct):
    text: str
    segments: list[dict[str, Any]] | None = None
    language: str | None = None
    duration: float | None = None
    words: list[Any] | None = None
    usage: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: str = ""
    text: str | None = None
    usage: Any = None
    error: Any = None


def heard(name: str, body: bytes, wanted: str) -> Generated:
    """A whole reply.

    Args:
        name: The engine's.
        body: Its reply.
        wanted: The format that was asked for; JSON is taken wherever it comes.

    Raises:
        UpstreamInvalid: It is not in that format.
    """
    try:
        if body.lstrip().startswith(b"{") or wanted.endswith("json"):
            return _of_json(msgspec.json.decode(body, type=_Verbose))
        text = body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpstreamInvalid(f"The engine `{name}` answered with what is no transcription: {error}") from None
    if wanted == "text":
        return Generated(text=text.strip())
    segments = segments_of(text)
    if not segments and text.strip() not in ("", "WEBVTT"):
        raise UpstreamInvalid(f"The engine `{name}` answered with what are no captions.")
    return Generated(text=text_of(segments), segments=segments)


async def streamed(name: str, pieces: AsyncIterable[bytes], run: Run) -> Generated:
    """A reply that comes as events: each tells, as progress, all that was heard so far.

    OpenAI's events end with `transcript.text.done`; older servers send a segment, or its bare text, in each, and simply end.

    Raises:
        UpstreamBroken: It ended too early.
        UpstreamError: It says that it failed.
    """
    reader, text, may_end = EventReader(), "", True
    async for piece in pieces:
        for payload in reader.feed(piece):
            if payload == b"[DONE]":
                return Generated(text=text.strip())
            event = _event(payload)
            if event.error is not None:
                raise failed(name, str(event.error))
            if event.type == "transcript.text.done" and event.text is not None:
                return Generated(text=event.text, details=given(usage=event.usage))
            may_end = may_end and event.type != "transcript.text.delta"
            text += event.delta or (event.text or "")
            run.progress(Progress(message=text, text=text))
    if not may_end or not text:
        raise UpstreamBroken(f"The engine `{name}` broke off within its transcription.")
    return Generated(text=text.strip())


def _event(payload: bytes) -> _Event:
    try:
        return msgspec.json.decode(payload, type=_Event)
    except msgspec.DecodeError:
        return _Event(text=payload.decode(errors="replace"))


def _of_json(said: _Verbose) -> Generated:
    segments = msgspec.convert(said.segments or [], list[_Segment])
    return Generated(
        text=said.text.strip(),
        segments=tuple(Segment(each.start, each.end, each.text.strip()) for each in segments),
        language=said.language,
        duration_s=said.duration,
        details=given(words=said.words, usage=said.usage, segments=said.segments),
    )
