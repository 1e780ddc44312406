"""`Idempotency-Key`: however often a call is repeated, it is made once, paid once and answered the same."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from aldgate.surfaces.calls.idempotency import asked_by
from aldgate.testing.upstream import FakeUpstream, Step, Valve, faults
from tests.faults.lab import HELLO, Lab, running_lab, within
from tests.faults.wire import request, wire
from tests.support import lab as table
from tests.support import running_gate

STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path_factory.mktemp("gate")) as lab:
        yield lab


@pytest.fixture
async def key(lab: Lab) -> str:
    lab.upstream.requests.clear()
    return await lab.gate.key(rpm=1000, tpm=1_000_000, concurrency=100, budget="100/total")


async def post(lab: Lab, key: str, name: str, **fields: object) -> httpx2.Response:
    return await within(5, lab.post({**HELLO, **fields}, key, **{"idempotency-key": name}))


def is_replay(reply: httpx2.Response) -> bool:
    return reply.headers.get("idempotent-replayed") == "true"


@STREAMS
async def test_the_same_call_gets_the_same_answer(stream: bool, lab: Lab, key: str) -> None:
    first, *others = [await post(lab, key, f"same-{stream}", stream=stream) for _ in range(3)]
    assert (first.status_code, is_replay(first)) == (200, False)
    for other in others:
        assert (other.status_code, other.content, is_replay(other)) == (200, first.content, True)
        for name in ("content-type", "x-request-id"):
            assert other.headers[name] == first.headers[name]
    assert len(lab.upstream.requests) == 1
    assert [row["calls"] for row in await lab.gate.usage(key)] == [1]
    await lab.is_quiet()


@STREAMS
async def test_callers_who_repeat_themselves_at_once_make_one_call(stream: bool, lab: Lab, key: str) -> None:
    valve = Valve()
    lab.upstream.script(faults.stall_mid_stream(valve=valve) if stream else faults.hang_before_head(valve))
    racing = [asyncio.create_task(post(lab, key, "at-once", stream=stream)) for _ in range(20)]
    await within(2, lab.upstream.saw_requests())
    valve.open()
    replies = await asyncio.gather(*racing)
    assert {(reply.status_code, reply.content) for reply in replies} == {(200, replies[0].content)}
    assert sorted(map(is_replay, replies)) == [False] + [True] * 19
    assert len(lab.upstream.requests) == 1
    assert [row["calls"] for row in await lab.gate.usage(key)] == [1]


async def test_another_body_is_a_conflict(lab: Lab, key: str) -> None:
    valve = Valve()
    lab.upstream.script(faults.hang_before_head(valve))
    first = asyncio.create_task(post(lab, key, "other-body"))
    await within(2, lab.upstream.saw_requests())
    during = await post(lab, key, "other-body", n=2)
    valve.open()
    assert (await first).status_code == 200
    after = await post(lab, key, "other-body", n=2)
    for refused in (during, after):
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert (await post(lab, key, "other-body")).content == (await first).content


async def test_another_path_is_a_conflict(lab: Lab, key: str) -> None:
    body = json.dumps({**HELLO, "prompt": "x", "input": "x"}).encode()
    headers = {"authorization": f"Bearer {key}", "idempotency-key": "other-path", "content-type": "application/json"}
    replies = [
        await lab.gate.http.post(path, content=body, headers=headers)
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
    ]
    assert [reply.status_code for reply in replies] == [200, 409, 409]
    assert {reply.json()["error"]["code"] for reply in replies[1:]} == {"idempotency_conflict"}


async def test_another_query_or_choice_of_anthropics_is_a_conflict(lab: Lab, key: str) -> None:
    body = json.dumps({**HELLO, "max_tokens": 9}).encode()
    headers = {"authorization": f"Bearer {key}", "idempotency-key": "chosen", "content-type": "application/json"}
    statuses = [
        (await lab.gate.http.post(f"/v1/messages{query}", content=body, headers=headers | more)).status_code
        for query, more in (
            ("", {}),
            ("", {"user-agent": "another"}),
            ("?beta=true", {}),
            ("", {"anthropic-version": "2023-06-01"}),
            ("", {}),
        )
    ]
    assert statuses == [200, 200, 409, 409, 200]


def test_a_credential_in_the_query_is_no_part_of_the_request() -> None:
    scope = {"path": "/v1beta/models/m:streamGenerateContent", "query_string": b"key=secret&alt=sse"}
    assert asked_by(scope, {}) == b"/v1beta/models/m:streamGenerateContent?alt=sse"
    assert asked_by({"path": "/a", "query_string": b"key=secret"}, {b"host": b"x"}) == b"/a"


async def test_keys_of_different_callers_are_different(lab: Lab, key: str) -> None:
    other = await lab.gate.key()
    assert not is_replay(await post(lab, key, "whose"))
    assert not is_replay(await post(lab, other, "whose", n=2))
    assert len(lab.upstream.requests) == 2


@pytest.mark.parametrize(
    "make", [faults.status, faults.garbage, faults.die_mid_body, faults.error_first_in_stream, faults.not_json]
)
@STREAMS
async def test_a_failure_lets_the_key_go(stream: bool, make: Callable[[], Step], lab: Lab, key: str) -> None:
    name = f"{make.__name__}-{stream}"
    lab.upstream.script(make())
    if stream and make is faults.die_mid_body:
        return await is_kept(lab, key, name)
    assert (await post(lab, key, name, stream=stream)).status_code >= 500
    again = await post(lab, key, name, stream=stream)
    assert (again.status_code, is_replay(again)) == (200, False)
    assert (await post(lab, key, name, stream=stream)).content == again.content
    assert len(lab.upstream.requests) == 2


async def is_kept(lab: Lab, key: str, name: str) -> None:
    """What was delivered in part was paid for: the repetition gets the same part."""
    first, again = [await post(lab, key, name, stream=True) for _ in range(2)]
    assert b'"code":"upstream_broken"' in first.content
    assert (again.content, is_replay(again)) == (first.content, True)
    assert len(lab.upstream.requests) == 1


async def test_a_refusal_lets_the_key_go(lab: Lab) -> None:
    poor = await lab.gate.key(budget="0.001/total")
    assert (await post(lab, poor, "refused", max_tokens=10**6)).status_code == 402
    assert (await post(lab, poor, "refused", max_tokens=1)).status_code == 200


@STREAMS
async def test_a_caller_who_left_finds_the_answer_when_back(stream: bool, lab: Lab, key: str) -> None:
    lab.upstream.requests.clear()
    valve, left = Valve(), lab.upstream.closed_early
    lab.upstream.script(faults.stall_mid_stream(valve=valve) if stream else faults.hang_before_head(valve))
    body = {**HELLO, "stream": stream}
    async with wire(lab.gate.port) as connection:
        connection.send(request(key, body, "idempotency-key: left"))
        await within(2, lab.upstream.saw_requests())
        if stream:
            await connection.read_head()
        connection.leave()
    back = asyncio.create_task(lab.post(body, key, **{"idempotency-key": "left"}))
    valve.open()
    reply = await within(5, back)
    assert (reply.status_code, is_replay(reply)) == (200, True)
    assert b"upstream." in reply.content
    assert (len(lab.upstream.requests), lab.upstream.closed_early) == (1, left)
    row = await lab.row(reply.headers["x-request-id"])
    assert row is not None and (row["status"], row["usage_source"], row["output_tokens"]) == (200, "reported", 5)
    await lab.is_quiet()


@pytest.mark.parametrize("name", ["", "x" * 256, "two words", "\u00e4"])
async def test_a_key_that_is_none_is_400(name: str, lab: Lab, key: str) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(request(key, HELLO, f"idempotency-key: {name}"))
        answer = await connection.answer()
        assert (answer.status, answer.code) == (400, "invalid_request")
    assert lab.upstream.requests == []


async def test_answers_outlive_the_gate(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        providers = {"lab": table(upstream.url)}
        replies: list[httpx2.Response] = []
        key = ""
        for stream in (False, True) * 2:
            async with running_gate(tmp_path, providers=providers) as gate:
                key = key or await gate.key()
                headers = {"authorization": f"Bearer {key}", "idempotency-key": f"kept-{stream}"}
                replies.append(await gate.http.post("/v1/chat/completions", json={**HELLO, "stream": stream}, headers=headers))
        assert [is_replay(reply) for reply in replies] == [False, False, True, True]
        assert [reply.content for reply in replies[2:]] == [reply.content for reply in replies[:2]]
        assert len(upstream.requests) == 2
