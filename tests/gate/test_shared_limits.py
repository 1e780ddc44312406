"""Limits of keys and accounts over two gates that share PostgreSQL and Valkey."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.limiter.valkey.server import Server
from tests.servers import NewUrl
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio
CALL = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}


@asynccontextmanager
async def gates(
    tmp_path: Path, url: str, valkey: Server, config: str = "", **flags: str
) -> AsyncIterator[tuple[RunningGate, RunningGate]]:
    shared = {"store": url, "valkey.url": valkey.url, "valkey.timeout_ms": "2000", **flags}
    async with FakeUpstream() as upstream:
        providers = {"lab": lab(upstream.url)}
        async with (
            running_gate(tmp_path / "one", providers=providers, flags=shared, config=config) as one,
            running_gate(tmp_path / "two", providers=providers, flags=shared, config=config) as two,
        ):
            yield one, two


async def call(gate: RunningGate, key: str, model: str = "gpt-4.1") -> httpx2.Response:
    return await gate.http.post("/v1/chat/completions", json=CALL | {"model": model}, headers={"authorization": f"Bearer {key}"})


async def statuses(both: tuple[RunningGate, RunningGate], key: str, each: int) -> list[int]:
    replies = await asyncio.gather(*(call(gate, key) for gate in both for _ in range(each)))
    return sorted(reply.status_code for reply in replies)


async def test_a_rate_holds_over_both(tmp_path: Path, new_postgres: NewUrl, valkey: Server) -> None:
    async with gates(tmp_path, new_postgres(), valkey) as both:
        key = await both[0].key(rpm=10)
        assert await statuses(both, key, 12) == [200] * 10 + [429] * 14
        refused = await call(both[1], key)
        assert int(refused.headers["retry-after"]) >= 1 and "10 requests per minute" in refused.text


async def test_limits_of_a_team_are_of_all_its_keys(tmp_path: Path, new_postgres: NewUrl, valkey: Server) -> None:
    async with gates(tmp_path, new_postgres(), valkey) as both:
        made = await both[0].http.post("/admin/teams", json={"name": "blue", "policy": {"limits": {"rpm": 6}}})
        assert made.status_code == 201, made.text
        keys = [await gate.key(owner="team:blue", rpm=5) for gate in both]
        replies = await asyncio.gather(*(call(gate, key) for gate in both for key in keys for _ in range(5)))
        assert sorted(reply.status_code for reply in replies) == [200] * 6 + [429] * 14
        refusal = next(reply for reply in replies if reply.status_code == 429 and "team" in reply.text)
        assert "6 requests per minute of team `blue`" in refusal.text


async def test_headers_tell_how_the_key_stands_over_both(tmp_path: Path, new_postgres: NewUrl, valkey: Server) -> None:
    async with gates(tmp_path, new_postgres(), valkey) as (one, two):
        key = await one.key(rpm=10, concurrency=5)
        await call(one, key)
        reply = await call(two, key)
        assert (reply.headers["x-ratelimit-remaining-requests"], reply.headers["ratelimit-limit"]) == ("8", "10")
        explained = await two.http.post("/v1/explain", json=EXPLAINED, headers={"authorization": f"Bearer {key}"})
        left = {limit["what"]: limit["left"] for limit in explained.json()["limits"]}
        assert left == {"requests per minute": 8, "calls at once": 5}


EXPLAINED: dict[str, Any] = {"path": "/v1/chat/completions", "body": CALL}


@pytest.mark.parametrize(
    ("flags", "status"), [({}, 503), ({"valkey.on_failure": "open"}, 200), ({"valkey.open_limits": "rpm"}, 200)]
)
async def test_while_valkey_is_away_each_limit_does_as_it_was_told(
    tmp_path: Path, new_postgres: NewUrl, valkey: Server, flags: dict[str, str], status: int
) -> None:
    async with gates(tmp_path, new_postgres(), valkey, **flags) as both:
        key, unlimited = await both[0].key(rpm=100), await both[0].key(budget="1.00/day")
        assert await statuses(both, key, 1) == [200, 200]
        valkey.stop()
        assert await statuses(both, key, 2) == [status] * 4
        assert await statuses(both, unlimited, 2) == [200] * 4
        under_way = [gate.app.gate.slices.held for gate in both]
        assert under_way == [0, 0]
        valkey.start()
        async with asyncio.timeout(20):
            while await statuses(both, key, 1) != [200, 200]:
                pass


async def test_a_flush_frees_no_cent(tmp_path: Path, new_postgres: NewUrl, valkey: Server) -> None:
    async with gates(tmp_path, new_postgres(), valkey, **{"limits.recall_ms": "10000"}) as both:
        key = await both[0].key(rpm=1000, budget="0.001/total")
        first = await statuses(both, key, 2)
        valkey.ask("FLUSHALL")
        later = await statuses(both, key, 20)
        assert 200 in first and 402 in later
        for gate in both:
            await gate.app.writer.committed()
        (sums,) = await both[0].usage(key, group_by="key")
        assert 0 < sums["cost_microusd"] <= 1_000


async def test_the_limit_of_a_name_holds_over_both_and_over_its_aliases(
    tmp_path: Path, new_postgres: NewUrl, valkey: Server
) -> None:
    config = '[routes.fast]\ndeployments = ["lab/gpt-4.1"]\nrpm = 3\n[aliases]\nquick = "fast"\n'
    async with gates(tmp_path, new_postgres(), valkey, config) as both:
        keys = [await gate.key() for gate in both]
        asked = [(gate, key, model) for gate, key in zip(both, keys, strict=True) for model in ("fast", "quick", "quick")]
        replies = await asyncio.gather(*(call(*each) for each in asked))
        assert sorted(reply.status_code for reply in replies) == [200] * 3 + [429] * 3
