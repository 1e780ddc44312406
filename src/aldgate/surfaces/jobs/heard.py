"""What was heard of a recording, in each format that OpenAI's transcriptions have.

Shapes: https://platform.openai.com/docs/api-reference/audio/verbose-json-object and its neighbours.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any, Literal, cast

from aldgate.core.generation import Generated, Segment
from aldgate.engines.captions import subrip, web_vtt

Format = Literal["json", "text", "srt", "verbose_json", "vtt"]
Granularity = Literal["word", "segment"]


def rendered(heard: Generated, wanted: Format, task: str, granularities: Collection[Granularity]) -> str | dict[str, Any]:
    """The answer: a text, or an object.

    Args:
        heard: What came of it.
        wanted: The format.
        task: `transcribe` or `translate`.
        granularities: Which times a `verbose_json` tells.
    """
    match wanted:
        case "text":
            return f"{heard.text or ''}\n"
        case "srt":
            return subrip(_segments(heard))
        case "vtt":
            return web_vtt(_segments(heard))
        case "json":
            return {"text": heard.text or "", "usage": usage_of(heard)}
        case "verbose_json":
            return _verbose(heard, task, granularities)


def usage_of(heard: Generated) -> dict[str, Any]:
    """The engine's own count of tokens, or the seconds of the recording."""
    said = heard.details.get("usage")
    if isinstance(said, dict) and "type" in said:
        return cast("dict[str, Any]", said)
    return {"type": "duration", "seconds": round(heard.duration_s or 0.0, 3)}


def _verbose(heard: Generated, task: str, granularities: Collection[Granularity]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "task": task,
        "language": heard.language or "",
        "duration": round(heard.duration_s or 0.0, 3),
        "text": heard.text or "",
    }
    if "segment" in granularities or not granularities:
        own: list[dict[str, Any]] = heard.details.get("segments") or [{} for _ in heard.segments]
        pairs = zip(heard.segments, own, strict=True)
        answer["segments"] = [_segment(number, each, more) for number, (each, more) in enumerate(pairs)]
    if "word" in granularities:
        answer["words"] = heard.details.get("words") or []
    return answer | {"usage": usage_of(heard)}


def _segment(number: int, segment: Segment, own: dict[str, Any]) -> dict[str, Any]:
    """A segment with all that clients look for; `own` is what its engine says of it."""
    said = segment.text.encode()
    usual: dict[str, Any] = {
        "id": number,
        "seek": 0,
        "start": segment.start_s,
        "end": segment.end_s,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": round(len(said) / len(zlib.compress(said)), 3),
        "no_speech_prob": 0.0,
    }
    return usual | {name: value for name, value in own.items() if value is not None}


def _segments(heard: Generated) -> tuple[Segment, ...]:
    """The segments; one over everything where the engine tells no times."""
    if heard.segments or not heard.text:
        return heard.segments
    return (Segment(0.0, heard.duration_s or 0.0, heard.text),)
