"""The running gate with all its providers, as the tests use it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx2

from aldgate.testing.upstream import FakeUpstream
from aldgate.testing.upstream.said import wire_at
from tests.contract.faces import FACES
from tests.contract.neutral import Answer, Ask, Object
from tests.contract.providers import PROVIDERS, read
from tests.databases import ask
from tests.support import RunningGate, running_gate

CONFIG = """
[ledger]
window_s = 0.01
[providers.azure.deployments]
"gpt-4.1" = "gpt-4.1"
[providers.azure-v1.deployments]
"gpt-4.1" = "gpt-4.1"
"""


class House:
    HEADERS: ClassVar = {"anthropic-version": "2023-06-01"}

    def __init__(self, gate: RunningGate, upstream: FakeUpstream, data: Path) -> None:
        self.gate = gate
        self.upstream = upstream
        self._data = data

    async def ask(self, face: str, provider: str, ask: Ask, *, stream: bool) -> httpx2.Response:
        """Ask in a face's words."""
        path, body = self.request(face, provider, ask, stream=stream)
        return await self.gate.http.post(path, json=body, headers=self.HEADERS)

    def request(self, face: str, provider: str, ask: Ask, *, stream: bool) -> tuple[str, Object]:
        """Path and body that ask so."""
        return FACES[face].request(ask, f"{provider}/{PROVIDERS[provider].model}", stream=stream)

    def answer(self, face: str, reply: httpx2.Response, *, stream: bool) -> Answer:
        """Read an answer in a face's words."""
        return FACES[face].stream(reply.content) if stream else FACES[face].whole(reply.json())

    @property
    def wire(self) -> str:
        """The wire in which the provider was asked last."""
        return wire_at(self.upstream.requests[-1].path)

    @property
    def arrived(self) -> Ask:
        """What the provider was asked last."""
        return read(self.wire, json.loads(self.upstream.requests[-1].body))

    async def row(self, call_id: str) -> dict[str, Any]:
        """The ledger's row of a call."""
        await self.gate.app.writer.committed()
        (row,) = ask(self._data, "SELECT * FROM ledger WHERE call_id = :call", call=call_id)
        return row


@asynccontextmanager
async def opened(data: Path, upstream: FakeUpstream) -> AsyncIterator[House]:
    """A gate with all providers in front of `upstream`."""
    tables = {name: provider.configured(upstream) for name, provider in PROVIDERS.items()}
    async with running_gate(data, providers=tables, config=CONFIG) as gate:
        yield House(gate, upstream, data)
