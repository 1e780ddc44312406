"""A gate with one provider, `lab`, that misbehaves on request, and what the tests ask of the two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from aldgate.providers.openai import OpenAICompatible
from aldgate.surfaces.server.listener import Bounds
from aldgate.testing.upstream import FakeUpstream, Reply
from aldgate.upstream.pool import Pool
from tests.databases import ask
from tests.support import RunningGate, lab, running_gate

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
PRICES = '[prices."lab/gpt-4.1"]\ninput = 2\noutput = 8\n'
"""Micro-dollars per token are these figures."""

Row = dict[str, Any]


@dataclass
class Lab:
    """A running gate in front of a fake provider."""

    gate: RunningGate
    upstream: FakeUpstream
    data: Path

    @property
    def pool(self) -> Pool:
        """The gate's connections to the provider."""
        backend = self.gate.app.roster.backends["lab"]
        assert isinstance(backend, OpenAICompatible)
        return backend.pools[0]

    async def post(self, body: Mapping[str, Any] | bytes, key: str | None = None, **headers: str) -> httpx2.Response:
        """A chat completion, read to its end."""
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        headers.setdefault("content-type", "application/json")
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.gate.http.post(CHAT, content=data, headers=headers)

    async def rows(self) -> list[Row]:
        """The whole ledger, oldest call first, once everything settled so far is in it."""
        await self.gate.app.writer.committed()
        return read_ledger(self.data)

    async def row(self, call_id: str) -> Row | None:
        """The ledger's row of one call."""
        return next((row for row in await self.rows() if row["call_id"] == call_id), None)

    def left_over(self) -> dict[str, int]:
        """What is held for calls, by kind; empty when no call is under way and nothing leaked."""
        gate = self.gate.app.gate
        held = {
            "calls under way": gate.under_way,
            "places in the limiter": gate.limiter.in_flight(),
            "busy connections": self.pool.busy,
            "request bytes": int(gate.metrics.gauges["aldgate_request_bytes_held"][1]()),
            "micro-dollars": gate.slices.held,
        }
        return {name: count for name, count in held.items() if count}

    async def is_quiet(self) -> None:
        """Let what is ending end, and fail if anything is left over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                while self.left_over():
                    await asyncio.sleep(0)
        assert self.left_over() == {}


@asynccontextmanager
async def running_lab(
    data: Path,
    *,
    reply: Reply | None = None,
    config: str = PRICES,
    flags: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    **options: Any,
) -> AsyncIterator[Lab]:
    """Start both; `options` go into the provider's table."""
    async with FakeUpstream(reply=reply) as upstream:
        providers = {"lab": lab(upstream.url, **options)}
        async with running_gate(data, providers=providers, config=config, flags=flags, bounds=bounds) as gate:
            yield Lab(gate, upstream, data)


def read_ledger(data: Path) -> list[Row]:
    """Every committed row of the database in `data`, oldest call first."""
    return ask(data, "SELECT * FROM ledger ORDER BY call_id")


def events_of(body: bytes) -> list[Any]:
    """The `data:` fields of a stream, decoded; `[DONE]` as it is."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    payloads = [line[5:].strip() for line in lines if line.startswith(b"data:")]
    return ["[DONE]" if payload == b"[DONE]" else json.loads(payload) for payload in payloads]


def words_in(events: list[Any]) -> int:
    """Events that carry output."""
    chunks = [event for event in events if isinstance(event, dict)]
    return sum(bool(choice["delta"].get("content")) for chunk in chunks for choice in chunk.get("choices", ()))


async def within(seconds: float, waiting: Any) -> Any:
    """Await something that must not take longer."""
    async with asyncio.timeout(seconds):
        return await waiting
