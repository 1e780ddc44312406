"""A service that judges texts for guardrails, on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class JudgingService:
    """Answers every question with `answer`.

    Attributes:
        asked: Bodies of the questions, as they came; `heads` are their headers, by names in lower case.
        answer: A verdict; None: there never is one.
        is_asked: There was a question; `is_left`: whoever asked did not wait for the answer.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.heads: list[dict[str, str]] = []
        self.status = 200
        self.answer: dict[str, Any] | bytes | None = {"verdict": "allow"}
        self.url = ""
        self.is_asked = asyncio.Event()
        self.is_left = asyncio.Event()

    @property
    def questions(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        pairs = (line.partition(": ") for line in head.decode().split("\r\n")[1:] if line)
        fields = {name.lower(): value for name, _, value in pairs}
        self.heads.append(fields)
        self.asked.append(await reader.readexactly(int(fields["content-length"])))
        self.is_asked.set()
        if self.answer is None:
            await reader.read()
            self.is_left.set()
        else:
            body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (self.status, len(body), body))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def judging() -> AsyncIterator[JudgingService]:
    """The service, listening."""
    service = JudgingService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/judge"
    try:
        yield service
    finally:
        server.close()
