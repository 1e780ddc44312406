"""Three gates on three addresses that share a PostgreSQL server: what is done at one holds at all, and none misses another."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.faults.lab import events_of
from tests.processes.fleet import CENT, CHAT, HELLO, PATIENT, Host, hosts, until
from tests.processes.load import Load
from tests.servers import NewUrl

pytestmark = pytest.mark.anyio
AT_ONCE_S = 1.0
CALLERS = 12


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: FakeUpstream) -> FakeUpstream:
    provider.requests.clear()
    return provider


@pytest.fixture(scope="module")
async def three(
    tmp_path_factory: pytest.TempPathFactory, provider: FakeUpstream, new_postgres: NewUrl
) -> AsyncIterator[list[Host]]:
    async with hosts(tmp_path_factory.mktemp("hosts"), provider, new_postgres(), 3, CENT + PATIENT) as three:
        yield three


@pytest.fixture
async def mortal(tmp_path: Path, upstream: FakeUpstream, new_postgres: NewUrl) -> AsyncIterator[list[Host]]:
    """Three of which some will be killed."""
    async with hosts(tmp_path, upstream, new_postgres(), 3, CENT + PATIENT) as three:
        yield three


async def is_refused(gate: Host, key: str) -> bool:
    return (await gate.post(key)).status_code == 401


async def test_a_key_is_known_to_all_at_once_and_revoked_at_once(three: list[Host]) -> None:
    one, *others = three
    key = await one.key("gone")
    async with asyncio.timeout(AT_ONCE_S):
        replies = await asyncio.gather(*(gate.post(key) for gate in others))
    assert [reply.status_code for reply in replies] == [200, 200]
    await others[0].revoke("gone")
    await asyncio.gather(*(until(lambda gate=gate: is_refused(gate, key), AT_ONCE_S) for gate in three))


async def test_a_key_that_was_refused_is_known_once_it_is_made(three: list[Host]) -> None:
    """What is remembered of an unknown secret must not outlive the key that gets it."""
    one, two, _ = three
    old = await one.key("rotated")
    assert (await two.post(old)).status_code == 200
    keys = (await one.http.get("/admin/keys")).json()["keys"]
    (listed,) = [key for key in keys if key["name"] == "rotated"]
    reply = await one.http.post(f"/admin/keys/{listed['id']}/rotate", json={"overlap": "0s"})
    await until(lambda: is_refused(two, old), AT_ONCE_S)
    assert (await two.post(reply.json()["key"])).status_code == 200


async def test_streams_at_another_process_end_when_their_key_is_revoked(three: list[Host], upstream: FakeUpstream) -> None:
    one, two, _ = three
    key = await one.key("gone")
    upstream.script(faults.stall_mid_stream(valve=Valve()))
    async with two.http.stream("POST", CHAT, json={**HELLO, "stream": True}, headers={"authorization": f"Bearer {key}"}) as reply:
        pieces = reply.aiter_bytes()
        body = await anext(pieces)
        await one.revoke("gone")
        async with asyncio.timeout(AT_ONCE_S):
            async for piece in pieces:
                body += piece
    assert events_of(body)[-1]["error"]["code"] == "revoked_api_key"


async def test_a_reload_reaches_all(three: list[Host]) -> None:
    for gate in three:
        text = gate.file.read_text(encoding="utf-8")
        gate.file.write_text(f'[aliases]\nother = "lab/gpt-4.1"\n{text}', encoding="utf-8")
    reply = await three[1].http.post("/admin/reload")
    assert reply.json()["applied"] == ["aliases.other"]

    async def knows(gate: Host) -> bool:
        return (await gate.http.get("/v1/models/other")).status_code == 200

    await asyncio.gather(*(until(lambda gate=gate: knows(gate), AT_ONCE_S) for gate in three))


async def test_a_repetition_elsewhere_waits_for_the_first(three: list[Host], upstream: FakeUpstream) -> None:
    one, two, _ = three
    key = await one.key()
    valve = Valve()
    upstream.script(faults.hang_before_head(valve))
    first = asyncio.create_task(one.post(key, **{"idempotency-key": "once"}))
    await upstream.saw_requests()
    refused = await two.post(key, **{"idempotency-key": "once"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_in_progress")
    assert refused.headers["retry-after"] == "1"
    valve.open()
    answer = await first
    while (again := await two.post(key, **{"idempotency-key": "once"})).status_code == 409:  # it is kept just after it is given
        assert again.json()["error"]["code"] == "idempotency_in_progress"
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (200, answer.content, "true")
    assert len(upstream.requests) == 1


async def test_what_a_lost_process_had_begun_is_of_unknown_fate(mortal: list[Host], upstream: FakeUpstream) -> None:
    one, two, _ = mortal
    key = await one.key()
    upstream.script(faults.hang_before_head(Valve()))
    first = asyncio.create_task(one.post(key, **{"idempotency-key": "lost"}))
    await upstream.saw_requests()
    await one.ended(signal.SIGKILL)
    codes: list[str] = []

    async def is_given_up() -> bool:
        reply = await two.post(key, **{"idempotency-key": "lost"})
        assert reply.status_code == 409
        codes.append(reply.json()["error"]["code"])
        return codes[-1] == "idempotency_unknown"

    await until(is_given_up)
    assert set(codes) <= {"idempotency_in_progress", "idempotency_unknown"}
    assert len(upstream.requests) == 1
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], httpx2.TransportError)


async def test_one_killed_under_load_costs_the_others_no_call_and_nobody_pays_twice(
    mortal: list[Host], upstream: FakeUpstream
) -> None:
    key = await mortal[0].key(budget="1000/total")
    load = Load(mortal, key, CALLERS)
    await load.until_answered(100)
    load.expect_loss_of(mortal[1])
    await mortal[1].ended(signal.SIGKILL)
    load.forget(mortal[1])
    await load.until_answered(100)
    await load.end()
    assert not load.refusals
    assert len(load.unknown) <= CALLERS
    assert len(upstream.requests) <= len(load.ids) + len(load.unknown)
    rows = (await mortal[0].http.get("/v1/usage", params={"group_by": "key"})).json()["data"]
    assert sum(row["calls"] for row in rows) <= len(upstream.requests)
