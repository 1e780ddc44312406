"""openai-python's own retries: it does what the gate advises, and the advice is right."""

import asyncio
import re
from typing import Any

import openai
import pytest

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.clients.conftest import Connect
from tests.clients.openai_python import Sdk
from tests.support import RunningGate

pytestmark = pytest.mark.anyio

LAB = "lab/gpt-4.1"
QUESTION: list[Any] = [{"role": "user", "content": "Hello there, gate!"}]


def asking(**options: Any) -> Any:
    return lambda client: client.chat.completions.create(model=LAB, messages=QUESTION, **options)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_that_passes(sdk: Sdk, upstream: FakeUpstream, stream: bool) -> None:
    upstream.script(faults.status(500), faults.status(429, retry_after_ms=100))
    if stream:
        chunks = await sdk.stream(asking(stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    else:
        text = (await sdk.call(asking())).choices[0].message.content
    assert text == "Hello from the fake upstream."
    assert len(upstream.requests) == 3


async def test_a_gate_that_is_full_for_a_moment(connect: Connect, gate: RunningGate, upstream: FakeUpstream) -> None:
    sdk = await connect(await gate.key(concurrency=1))
    code, valve = "concurrency_limit_exceeded", Valve()
    before = await refusals(gate, code)
    upstream.script(faults.hang_before_head(valve=valve))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(sdk.call(asking()))
        await upstream.saw_requests(1)
        second = group.create_task(
            sdk.call(lambda client: client.chat.completions.with_raw_response.create(model=LAB, messages=QUESTION))
        )
        async with asyncio.timeout(20):
            while await refusals(gate, code) == before:
                pass
        valve.turn()
    assert first.result().choices[0].finish_reason == "stop"
    assert second.result().retries_taken == 1
    assert len(upstream.requests) == 2


async def test_a_rate_limit_that_is_over_soon(connect: Connect, gate: RunningGate) -> None:
    key = await gate.key(rpm=60)
    sdk = await connect(key)
    body = {"model": "builtin/echo", "messages": QUESTION}
    headers = {"authorization": f"Bearer {key}"}
    spent = await asyncio.gather(*(gate.http.post("/v1/chat/completions", json=body, headers=headers) for _ in range(62)))
    refusals = [reply for reply in spent if reply.status_code == 429]
    assert refusals and {reply.headers["retry-after"] for reply in refusals} == {"1"}
    raw = await sdk.call(lambda client: client.chat.completions.with_raw_response.create(**body))
    assert raw.retries_taken <= 1 and raw.parse().choices


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.status(409), openai.ConflictError),
        (faults.quota_exhausted(), openai.RateLimitError),
        (faults.status(402), openai.RateLimitError),
    ],
)
async def test_what_waiting_does_not_mend_is_not_repeated(
    sdk: Sdk, upstream: FakeUpstream, fault: Any, kind: type[openai.APIStatusError]
) -> None:
    upstream.script(fault)
    with pytest.raises(kind) as raised:
        await sdk.call(asking())
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 1


async def test_what_would_have_to_wait_for_hours_is_not_repeated(connect: Connect, gate: RunningGate) -> None:
    sdk = await connect(await gate.key(tpd=1))
    asked: dict[str, Any] = {"model": "builtin/echo", "messages": QUESTION}
    await sdk.call(lambda client: client.chat.completions.create(**asked))
    with pytest.raises(openai.RateLimitError) as raised:
        await sdk.call(lambda client: client.chat.completions.create(**asked))
    headers = raised.value.response.headers
    assert int(headers["retry-after"]) > 3600 and headers["x-should-retry"] == "false"


async def refusals(gate: RunningGate, code: str) -> float:
    """How many calls the gate has refused with `code`."""
    counts = re.findall(
        rf'aldgate_refusals_total{{code="{code}",operation="chat"}} (\S+)', (await gate.http.get("/metrics")).text
    )
    return float(counts[0]) if counts else 0
