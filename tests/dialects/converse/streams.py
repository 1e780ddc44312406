"""Events of ConverseStream, framed as Bedrock sends them."""

import json
from collections.abc import Iterable
from typing import Any

from aldgate.core.events import Event
from aldgate.dialects.converse.decoder import ConverseDecoder
from aldgate.testing.upstream.converse import frame

USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}


def event(kind: str, **payload: Any) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps({**payload, "p": "abcdef"}).encode())


def exception(kind: str, **payload: Any) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps(payload).encode())


def delta(index: int, **said: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=said)


def text(index: int, *pieces: str) -> list[bytes]:
    return [*(delta(index, text=piece) for piece in pieces), event("contentBlockStop", contentBlockIndex=index)]


def call(index: int, call_id: str, name: str, *pieces: str) -> list[bytes]:
    start = event("contentBlockStart", contentBlockIndex=index, start={"toolUse": {"toolUseId": call_id, "name": name}})
    said = [delta(index, toolUse={"input": piece}) for piece in pieces]
    return [start, *said, event("contentBlockStop", contentBlockIndex=index)]


def stream(*blocks: list[bytes], stop: str = "end_turn", usage: dict[str, Any] | None = None) -> list[bytes]:
    """A whole stream of these blocks."""
    ends = [event("messageStop", stopReason=stop), event("metadata", usage=usage or USAGE, metrics={"latencyMs": 7})]
    return [event("messageStart", role="assistant"), *(each for block in blocks for each in block), *ends]


def decoded(frames: Iterable[bytes], step: int | None = None) -> list[Event]:
    """What the decoder makes of `frames`, fed in pieces of `step` bytes (None: all at once)."""
    wire, decoder = b"".join(frames), ConverseDecoder()
    pieces = [wire[at : at + step] for at in range(0, len(wire), step)] if step else [wire]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()
