"""A raw client of the gate: sends exactly these bytes, sees exactly what comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.faults.lab import CHAT

PATIENCE_S = 5


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error in OpenAI's shape, which it must have in full."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error["code"]


class Wire:
    """One TCP connection to a gate."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read_head(self) -> Answer:
        """The head of the next response, its body still to come."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        return Answer(int(line.split(" ")[1]), headers, b"")

    async def answer(self) -> Answer:
        """The next response of stated length."""
        answer = await self.read_head()
        async with asyncio.timeout(PATIENCE_S):
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        return answer

    async def is_closed(self) -> bool:
        """Whether the gate says no more and closes. Fails if it does neither in time."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True

    def leave(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def wire(port: int, limit: int = 65_536) -> AsyncIterator[Wire]:
    """Connect; whatever is left of the connection is dropped at the end."""
    opened = Wire(*await asyncio.open_connection("127.0.0.1", port, limit=limit))
    try:
        yield opened
    finally:
        opened.leave()


def request(key: str, body: Mapping[str, Any] | bytes, *fields: str, target: str = CHAT, method: str = "POST") -> bytes:
    """A well-formed request, `fields` added to its head."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(f"{method} {target} HTTP/1.1", "host: gate", *credentials(key), f"content-length: {len(data)}", *fields) + data


def credentials(key: str) -> tuple[str, str]:
    return f"authorization: Bearer {key}", "content-type: application/json"


def head(*lines: str) -> bytes:
    """A request head of exactly these lines."""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
