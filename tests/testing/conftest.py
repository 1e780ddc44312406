"""A raw client for the fake upstream: what it sees is what was on the wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from aldgate.testing.upstream import FakeUpstream

CHAT = "/v1/chat/completions"


@dataclass
class Wire:
    """A TCP connection to the upstream."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, body: bytes, path: str = CHAT, method: str = "POST") -> None:
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    async def read_head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def is_closed(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionResetError:
            return True


def chat_body(*, stream: bool = False, **fields: object) -> bytes:
    message = {"role": "user", "content": "Hello"}
    return json.dumps({"model": "gpt-4.1", "messages": [message], "stream": stream, **fields}).encode()


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def connect(upstream: FakeUpstream) -> AsyncIterator[Callable[[], object]]:
    """Opens raw connections to `upstream`, and closes them afterwards."""
    opened: list[Wire] = []

    async def open_wire() -> Wire:
        opened.append(Wire(*await asyncio.open_connection("127.0.0.1", upstream.port)))
        return opened[-1]

    yield open_wire
    for wire in opened:
        wire.writer.transport.abort()


@pytest.fixture
async def wire(connect) -> Wire:
    return await connect()


@pytest.fixture(name="chat_body")
def chat_body_fixture() -> Callable[..., bytes]:
    return chat_body
