"""A gate with several fake providers behind one route, and a clock that is turned by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from aldgate.testing.upstream import FakeUpstream, Reply
from tests.faults.lab import Row, read_ledger
from tests.support import RunningGate, lab, running_gate

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "team", "messages": [{"role": "user", "content": "hello"}]}
PRICES = "".join(f'[prices."{name}/gpt-4.1"]\ninput = {cost}\noutput = {cost}\n' for name, cost in (("a", 2), ("b", 3), ("c", 4)))
TEAM = '[routes.team]\ndeployments = ["a/gpt-4.1", "b/gpt-4.1"]\nretries = 0\n'


@dataclass
class Hands:
    """Turns the gate's clock, and notes what it waited for instead of waiting."""

    at: float = 1_000.0
    drawn: float = 0.5
    pauses: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += seconds


@dataclass
class Fleet:
    gate: RunningGate
    upstreams: dict[str, FakeUpstream]
    hands: Hands
    data: Path
    calls: int = 0

    def __getitem__(self, name: str) -> FakeUpstream:
        return self.upstreams[name]

    async def chat(self, key: str | None = None, **fields: Any) -> httpx2.Response:
        """A call that continues no conversation, unless it brings its `messages`."""
        self.calls += 1
        fields.setdefault("messages", [{"role": "user", "content": f"hello for the {self.calls}th time"}])
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        return await self.gate.http.post(CHAT, content=json.dumps(HELLO | fields), headers=headers)

    async def rows(self) -> list[Row]:
        await self.gate.app.writer.committed()
        return sorted(read_ledger(self.data), key=lambda row: (row["call_id"], row["attempt"]))

    async def attempts(self) -> list[tuple[Any, ...]]:
        """The ledger in short: attempt, model, status, error, whether it is the call's own."""
        names = ("attempt", "model", "status", "error_code", "is_final")
        return [tuple(row[name] for name in names) for row in await self.rows()]

    async def used(self, key: str | None = None) -> dict[str, int]:
        """The ledger's sums over all models."""
        sums = await self.gate.usage(key)
        return {name: sum(row[name] for row in sums) for name in ("calls", "errors", "cost_microusd")}

    def asked(self) -> dict[str, int]:
        """How many requests each provider saw."""
        return {name: len(upstream.requests) for name, upstream in self.upstreams.items()}

    @property
    def busy(self) -> int:
        live = self.gate.app.gate.live
        return sum(state.busy for state in live._states.values()) + live.limiter.in_flight()


@asynccontextmanager
async def running_fleet(
    data: Path,
    config: str = TEAM,
    *,
    names: str = "abc",
    reply: Reply | None = None,
    models: tuple[str, ...] = ("gpt-4.1",),
    **flags: str,
) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        upstreams = {name: await stack.enter_async_context(FakeUpstream(reply=reply)) for name in names}
        providers = {name: lab(upstream.url, models=list(models)) for name, upstream in upstreams.items()}
        gate = await stack.enter_async_context(running_gate(data, providers=providers, config=config + PRICES, flags=flags))
        hands = Hands()
        live = gate.app.gate.live
        live.clock, live.draw, live.pause = lambda: hands.at, lambda: hands.drawn, hands.pause
        yield Fleet(gate, upstreams, hands, data)
