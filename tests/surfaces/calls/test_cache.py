"""Kept answers: the same to the byte, for the same account alone, free, bounded, and only where somebody asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Peek
from aldgate.core.errors import InvalidRequest
from aldgate.surfaces.calls.cache import Cache, Terms
from aldgate.surfaces.calls.recorder import Recorder
from aldgate.testing.upstream import Valve, faults
from tests.faults.lab import HELLO, PRICES, Lab, running_lab, within

STREAM = {**HELLO, "stream": True}
ASKED = {"x-aldgate-cache": "10m"}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        yield lab


def how(reply: Any) -> tuple[int, str | None]:
    return reply.status_code, reply.headers.get("x-aldgate-cache")


@pytest.mark.anyio
@pytest.mark.parametrize("body", [HELLO, STREAM])
async def test_a_hit_is_the_same_to_the_byte_and_costs_nothing(lab: Lab, body: dict[str, Any]) -> None:
    key = await lab.gate.key(rpm=10, tpm=100_000, budget="1.00/month")
    first = await lab.post(body, key, **ASKED)
    reordered = json.dumps(dict(reversed(body.items())), indent=2).encode()
    again = await lab.post(reordered, key, **ASKED)
    assert (how(first), how(again)) == ((200, "miss"), (200, "hit"))
    assert again.content == first.content
    for name in ("content-type", "x-aldgate-model"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["age"] == "0" and "age" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert lab.upstream.calls == 1
    made, given_again = [await lab.row(reply.headers["x-request-id"]) for reply in (first, again)]
    assert made is not None and made["cost_microusd"] > 0
    assert given_again is not None
    assert [given_again[name] for name in ("status", "usage_source", "cost_microusd", "input_tokens")] == [200, "cache", 0, 0]
    assert int(again.headers["x-ratelimit-remaining-requests"]) == int(first.headers["x-ratelimit-remaining-requests"]) - 1
    await lab.is_quiet()


@pytest.mark.anyio
async def test_a_stream_comes_again_in_the_pieces_it_came_in(lab: Lab) -> None:
    lab.upstream.script(faults.split_every(size=100))
    await lab.post(STREAM, **ASKED)
    cache = lab.gate.app.cache
    (kept,) = cache._kept.values()  # pyright: ignore[reportPrivateUsage]
    again = await lab.post(STREAM, **ASKED)
    assert b"".join(kept.pieces) == again.content and len(kept.pieces) > 1


@pytest.mark.anyio
async def test_nothing_is_kept_unless_somebody_asks(lab: Lab) -> None:
    for _ in range(2):
        assert how(await lab.post(HELLO)) == (200, None)
    assert (lab.upstream.calls, lab.gate.app.cache.bytes) == (2, 0)


@pytest.mark.anyio
async def test_accounts_dialects_and_requests_do_not_share(lab: Lab) -> None:
    one, other = await lab.gate.key(), await lab.gate.key()
    assert how(await lab.post(HELLO, one, **ASKED)) == (200, "miss")
    assert how(await lab.post(HELLO, other, **ASKED)) == (200, "miss")
    assert how(await lab.post({**HELLO, "seed": 1}, one, **ASKED)) == (200, "miss")
    assert how(await lab.post(STREAM, one, **ASKED)) == (200, "miss")
    assert how(await lab.post(HELLO, one, **ASKED)) == (200, "hit")


@pytest.mark.anyio
@pytest.mark.parametrize("body", [HELLO, STREAM])
async def test_the_same_at_once_is_asked_once(lab: Lab, body: dict[str, Any]) -> None:
    valve = Valve()
    key = await lab.gate.key(concurrency=10)
    lab.upstream.script(faults.hang_before_head(valve))
    calls = [asyncio.create_task(lab.post(body, key, **ASKED)) for _ in range(5)]
    await within(5, lab.upstream.saw_requests(1))
    await within(5, _under_way(lab, 5))
    valve.open()
    replies = await within(5, asyncio.gather(*calls))
    assert sorted(how(reply) for reply in replies) == [(200, "hit")] * 4 + [(200, "miss")]
    assert len({reply.content for reply in replies}) == 1 and len(lab.upstream.requests) == 1
    await lab.is_quiet()


async def _under_way(lab: Lab, calls: int) -> None:
    while lab.gate.app.gate.under_way < calls:
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_when_the_first_fails_the_next_tries_and_who_leaves_holds_nothing(lab: Lab) -> None:
    valve = Valve()
    lab.upstream.script(faults.hang_before_head(valve), faults.status(500))
    calls = [asyncio.create_task(lab.post(HELLO, **ASKED)) for _ in range(3)]
    await within(5, _under_way(lab, 3))
    await within(5, lab.upstream.saw_requests(1))
    calls[0].cancel()  # whichever it was, two are left
    await within(5, _under_way_at_most(lab, 2))
    valve.open()
    replies = [
        reply for reply in await within(5, asyncio.gather(*calls, return_exceptions=True)) if not isinstance(reply, BaseException)
    ]
    assert {how(reply)[0] for reply in replies} <= {200, 502} and len(replies) == 2
    await lab.is_quiet()


async def _under_way_at_most(lab: Lab, calls: int) -> None:
    while lab.gate.app.gate.under_way > calls:
        await asyncio.sleep(0)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (HELLO, faults.status(400)),
        (HELLO, faults.status(500)),
        (STREAM, faults.truncated_stream(after=3)),
        (STREAM, faults.die_mid_stream()),
        (STREAM, faults.error_in_stream()),
    ],
)
async def test_errors_and_broken_streams_are_not_kept(lab: Lab, body: dict[str, Any], fault: Any) -> None:
    lab.upstream.script(fault)
    await lab.post(body, **ASKED)
    assert lab.gate.app.cache.bytes == 0
    assert how(await lab.post(body, **ASKED)) == (200, "miss")


@pytest.mark.anyio
async def test_the_callers_cache_control_is_honoured(lab: Lab) -> None:
    assert how(await lab.post(HELLO, **{"cache-control": "max-age=60"})) == (200, "miss")
    assert how(await lab.post(HELLO, **{"cache-control": "max-age=60"})) == (200, "hit")
    assert how(await lab.post(HELLO, **ASKED, **{"cache-control": "no-store"})) == (200, None)
    assert how(await lab.post(HELLO, **ASKED, **{"cache-control": "no-cache"})) == (200, "miss")
    assert how(await lab.post(HELLO, **{"cache-control": "no-cache"})) == (200, None)
    only = {"cache-control": "only-if-cached"}
    assert how(await lab.post(HELLO, **only)) == (200, "hit")
    made = lab.upstream.calls
    for none in ({"cache-control": "only-if-cached, no-store"}, {"cache-control": "only-if-cached, no-cache"}, only):
        reply = await lab.post({**HELLO, "seed": 1} if none is only else HELLO, **none)
        assert (reply.status_code, reply.json()["error"]["code"]) == (504, "nothing_kept")
        assert reply.headers["x-should-retry"] == "false"
    assert lab.upstream.calls == made
    reply = await lab.post(HELLO, **{"x-aldgate-cache": "soon"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "x-aldgate-cache")
    await lab.is_quiet()


@pytest.mark.anyio
async def test_a_models_answers_are_kept_where_the_operator_says_so_and_a_reload_forgets_them(tmp_path: Path) -> None:
    config = PRICES + '[cache.models]\n"gpt-4.1" = "1h"\n'
    async with running_lab(tmp_path, config=config, flags={"reload.watch": "false"}) as lab:
        cold, warm = {**HELLO, "temperature": 0}, {**HELLO, "temperature": 0.5}
        assert [how(await lab.post(body)) for body in (cold, cold)] == [(200, "miss"), (200, "hit")]
        assert [how(await lab.post(body)) for body in (warm, warm)] == [(200, None), (200, None)]
        assert [how(await lab.post(warm, **ASKED)) for _ in range(2)] == [(200, "miss"), (200, "hit")]
        assert how(await lab.post(cold, **{"x-aldgate-cache": "no"})) == (200, None)
        file = tmp_path / "aldgate.toml"
        file.write_text(file.read_text().replace('"1h"', '"2h"'))
        answer = (await lab.gate.http.post("/admin/reload")).json()
        assert (answer["applied"], lab.gate.app.cache.bytes) == (["cache.models.gpt-4.1"], 0)
        assert how(await lab.post(cold)) == (200, "miss")


@pytest.mark.anyio
async def test_a_route_keeps_answers_under_its_name_and_its_aliases(tmp_path: Path) -> None:
    config = PRICES + '[routes.team]\ndeployments = ["lab/gpt-4.1"]\ncache = "1h"\n[aliases]\nours = "team"\n'
    async with running_lab(tmp_path, config=config) as lab:
        cold = {**HELLO, "temperature": 0}
        asked = [{**cold, "model": model} for model in ("team", "team", "ours", "ours", "lab/gpt-4.1")]
        assert [how(await lab.post(body))[1] for body in asked] == ["miss", "hit", "miss", "hit", None]
        unset = {**HELLO, "model": "team"}
        assert [how(await lab.post(body))[1] for body in (unset, unset)] == [None, None]


@pytest.mark.anyio
async def test_an_unset_temperature_is_chance_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    config = PRICES + '[cache]\nunset_temperature = true\n[cache.models]\n"gpt-4.1" = "1h"\n'
    async with running_lab(tmp_path, config=config) as lab:
        assert [how(await lab.post(HELLO))[1] for _ in range(2)] == ["miss", "hit"]
        assert how(await lab.post({**HELLO, "temperature": 1}))[1] is None


def test_what_has_no_temperature_is_kept_without_one() -> None:
    kept = {operation: Cache({"m": 5}, 1).terms({}, operation, Peek(b"{}", "m")) for operation in ("chat", "complete", "embed")}
    assert [operation for operation, terms in kept.items() if terms is not None] == ["embed"]


class Discard:
    is_lost = False

    def begin(self, status: int, headers: Any) -> None: ...

    def write(self, piece: bytes) -> bool:
        return True

    def end(self, piece: bytes) -> None: ...


def answer(*pieces: bytes, status: int = 200) -> Recorder:
    recorder = Recorder(Discard(), 1000)
    recorder.begin(status, [])
    for piece in pieces[:-1]:
        recorder.write(piece)
    recorder.end(pieces[-1])
    return recorder


TERMS = Terms(b"", 10, 10, may_read=True)


@given(st.lists(st.tuples(st.binary(max_size=1), st.lists(st.binary(max_size=600), min_size=1, max_size=3)), max_size=30))
def test_it_never_holds_more_than_it_may_and_counts_what_it_holds(kept: list[tuple[bytes, list[bytes]]]) -> None:
    cache = Cache({}, 3000, now=lambda: 0.0)
    for key, pieces in kept:
        cache.keep(key, TERMS, answer(*pieces))
        assert cache.bytes <= 3000
        assert cache.bytes == sum(each.size for each in cache._kept.values())  # pyright: ignore[reportPrivateUsage]


def test_what_was_used_least_recently_goes_first_and_what_is_old_is_not_given() -> None:
    now = 0.0
    cache = Cache({}, 2500, now=lambda: now)
    for key in (b"a", b"b", b"c"):
        cache.keep(key, TERMS, answer(b"x" * 200))
        asyncio.run(cache.find(b"a", TERMS))
    cache.keep(b"d", TERMS, answer(b"x" * 200))
    found = {key: asyncio.run(cache.find(key, TERMS)) is not None for key in (b"a", b"b", b"c", b"d")}
    assert found == {b"a": True, b"b": False, b"c": True, b"d": True}
    now = 9.0
    assert asyncio.run(cache.find(b"a", Terms(b"", 10, 5, may_read=True))) is None
    assert asyncio.run(cache.find(b"a", TERMS)) is not None
    now = 10.0
    assert asyncio.run(cache.find(b"a", TERMS)) is None


@pytest.mark.parametrize("recorded", [answer(b"x" * 1001), answer(b"x", status=500), Recorder(Discard(), 9)])
def test_what_is_too_large_bad_or_unfinished_is_not_kept(recorded: Recorder) -> None:
    cache = Cache({}, 10_000)
    cache.keep(b"a", TERMS, recorded)
    assert cache.bytes == 0


@pytest.mark.parametrize(
    ("headers", "keep_s", "may_read"),
    [
        ({}, None, True),
        ({b"cache-control": b"no-cache"}, None, True),
        ({b"cache-control": b"max-age=0"}, None, True),
        ({b"cache-control": b"max-age=x, only-if-cached"}, 0, True),
        ({b"cache-control": b'Private, Max-Age="30"'}, 30, True),
        ({b"x-aldgate-cache": b" 2h "}, 7200, True),
        ({b"x-aldgate-cache": b"2h", b"cache-control": b"no-cache"}, 7200, False),
        ({b"x-aldgate-cache": b"2h", b"cache-control": b"no-store"}, None, True),
    ],
)
def test_terms_are_read_from_the_headers(headers: dict[bytes, bytes], keep_s: int | None, may_read: bool) -> None:
    terms = Cache({}, 1).terms(headers, "chat", Peek(b"{}", "m"))
    assert (terms is None) if keep_s is None else (terms is not None and (terms.keep_s, terms.may_read) == (keep_s, may_read))


def test_a_length_of_time_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Cache({}, 1).terms({b"x-aldgate-cache": b"\xff"}, "chat", Peek(b"{}", "m"))


@pytest.mark.parametrize(
    ("body", "is_cached"),
    [
        (b"{}", True),
        (b'{"temperature":0}', True),
        (b'{"temperature":null}', True),
        (b'{"temperature":0.1}', False),
        (b'{"generationConfig":{"temperature":1}}', False),
        (b'{"options":{"temperature":1}}', False),
        (b'{"x":"\xff"}', False),
    ],
)
def test_chance_is_not_kept_by_the_operators_word_alone(body: bytes, is_cached: bool) -> None:
    assert (Cache({"m": 5}, 1, keeps_unset=True).terms({}, "chat", Peek(body, "m")) is not None) is is_cached
