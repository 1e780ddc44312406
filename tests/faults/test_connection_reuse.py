"""The tail of one reply never reaches another caller, and a connection is used again only when that is safe."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import Step, Valve, faults
from tests.faults.lab import HELLO, Lab, events_of, running_lab, within

CALLERS = 8
CALLS = 10
MODELS = [f"model-{caller}-{call}" for caller in range(CALLERS) for call in range(CALLS)]
"""Each call asks for a model of its own, which the fake provider names in its reply: so a mixed-up reply shows."""


async def all_callers(lab: Lab, *, stream: bool) -> list[httpx2.Response]:
    """Several callers at once, each with one call after the other."""

    async def caller(models: list[str]) -> list[httpx2.Response]:
        return [await lab.post({**HELLO, "model": model, "stream": stream}) for model in models]

    parts = [MODELS[start : start + CALLS] for start in range(0, len(MODELS), CALLS)]
    replies = await within(30, asyncio.gather(*map(caller, parts)))
    return [reply for part in replies for reply in part]


def model_in(reply: httpx2.Response, *, stream: bool) -> Any:
    return events_of(reply.content)[0]["model"] if stream else reply.json()["model"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("make", [faults.surplus_bytes, faults.surplus_reply, faults.dead_keepalive, faults.connection_close])
async def test_every_caller_gets_its_own_reply(make: Callable[[], Step], stream: bool, tmp_path: Path) -> None:
    async with running_lab(tmp_path, models=MODELS) as lab:
        lab.upstream.script(*(make() for _ in MODELS))
        replies = await all_callers(lab, stream=stream)
        assert [reply.status_code for reply in replies] == [200] * len(MODELS)
        assert [model_in(reply, stream=stream) for reply in replies] == MODELS
        assert sorted(request.json()["model"] for request in lab.upstream.requests) == sorted(MODELS)
        assert lab.upstream.connections == len(MODELS)
        await lab.is_quiet()


async def test_an_early_reply_is_not_followed_by_anothers(tmp_path: Path) -> None:
    async with running_lab(tmp_path, models=MODELS) as lab:
        lab.upstream.script(*(faults.early_reply() for _ in range(len(MODELS) // 2)))
        replies = await all_callers(lab, stream=False)
        early = [reply for reply in replies if reply.status_code == 400]
        assert [reply.json()["error"]["message"] for reply in early] == ["too soon"] * (len(MODELS) // 2)
        answered = [(reply.json()["model"], model) for reply, model in zip(replies, MODELS, strict=True) if reply not in early]
        assert len(answered) == len(MODELS) // 2
        assert all(said == asked for said, asked in answered)
        await lab.is_quiet()


async def test_a_reply_that_is_answered_while_its_body_is_sent_ends_the_connection(tmp_path: Path) -> None:
    long = {**HELLO, "user": "x" * 20_000_000}
    async with running_lab(tmp_path) as lab:
        lab.upstream.script(faults.early_reply())
        assert (await lab.post(long)).status_code == 400
        assert (await lab.post(HELLO)).status_code == 200
        assert lab.upstream.connections == 2
        assert [len(request.body) < 1000 for request in lab.upstream.requests] == [True]
        await lab.is_quiet()


async def test_what_arrives_on_an_idle_connection_ends_it(tmp_path: Path) -> None:
    valve = Valve()
    async with running_lab(tmp_path) as lab:
        lab.upstream.script(faults.surplus_reply(valve))
        assert (await lab.post(HELLO)).json()["id"] == "chatcmpl-upstream"
        valve.turn()  # written at once: the next call must not take it for its own reply
        assert (await lab.post(HELLO)).json()["id"] == "chatcmpl-upstream"
        assert lab.upstream.connections == 2


async def test_a_reply_before_any_request_is_nobodys(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        lab.upstream.script(faults.unasked_reply())
        refused = await lab.post(HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_unreachable")
        assert (await lab.post(HELLO)).json()["id"] == "chatcmpl-upstream"
        assert len(lab.upstream.requests) == 1


async def test_a_dead_connection_is_replaced_before_anything_is_sent(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        assert (await lab.post(HELLO)).status_code == 200
        lab.upstream.refuse()  # closes the idle connection
        await lab.upstream.listen()
        assert (await lab.post(HELLO)).status_code == 200
        assert (lab.upstream.connections, len(lab.upstream.requests)) == (2, 2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_was_sent_once_is_not_sent_again(stream: bool, tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        lab.upstream.script(faults.dead_on_reuse())
        assert (await lab.post(HELLO)).status_code == 200
        refused = await lab.post({**HELLO, "stream": stream})
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_broken")
        assert (lab.upstream.connections, len(lab.upstream.requests)) == (1, 1)
        assert (await lab.post(HELLO)).status_code == 200
        await lab.is_quiet()


async def test_a_cut_reply_takes_its_connection_with_it(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        lab.upstream.script(faults.die_mid_stream(), faults.die_mid_body(), faults.truncated_stream(after=2), faults.bad_event())
        for stream in (True, False, True, True):
            await lab.post({**HELLO, "stream": stream})
        reply = await lab.post(HELLO)
        assert reply.json()["choices"][0]["message"]["content"] == "Hello from the fake upstream."
        await lab.is_quiet()


async def test_no_more_connections_than_allowed(tmp_path: Path) -> None:
    valve = Valve()
    async with running_lab(tmp_path, max_connections=3) as lab:
        lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(3)))
        waiting = [asyncio.create_task(lab.post(HELLO)) for _ in range(3)]
        await within(2, lab.upstream.saw_requests(3))
        refused = await lab.post(HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        valve.open()
        assert [reply.status_code for reply in await asyncio.gather(*waiting)] == [200] * 3
        assert (await lab.post(HELLO)).status_code == 200
        assert lab.upstream.connections == 3
