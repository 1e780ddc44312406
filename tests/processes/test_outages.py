"""Three gates on three addresses over real PostgreSQL and Valkey, under load: one is killed while another cannot reach Valkey."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.limiter.valkey.server import Server
from tests.processes.fleet import CENT, Host, hosts, until
from tests.processes.load import Load
from tests.processes.relay import Relay, relay
from tests.servers import NewUrl

pytestmark = pytest.mark.anyio
AT_ONCE_S = 1.0
COST = 10_000
POOR_CALLS = 40
FAIR_RPM = 3
CONFIG = '[ledger]\ndurability = "strict"\n\n[valkey]\nopen_limits = ["rpm"]\n\n' + CENT + "[limits]\nrecall_ms = 2000\n"
"""Requests per minute are not worth an outage; calls at once are."""


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def relays(valkey: Server) -> AsyncIterator[list[Relay]]:
    """Each gate's own way to Valkey."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(relay(valkey.path)) for _ in range(3)]


@pytest.fixture
def database(new_postgres: NewUrl) -> str:
    return new_postgres()


@pytest.fixture
async def three(tmp_path: Path, upstream: FakeUpstream, database: str, relays: list[Relay]) -> AsyncIterator[list[Host]]:
    own = [{"ALDGATE_VALKEY_URL": each.url} for each in relays]
    async with hosts(tmp_path, upstream, database, 3, CONFIG, own) as three:
        yield three


class Fleet:
    """The keys of the test, the load, and what each of the gates says to them.

    Attributes:
        way: From `apart` to Valkey.
        held: Calls of the gate that is killed, which never end.
    """

    def __init__(self, three: list[Host], way: Relay, upstream: FakeUpstream) -> None:
        self.one, self.apart, self.mortal = three
        self.way = way
        self.upstream = upstream
        self.held: list[asyncio.Task[Any]] = []

    async def begin(self) -> None:
        """Make the keys, have the mortal gate hold all places of one of them, and let the load begin."""
        self.places = await self.one.key("places", concurrency=2)
        self.fair = await self.one.key("fair", rpm=FAIR_RPM)
        self.gone = await self.one.key("gone")
        self.upstream.script(*(faults.stall_mid_stream(valve=Valve()) for _ in range(2)))
        self.held = [asyncio.create_task(self.mortal.post(self.places, stream=True)) for _ in range(2)]
        await self.upstream.saw_requests(2)
        three = [self.one, self.apart, self.mortal]
        self.rich = Load(three, await self.one.key("rich", budget="1000/total"), 4)
        self.poor = Load(three, await self.one.key("poor", budget=f"{POOR_CALLS / 100:.2f}/total"), 2)
        await self.rich.until_answered(40)

    async def kill(self) -> None:
        """Kill the mortal one under its callers."""
        for load in (self.rich, self.poor):
            load.expect_loss_of(self.mortal)
        await self.mortal.ended(signal.SIGKILL)
        for load in (self.rich, self.poor):
            load.forget(self.mortal)
        await asyncio.gather(*self.held, return_exceptions=True)

    async def status(self, gate: Host, key: str) -> int:
        """What the gate answers to a call."""
        return (await gate.post(key)).status_code

    async def answers(self, gate: Host, key: str, status: int, within_s: float = 30) -> None:
        """Until the gate answers so to this key."""

        async def does() -> bool:
            return await self.status(gate, key) == status

        await until(does, within_s)

    async def is_reached(self, gate: Host, is_reached: bool) -> None:
        """Until the gate knows whether it reaches Valkey."""

        async def does() -> bool:
            return (await gate.metrics())["aldgate_valkey_up"] == is_reached

        await until(does)


async def test_no_call_is_lost_or_billed_twice(
    three: list[Host], relays: list[Relay], upstream: FakeUpstream, database: str
) -> None:
    fleet = Fleet(three, relays[1], upstream)
    one, apart = fleet.one, fleet.apart
    await fleet.begin()
    assert [await fleet.status(gate, fleet.places) for gate in (one, apart)] == [429, 429]
    for _ in range(FAIR_RPM):
        await fleet.status(one, fleet.fair)
    await fleet.answers(apart, fleet.fair, 429)

    fleet.way.cut()
    await fleet.is_reached(apart, False)
    refused = await apart.post(fleet.places)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert [await fleet.status(apart, fleet.fair) for _ in range(2 * FAIR_RPM)] == [200] * 2 * FAIR_RPM
    await fleet.rich.until_answered(20)

    await fleet.kill()
    await fleet.rich.until_answered(20)
    await what_is_done_at_one_is_known_at_the_other(fleet)
    await fleet.answers(one, fleet.places, 200)  # the places of the dead come back
    assert await fleet.status(apart, fleet.places) == 503

    fleet.way.heal()
    await fleet.is_reached(apart, True)
    await fleet.answers(apart, fleet.places, 200)
    await fleet.answers(apart, fleet.fair, 429)
    await fleet.rich.until_answered(20)
    await asyncio.gather(fleet.rich.end(), fleet.poor.end())
    await every_call_is_billed_once(fleet, database)


async def what_is_done_at_one_is_known_at_the_other(fleet: Fleet) -> None:
    """Keys and configuration do not go by way of Valkey."""
    one, apart = fleet.one, fleet.apart
    new = await one.key("new")
    await fleet.answers(apart, new, 200, AT_ONCE_S)
    await apart.revoke("gone")
    await asyncio.gather(*(fleet.answers(gate, fleet.gone, 401, AT_ONCE_S) for gate in (one, apart)))
    for gate in (one, apart):
        text = gate.file.read_text(encoding="utf-8")
        gate.file.write_text(f'[aliases]\nother = "lab/gpt-4.1"\n{text}', encoding="utf-8")
    assert (await apart.http.post("/admin/reload")).json()["applied"] == ["aliases.other"]

    async def knows() -> bool:
        return (await one.http.get("/v1/models/other")).status_code == 200

    await until(knows, AT_ONCE_S)


async def every_call_is_billed_once(fleet: Fleet, database: str) -> None:
    rows = await ledger(database)
    cut = fleet.rich.cut + fleet.poor.cut
    for name, load in (("rich", fleet.rich), ("poor", fleet.poor)):
        billed = [row["call_id"] for row in rows if row["name"] == name]
        assert len(billed) == len(set(billed)), "each once"
        assert load.ids <= set(billed), "whoever was answered was billed: the row was on the disk before the last byte"
        assert len(billed) <= len(load.answers) + len(load.unknown), "and nobody else, but for calls that the kill cut off"
        assert len(load.unknown) <= load.cut
    assert {row["cost_microusd"] for row in rows} == {COST}
    assert not fleet.rich.refusals
    assert {code for _, code in fleet.poor.refusals} == {"budget_exceeded"}
    provided = len(fleet.upstream.requests) - len(fleet.held)
    assert len(rows) <= provided <= len(rows) + cut, "what the provider did is billed, but for what the kill cut off"

    async def is_settled() -> bool:
        return all([await settled(fleet.one, database, name) for name in ("rich", "poor")])

    await until(is_settled)


async def settled(gate: Host, database: str, name: str) -> bool:
    """Whether what was spent of a key's budget is what was billed, and is within it with what a kill may have spent."""
    rows = await ledger(database)
    data = (await gate.http.get("/admin/budgets")).json()["data"]
    (budget,) = [each for each in data if each["account"] == next(row["account"] for row in rows if row["name"] == name)]
    assert budget["settled_microusd"] + budget["outstanding_microusd"] + budget["presumed_microusd"] <= budget["limit_microusd"]
    return budget["settled_microusd"] == sum(row["cost_microusd"] for row in rows if row["name"] == name)


async def ledger(database: str) -> list[Any]:
    """All its rows, with their keys' names."""
    connection = await asyncpg.connect(database)
    try:
        query = "SELECT name, account, call_id, cost_microusd FROM ledger JOIN keys ON keys.id = ledger.account"
        return await connection.fetch(query)
    finally:
        await connection.close()
