"""Streams under a budget reserve as they go on: with the money they end, said clearly, and never a micro-dollar later."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from aldgate.testing.upstream import FakeUpstream, Reply, Valve, faults
from tests.faults.lab import CHAT, HELLO, Lab, events_of, running_lab, within, words_in
from tests.gate.test_watch import Stream
from tests.support import running_gate

pytestmark = pytest.mark.anyio
WORDS = 400
LONG = Reply(chunks=WORDS, completion_tokens=WORDS)
STEP = {"limits.stream_step_tokens": "16"}
INPUT, OUTPUT = 2, 8
"""Micro-dollars per token."""
ASK = {**HELLO, "stream": True, "max_tokens": WORDS}
BUDGET_MICROUSD = 1_500


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path, reply=LONG, flags=STEP) as lab:
        yield lab


def dollars(microusd: int, period: str = "total") -> str:
    return f"{microusd / 1e6:.6f}/{period}"


def error_of(events: list[Any]) -> dict[str, Any]:
    assert "[DONE]" not in events
    return events[-1]["error"]


async def test_a_stream_goes_on_as_long_as_the_budget_lasts_and_then_says_so(lab: Lab) -> None:
    key = await lab.gate.key(budget=dollars(BUDGET_MICROUSD))
    reply = await lab.post(ASK, key)
    events = events_of(reply.content)
    error = error_of(events)
    assert (reply.status_code, error["code"], error["type"]) == (200, "budget_exceeded", "insufficient_quota")
    assert error["message"].startswith("The stream was cut: the next part of this stream may cost up to $0.00")
    assert "left of the total budget of $0.0015" in error["message"]
    await lab.is_quiet()
    (row,) = await lab.rows()
    body = len(json.dumps(ASK).encode())
    paid = (BUDGET_MICROUSD - body * INPUT) // OUTPUT
    assert row["output_tokens"] == paid and words_in(events) <= paid, "all that the budget pays for beside the input's bound"
    assert (row["error_code"], row["usage_source"]) == ("budget_exceeded", "counted")
    assert row["cost_microusd"] <= BUDGET_MICROUSD


async def test_the_provider_sees_within_a_second_that_the_budget_is_spent(lab: Lab) -> None:
    key = await lab.gate.key(budget=dollars(BUDGET_MICROUSD))
    lab.upstream.script(faults.endless_stream(pace_s=0.002))
    stream = Stream(lab, key, ask=ASK)
    await within(10, stream.task)
    error_of(events_of(stream.body))
    async with asyncio.timeout(1):
        while not lab.upstream.closed_early:
            await asyncio.sleep(0)
    await lab.is_quiet()
    (row,) = await lab.rows()
    assert (row["error_code"], row["cost_microusd"] <= BUDGET_MICROUSD) == ("budget_exceeded", True)


async def test_a_stream_that_the_budget_lasts_for_is_not_touched(lab: Lab) -> None:
    key = await lab.gate.key(budget="1.00/total")
    reply = await lab.post(ASK, key)
    assert (events_of(reply.content)[-1], words_in(events_of(reply.content))) == ("[DONE]", WORDS)
    await lab.is_quiet()
    (row,) = await lab.rows()
    assert (row["output_tokens"], row["usage_source"], row["cost_microusd"]) == (WORDS, "reported", 10 * INPUT + WORDS * OUTPUT)


async def test_streams_at_once_hold_what_they_have_come_to_and_not_all_they_may(lab: Lab) -> None:
    """Two of them may come to more than there is, and both may begin."""
    key = await lab.gate.key(budget=dollars(5_000))
    valve = Valve()
    lab.upstream.script(*(faults.stall_mid_stream(after=3, valve=valve) for _ in range(2)))
    streams = [Stream(lab, key, ask=ASK) for _ in range(2)]
    await within(5, asyncio.gather(*(stream.has_begun.wait() for stream in streams)))
    assert 0 < lab.gate.app.gate.slices.held < WORDS * OUTPUT
    valve.open()
    await within(10, asyncio.gather(*(stream.task for stream in streams)))
    await lab.is_quiet()
    rows = await lab.rows()
    assert sum(row["cost_microusd"] for row in rows) <= 5_000
    assert [row["error_code"] for row in rows].count("budget_exceeded") <= 1


@pytest.mark.parametrize("reasons", ["reasoning_effort", "thinking"])
async def test_what_may_think_unseen_is_held_for_as_a_whole(lab: Lab, reasons: str) -> None:
    key = await lab.gate.key(budget=dollars(BUDGET_MICROUSD))
    reply = await lab.post({**ASK, reasons: "low"}, key)
    assert reply.status_code == 402 and "This call may cost up to" in reply.text


async def test_a_first_step_that_does_not_fit_is_refused(lab: Lab) -> None:
    key = await lab.gate.key(budget=dollars(150))
    reply = await lab.post(ASK, key)
    assert reply.status_code == 402
    assert reply.json()["error"]["message"].startswith("The first part of this stream may cost up to")


async def test_soft_budgets_hold_an_estimate_and_cut_nobody(lab: Lab) -> None:
    key = await lab.gate.key(policy={"budgets": [{"microusd": 6_000, "period": "total", "is_soft": True}]})
    valve = Valve()
    lab.upstream.script(faults.stall_mid_stream(after=3, valve=valve))
    stream = Stream(lab, key, ask={**ASK, "max_tokens": 2_000})
    await within(5, stream.has_begun.wait())
    assert 0 < lab.gate.app.gate.slices.held <= 512 * OUTPUT + 200
    valve.open()
    await within(10, stream.task)
    assert events_of(stream.body)[-1] == "[DONE]"
    await lab.is_quiet()


FACES = {
    "openai": (CHAT, {**ASK, "model": "lab/gpt-4.1"}, b"budget_exceeded"),
    "responses": (
        "/v1/responses",
        {"model": "lab/gpt-4.1", "input": "hello", "stream": True, "max_output_tokens": WORDS},
        b"event: response.failed",
    ),
    "anthropic": (
        "/v1/messages",
        {"model": "lab/gpt-4.1", "max_tokens": WORDS, "stream": True, "messages": [{"role": "user", "content": "hello"}]},
        b"event: error",
    ),
    "gemini": (
        "/v1beta/models/lab/gpt-4.1:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "generationConfig": {"maxOutputTokens": WORDS}},
        b'"error"',
    ),
    "ollama": (
        "/api/chat",
        {"model": "lab/gpt-4.1", "messages": [{"role": "user", "content": "hello"}], "options": {"num_predict": WORDS}},
        b'"error"',
    ),
}


def last_event(body: bytes) -> bytes:
    """Without the mark that ends every stream of responses, failed ones included."""
    return body.strip().removesuffix(b"data: [DONE]").strip().rpartition(b"\n\n")[2]


@pytest.mark.parametrize("face", FACES)
async def test_every_face_says_that_the_stream_was_cut(lab: Lab, face: str) -> None:
    """All but OpenAI's are translated."""
    path, body, sign = FACES[face]
    key = await lab.gate.key(budget=dollars(BUDGET_MICROUSD))
    reply = await lab.gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    last = last_event(reply.content)
    assert sign in last and b"The stream was cut" in last, reply.content[-500:]
    await lab.is_quiet()
    (row,) = await lab.rows()
    assert (row["error_code"], row["cost_microusd"] <= BUDGET_MICROUSD) == ("budget_exceeded", True)


NATIVE = {"anthropic": ("anthropic", "claude-sonnet-4-5"), "gemini": ("gemini", "gemini-1.5-pro")}


@pytest.mark.parametrize("face", NATIVE)
async def test_what_passes_through_is_cut_too(tmp_path: Path, face: str) -> None:
    kind, model = NATIVE[face]
    path, body, sign = FACES[face]
    path = path.replace("lab/gpt-4.1", f"native/{model}")
    body = {**body, "model": f"native/{model}"} if "model" in body else body
    async with FakeUpstream(reply=LONG) as upstream:
        table = {"kind": kind, "base_url": upstream.url.removesuffix("/v1"), "api_key": "env:LAB_KEY", "models": [model]}
        if kind == "gemini":
            table["base_url"] += "/v1beta"
        prices = f'[prices."native/{model}"]\ninput = {INPUT}\noutput = {OUTPUT}\n'
        async with running_gate(tmp_path, providers={"native": table}, config=prices, flags=STEP) as gate:
            key = await gate.key(budget=dollars(BUDGET_MICROUSD))
            reply = await gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})
            assert reply.status_code == 200, reply.text
            last = last_event(reply.content)
            assert sign in last and b"The stream was cut" in last, reply.content[-500:]
            (row,) = await gate.usage(key)
            assert 0 < row["cost_microusd"] <= BUDGET_MICROUSD


async def test_a_turn_over_a_socket_is_cut_and_the_socket_stays(lab: Lab) -> None:
    key = await lab.gate.key(budget=dollars(BUDGET_MICROUSD))
    url = lab.gate.url.replace("http", "ws", 1) + "/v1/responses"
    async with websockets.connect(url, additional_headers={"x-api-key": key}, proxy=None) as socket:
        await socket.send(
            json.dumps(
                {"type": "response.create", "model": "lab/gpt-4.1", "input": "Hi", "max_output_tokens": WORDS, "store": False}
            )
        )
        told: list[dict[str, Any]] = []
        while not told or told[-1]["type"] not in ("error", "response.completed", "response.failed"):
            told.append(json.loads(await within(5, socket.recv())))
        assert "The stream was cut" in json.dumps(told[-1])
        await socket.send(
            json.dumps({"type": "response.create", "model": "lab/gpt-4.1", "input": "Hi", "max_output_tokens": WORDS})
        )
        refused = json.loads(await within(5, socket.recv()))
        assert (refused["type"], refused["status"]) == ("error", 402)
    await lab.is_quiet()


async def key_id(lab: Lab, name: str) -> str:
    (found,) = [key["id"] for key in (await lab.gate.http.get("/admin/keys")).json()["keys"] if key["name"] == name]
    return found


NARROWER: list[tuple[dict[str, Any], str, str]] = [
    ({"denied_models": ["*gpt-4.1"]}, "policy_denied", "gpt-4.1"),
    ({"networks": ["10.0.0.0/8"]}, "policy_denied", "takes no requests from"),
    ({"endpoints": ["/v1/embeddings"]}, "policy_denied", ""),
    ({"scopes": ["models"]}, "scope_denied", "may not chat"),
    ({"expires_at": 1.0}, "expired_api_key", ""),
    ({"budgets": ["0.000100/total"]}, "budget_exceeded", "budget of $0.0001"),
]


@pytest.mark.parametrize(("policy", "code", "says"), NARROWER)
async def test_what_is_narrowed_meanwhile_ends_a_silent_stream_within_a_second(
    lab: Lab, policy: dict[str, Any], code: str, says: str
) -> None:
    key = await lab.gate.key("narrowed", budget="1.00/total")
    valve = Valve()
    lab.upstream.script(faults.stall_mid_stream(after=3, valve=valve))
    stream = Stream(lab, key, ask=ASK)
    await within(5, stream.has_begun.wait())
    reply = await lab.gate.http.patch(f"/admin/keys/{await key_id(lab, 'narrowed')}", json={"policy": policy})
    assert reply.status_code == 200, reply.text
    await within(1.5, stream.task)
    error = error_of(events_of(stream.body))
    assert error["code"] == code and says in error["message"], error
    valve.open()
    await lab.is_quiet()


@pytest.mark.parametrize(
    ("policy", "code"), [({"max_output_tokens": 100}, "policy_denied"), ({"budgets": ["0.001/total"]}, "budget_exceeded")]
)
async def test_what_still_pays_for_what_was_said_holds_from_the_next_step_on(lab: Lab, policy: dict[str, Any], code: str) -> None:
    key = await lab.gate.key("narrowed", budget="1.00/total")
    valve = Valve()
    lab.upstream.script(faults.stall_mid_stream(after=3, valve=valve))
    stream = Stream(lab, key, ask=ASK)
    await within(5, stream.has_begun.wait())
    reply = await lab.gate.http.patch(f"/admin/keys/{await key_id(lab, 'narrowed')}", json={"policy": policy})
    assert reply.status_code == 200, reply.text
    await lab.gate.app.watch.look()
    assert not stream.task.done()
    valve.open()
    await within(5, stream.task)
    assert error_of(events_of(stream.body))["code"] == code
    await lab.is_quiet()
    (row,) = await lab.rows()
    assert 0 < row["cost_microusd"] <= 1_000 + 16 * OUTPUT


async def test_a_budget_that_comes_meanwhile_counts_from_the_next_step_on(lab: Lab) -> None:
    key = await lab.gate.key("free")
    valve = Valve()
    lab.upstream.script(faults.stall_mid_stream(after=3, valve=valve))
    stream = Stream(lab, key, ask=ASK)
    await within(5, stream.has_begun.wait())
    patch = {"policy": {"budgets": [dollars(BUDGET_MICROUSD)]}}
    reply = await lab.gate.http.patch(f"/admin/keys/{await key_id(lab, 'free')}", json=patch)
    assert reply.status_code == 200, reply.text
    await lab.gate.app.watch.look()
    async with asyncio.timeout(5):  # the change made the gate look by itself, and that look may be asking the database still
        while not lab.gate.app.gate.slices.held:
            await lab.gate.http.get("/health")
    valve.open()
    await within(5, stream.task)
    assert error_of(events_of(stream.body))["code"] == "budget_exceeded"
    await lab.is_quiet()
    assert (await lab.rows())[0]["cost_microusd"] <= BUDGET_MICROUSD
