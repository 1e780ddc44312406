"""Bugs reported of other gateways' bills."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.regressions.house import House, chat_body, chat_frames, running_house, streaming, whole

from aldgate.core.calls import Peek
from aldgate.dialects.responses.relay import ResponsesRelay
from aldgate.providers.prices import PriceBook
from aldgate.testing.upstream import Step
from aldgate.testing.upstream import anthropic as claude
from aldgate.testing.upstream.replies import encode
from aldgate.testing.upstream.wire import JSON, chunk
from aldgate.testing.upstream.wire import whole as framed

pytestmark = pytest.mark.anyio

MODELS = ["asked", "other"]
PRICES = '[prices."router/asked"]\ninput = 2\noutput = 8\n[prices."router/other"]\ninput = 20\noutput = 80\n'
PRICES += '[prices."lab/m"]\ninput = 2\noutput = 8\n'
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
BY_ASKED, BY_OTHER = 10 * 2 + 5 * 8, 10 * 20 + 5 * 80


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path, config=PRICES, router={"kind": "openrouter", "models": MODELS}) as house:
        yield house


def answered(model: str, usage: dict[str, Any], *, stream: bool) -> Step:
    """An answer of `model`, whatever was asked for."""
    if not stream:
        return whole(chat_body({"content": "Hi"}, model=model, usage=usage))
    pieces = chat_frames({"role": "assistant", "content": "Hi"}, usage=usage)
    return streaming(*(_renamed(each, model) for each in pieces))


def _renamed(piece: bytes, model: str) -> bytes:
    data = piece.partition(b"\r\n")[2].removesuffix(b"\r\n")
    return chunk(data.replace(b'"model":"m"', b'"model":%b' % encode(model)))


@pytest.mark.parametrize("face", ["chat", "messages"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("served", "billed", "cost"),
    [("other", "router/other", BY_OTHER), ("asked", "router/asked", BY_ASKED), ("unheard-of", "router/asked", BY_ASKED)],
)
async def test_e5_a_model_that_stood_in_is_named_and_priced(
    house: House, face: str, stream: bool, served: str, billed: str, cost: int
) -> None:
    """OpenRouter may answer with a fallback: its price holds and its name is in the ledger, if anybody knows it."""
    house.upstream.script(answered(served, USAGE, stream=stream))
    assert (await house.ask(face, "router/asked", stream=stream)).status_code == 200
    (row,) = await house.rows()
    assert (row["model"], row["requested_model"], row["cost_microusd"]) == (billed, "router/asked", cost)


@pytest.mark.parametrize("face", ["chat", "messages"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"cost": 0.000123}, 123),
        ({"cost": 0.0000001}, 1),
        ({"cost": 0}, 0),
        ({"cost": 0.95, "is_byok": True, "cost_details": {"upstream_inference_cost": 19}}, 19_950_000),
        ({"cost": 0.95, "cost_details": {"upstream_inference_cost": 0.9}}, 950_000),
        ({"cost": None}, BY_ASKED),
        ({"cost": -1}, BY_ASKED),
        ({"cost": "much"}, BY_ASKED),
        ({"cost": {"total_cost": 1}}, BY_ASKED),
    ],
)
async def test_e5_what_the_provider_says_it_charged_is_what_it_cost(
    house: House, face: str, stream: bool, told: dict[str, Any], cost: int
) -> None:
    """OpenRouter's own bill beats every price list; what is no sum of money is left alone."""
    house.upstream.script(answered("asked", USAGE | told, stream=stream))
    assert (await house.ask(face, "router/asked", stream=stream)).status_code == 200
    (row,) = await house.rows()
    assert (row["cost_microusd"], row["usage_source"]) == (cost, "reported")
    assert (row["price_version"] == "reported") == (cost != BY_ASKED)


async def test_e5_a_bill_over_its_bound_is_an_overdraft_that_shows(house: House) -> None:
    """A budget pays what was charged, and the next call finds it spent."""
    key = await house.gate.key(budget="0.10/month")
    house.upstream.script(answered("asked", USAGE | {"cost": 0.25}, stream=False))
    first = await house.ask("chat", "router/asked", key=key, max_tokens=5)
    second = await house.ask("chat", "router/asked", key=key, max_tokens=5)
    assert (first.status_code, second.status_code) == (200, 402)
    assert [row["cost_microusd"] for row in await house.gate.usage(key)] == [250_000]


@pytest.mark.parametrize("charged", [0.1, 0.25])
async def test_s9_a_spent_budget_closes_only_what_costs_something(house: House, charged: float) -> None:
    """Models that are free stay open to its key, even after an overdraft."""
    key = await house.gate.key(budget="0.10/month")
    house.upstream.script(answered("asked", USAGE | {"cost": charged}, stream=False))
    assert (await house.ask("chat", "router/asked", key=key, max_tokens=5)).status_code == 200
    assert (await house.ask("chat", "router/asked", key=key, max_tokens=5)).status_code == 402
    assert (await house.ask("chat", "claude/m", key=key)).status_code == 200
    assert (await house.ask("chat", "builtin/echo", key=key)).status_code == 200


async def test_e5_nobody_else_sets_a_price_in_a_reply(house: House) -> None:
    """`cost` and `model` in the answer of a provider that is not known for them change no bill."""
    house.upstream.script(whole(chat_body({"content": "Hi"}, model="other", usage=USAGE | {"cost": 0})))
    await house.ask("chat", "lab/m")
    (row,) = await house.rows()
    assert (row["model"], row["cost_microusd"]) == ("lab/m", BY_ASKED)


async def test_f6_embeddings_are_billed(house: House) -> None:
    """Their input has its price, through the gate as in the price list."""
    reply = await house.gate.http.post("/v1/embeddings", json={"model": "lab/m", "input": "Hi"})
    assert reply.status_code == 200
    (row,) = await house.rows()
    assert (row["operation"], row["input_tokens"], row["cost_microusd"]) == ("embed", 10, 20)


@pytest.mark.parametrize("stream", [False, True])
async def test_searches_of_the_web_are_billed(tmp_path: Path, stream: bool) -> None:
    """Anthropic charges for each search beside the tokens; the public price list says how much."""
    price = PriceBook("anthropic", is_free=False).price("claude-opus-4-5")
    assert price is not None and price.search == 10_000 * 1_000_000  # ten dollars a thousand
    usage = {"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"web_search_requests": 3}}
    tokens = -(-(10 * price.input + 5 * price.output) // 1_000_000)
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "content": []}
    message |= {"stop_reason": "end_turn", "usage": usage}
    events = [
        claude.event("message_start", {"message": message | {"usage": {"input_tokens": 10, "output_tokens": 1}}}),
        claude.event("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": usage}),
        claude.event("message_stop"),
    ]
    said = claude.stream(*events) if stream else framed(encode(message), headers=[JSON])
    async with running_house(tmp_path, claude={"models": ["claude-opus-4-5"]}) as house:
        house.upstream.script(Step("searched", lambda asked: iter([said])))
        assert (await house.ask("messages", "claude/claude-opus-4-5", stream=stream)).status_code == 200
        (row,) = await house.rows()
    assert row["cost_microusd"] == tokens + 3 * price.search // 1_000_000


TIERED = '[prices."lab/m"]\ninput = 2\noutput = 8\n[prices."lab/m".tiers.flex]\ninput = 1\noutput = 4\n'
TIER_COSTS = [("flex", 30, "config"), ("default", 60, "config"), ("priority", 60, "config, usual tier")]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("said", "cost", "version"), TIER_COSTS)
@pytest.mark.parametrize("face", ["chat", "messages"])
async def test_a_call_costs_what_its_tier_does(
    tmp_path: Path, stream: bool, said: str, cost: int, version: str, face: str
) -> None:
    """What was answered in another tier than the usual one was billed by the usual price; one without a figure says so."""
    frames = chat_frames({"role": "assistant", "content": "Hi"}, usage=USAGE, service_tier=said)
    step = streaming(*frames) if stream else whole(chat_body({"content": "Hi"}, usage=USAGE, service_tier=said))
    async with running_house(tmp_path, config=TIERED, lab={"models": ["m"]}) as house:
        house.upstream.script(step)
        assert (await house.ask(face, "lab/m", stream=stream)).status_code == 200
        (row,) = await house.rows()
    assert (row["cost_microusd"], row["price_version"]) == (cost, version)


@pytest.mark.parametrize("stream", [False, True])
async def test_openais_searches_and_tiers_are_read_from_responses(stream: bool) -> None:
    """Searches that Responses lists among its items are charged beside the tokens."""
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    said = {"id": "r", "status": "completed", "output": [searched, searched], "service_tier": "flex"}
    said["usage"] = {"input_tokens": 10, "output_tokens": 5}
    relay = ResponsesRelay("req-1", Peek(b"{}", "m", stream))
    if stream:
        relay.feed(b"event: response.completed\ndata: " + encode({"type": "response.completed", "response": said}) + b"\n\n")
    else:
        relay.whole(encode(said))
    assert relay.usage is not None
    assert (relay.usage.searches, relay.usage.tier, relay.usage.input_tokens) == (2, "flex", 10)
