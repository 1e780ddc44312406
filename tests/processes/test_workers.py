"""`aldgate serve --workers N`: one address, several processes, and a parent that keeps them running."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.limiter.valkey.server import Server
from tests.processes.fleet import Host, host, until
from tests.servers import NewUrl, free_port

pytestmark = pytest.mark.anyio
WORKERS = 3


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gate(tmp_path: Path, upstream: FakeUpstream, new_postgres: NewUrl, valkey: Server) -> AsyncIterator[Host]:
    async with host(tmp_path, upstream, new_postgres(), workers=WORKERS, ALDGATE_VALKEY_URL=valkey.url) as gate:
        await until(lambda: all_up(gate))
        yield gate


async def all_up(gate: Host) -> bool:
    metrics = await gate.metrics()
    return all(metrics.get(f'aldgate_worker_up{{worker="{number}"}}') == 1 for number in range(WORKERS))


async def new_connection(gate: Host, key: str) -> int:
    """A call over a connection of its own, which any worker may have accepted."""
    async with httpx2.AsyncClient(base_url=gate.url, timeout=30, trust_env=False) as http:
        body = {"model": "builtin/echo", "messages": [{"role": "user", "content": "hello"}]}
        reply = await http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        return reply.status_code


async def test_they_share_an_address_and_tell_it_once(gate: Host) -> None:
    assert gate.banner.count("listening on") == gate.banner.count("Aldgate ") == 1
    key = await gate.key()
    statuses = await asyncio.gather(*(new_connection(gate, key) for _ in range(30)))
    assert set(statuses) == {200}
    metrics = await gate.metrics()
    calls = [value for name, value in metrics.items() if name.startswith("aldgate_calls_total") and 'worker="' in name]
    assert sum(calls) == 30


async def test_a_limit_is_that_of_one_process(gate: Host) -> None:
    """Three that each counted alone would let three times as many through."""
    key = await gate.key(rpm=5)
    statuses = Counter(await asyncio.gather(*(new_connection(gate, key) for _ in range(30))))
    assert statuses == {200: 5, 429: 25}


async def test_an_admin_key_that_is_made_is_shown_once(
    tmp_path: Path, upstream: FakeUpstream, new_postgres: NewUrl, valkey: Server
) -> None:
    more = {"ALDGATE_VALKEY_URL": valkey.url, "ALDGATE_ADMIN_KEY": ""}
    async with host(tmp_path, upstream, new_postgres(), workers=WORKERS, **more) as gate:
        (line,) = [line for line in gate.banner.splitlines() if "admin key " in line]
        headers = {"authorization": f"Bearer {line.split()[-1]}"}
        await until(lambda: all_up(gate))
        for _ in range(12):
            async with httpx2.AsyncClient(base_url=gate.url, timeout=30, trust_env=False) as http:
                assert (await http.get("/admin/keys", headers=headers)).status_code == 200


async def test_one_that_dies_is_replaced_and_costs_nobody_else_a_call(gate: Host) -> None:
    key = await gate.key()
    before = gate.workers()
    os.kill(before[1], signal.SIGKILL)
    refused = 0
    statuses: list[int] = []

    async def is_replaced() -> bool:
        nonlocal refused
        try:
            statuses.append(await new_connection(gate, key))
        except httpx2.TransportError:  # had been accepted by the one that died
            refused += 1
        return len(set(gate.workers()) - {before[1]}) == WORKERS and await all_up(gate)

    await until(is_replaced)
    assert set(statuses) == {200} and refused <= 1
    assert "a worker died" in gate.logged and '"code": -9' in gate.logged


async def test_a_stop_lets_calls_under_way_end(gate: Host, upstream: FakeUpstream) -> None:
    key = await gate.key()
    valve = Valve()
    upstream.script(*(faults.stall_mid_stream(valve=valve) for _ in range(4)))
    calls = [asyncio.create_task(gate.post(key, stream=True)) for _ in range(4)]
    await upstream.saw_requests(4)
    gate.process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        while True:  # the parent has let go of the address
            try:
                await new_connection(gate, key)
            except httpx2.ConnectError:
                break
            except httpx2.TransportError:
                continue
    valve.open()
    replies = await asyncio.gather(*calls)
    assert [reply.status_code for reply in replies] == [200] * 4
    assert all(reply.text.rstrip().endswith("[DONE]") for reply in replies)
    assert await gate.ended() == 0


async def test_hangup_reaches_them_all(gate: Host) -> None:
    text = gate.file.read_text(encoding="utf-8")
    gate.file.write_text(text.replace("[providers", '[aliases]\nother = "builtin/echo"\n\n[providers', 1), encoding="utf-8")
    gate.process.send_signal(signal.SIGHUP)

    async def all_have_read() -> bool:
        return gate.logged.count("configuration read again") >= WORKERS

    await until(all_have_read)


async def test_without_their_parent_they_stop(gate: Host) -> None:
    workers = gate.workers()
    assert await gate.ended(signal.SIGKILL) == -signal.SIGKILL

    async def have_stopped() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in workers)

    await until(have_stopped)


async def test_what_cannot_start_is_told_once(tmp_path: Path, upstream: FakeUpstream, valkey: Server) -> None:
    with pytest.raises(AssertionError, match="The database did not answer"):
        async with host(
            tmp_path,
            upstream,
            f"postgresql://nobody@127.0.0.1:{free_port()}/none",
            workers=WORKERS,
            ALDGATE_VALKEY_URL=valkey.url,
        ):
            pass
