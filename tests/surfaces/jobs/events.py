"""Server-sent events, read as browsers do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.support import RunningGate


class Event(NamedTuple):
    id: int | None
    name: str
    data: dict[str, Any]


def events_of(text: str) -> list[Event]:
    """All events of a stream; comments left out."""
    return [_event(block) for block in text.split("\n\n") if block and not block.startswith(":")]


@asynccontextmanager
async def followed(gate: RunningGate, key: str, path: str) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a stream as they come; the caller leaves at the end of the block."""
    async with gate.http.stream("GET", path, headers={"authorization": f"Bearer {key}"}) as reply:
        assert reply.status_code == 200
        yield _events(reply.aiter_lines())


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    block: list[str] = []
    async for line in lines:
        if line:
            block.append(line)
        elif block:
            if not block[0].startswith(":"):
                yield _event("\n".join(block))
            block = []


def _event(block: str) -> Event:
    fields = dict(line.split(": ", 1) for line in block.splitlines())
    return Event(int(fields["id"]) if "id" in fields else None, fields["event"], json.loads(fields["data"]))
