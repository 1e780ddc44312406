"""Bugs reported of other gateways that concern answers in Anthropic's dialect; each shows here that it is not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aldgate.core.conversation import Answer, Conversation, Reasoning, Text, Thinking, ToolCall
from aldgate.core.errors import UpstreamBroken, UpstreamLimited, UpstreamOverloaded
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
    fold,
    unfold,
)
from aldgate.core.prices import Price
from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.anthropic.relay import MessagesRelay

ASKED = Conversation("anthropic", [], thinking=Thinking())
PEEK = ANTHROPIC.peek("chat", b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hello, how are you?"}]}')
USAGE: dict[str, Any] = {
    "input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 500,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 1,
}


def event(kind: str, **data: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **data}).encode())


def encoded(*events: Event) -> list[Any]:
    encoder = ANTHROPIC.encoder("req-1", PEEK, ASKED)
    data = encoder.feed(events) + encoder.end()
    return [json.loads(frame.partition(b"data: ")[2]) for frame in data.split(b"\n\n") if frame]


def test_a3_arguments_of_interleaved_calls_reach_their_own_block() -> None:
    """OpenAI's streams may switch between calls; here one block is open at a time, so the others wait."""
    told = encoded(
        Started(),
        ToolCallStarted(0, "a", "look"),
        ToolCallStarted(1, "b", "find"),
        ArgumentsDelta(1, '{"b"'),
        ArgumentsDelta(0, '{"a"'),
        ArgumentsDelta(1, ":2}"),
        ArgumentsDelta(0, ":1}"),
        Finished("tool_calls"),
    )
    open_block = None
    arguments: dict[str, str] = {}
    for frame in told:
        if frame["type"] == "content_block_start":
            assert open_block is None
            open_block = frame["content_block"]["id"]
        elif frame["type"] == "content_block_delta":
            arguments[open_block] = arguments.get(open_block, "") + frame["delta"]["partial_json"]
        elif frame["type"] == "content_block_stop":
            open_block = None
    assert arguments == {"a": '{"a":1}', "b": '{"b":2}'}


CALL = ToolCall("t", "look", '{"a":1}')


def test_a4_a_turn_of_text_and_a_call_ends_with_tool_use() -> None:
    """Whatever the provider called the end, an agent must go on and run the tool; whole and streamed."""
    answer = Answer([Text("I look."), CALL], "stop")
    assert json.loads(ANTHROPIC.write("req-1", PEEK, ASKED, answer))["stop_reason"] == "tool_use"
    told = encoded(*unfold(answer))
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    reply = {"content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}], "stop_reason": "end_turn"}
    read = ANTHROPIC.read("chat", json.dumps(reply).encode())
    assert isinstance(read, Answer) and read.finish == "tool_calls"


def test_b4_streams_end_as_their_own_protocol_does() -> None:
    """`message_stop` ends a good stream and `[DONE]` none; a failed one ends with an `error` event."""
    encoder = ANTHROPIC.encoder("req-1", PEEK, ASKED)
    assert encoder.end().endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    failed = ANTHROPIC.failed(UpstreamBroken("gone"), "req-1")
    assert failed.startswith(b"event: error\n") and b"message_stop" not in failed and b"[DONE]" not in failed
    decoder = ANTHROPIC.decoder()
    decoder.feed(event("message_start", message={}))
    with pytest.raises(UpstreamBroken):
        decoder.end()


def test_c8_every_block_that_begins_ends() -> None:
    """Thoughts, redacted ones, texts and calls each get their `content_block_stop`."""
    told = encoded(
        ReasoningDelta("Hm"),
        ReasoningDelta(redacted="ZA==", origin="anthropic"),
        ReasoningDelta("So", "c2ln", origin="anthropic"),
        TextDelta("Yes"),
        ToolCallStarted(0, "t", "look"),
        Finished("tool_calls"),
    )
    begun = [frame["index"] for frame in told if frame["type"] == "content_block_start"]
    assert begun == [frame["index"] for frame in told if frame["type"] == "content_block_stop"] == [0, 1, 2, 3, 4]
    whole = json.loads(ANTHROPIC.write("req-1", PEEK, ASKED, Answer([Reasoning(redacted="ZA==", origin="anthropic")])))
    assert whole["content"] == [{"type": "redacted_thinking", "data": "ZA=="}]


def test_d6_a_translated_stream_begins_with_a_count_of_the_input() -> None:
    """Clients show `message_start.usage.input_tokens`; until the provider tells, it is our own count and never nothing."""
    assert encoded(Started(), TextDelta("x"), Finished("stop"))[0]["message"]["usage"]["input_tokens"] > 0
    told = encoded(Started(), TextDelta("x"), UsageReported(Usage(77, 5)), Finished("stop"))
    assert (told[-2]["usage"]["input_tokens"], told[-2]["usage"]["output_tokens"]) == (77, 5)


def test_d7_the_split_of_cached_tokens_is_kept() -> None:
    """Read, written for five minutes and written for an hour stand apart in both directions."""
    reply = {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", "usage": USAGE}
    answer = ANTHROPIC.read("chat", json.dumps(reply).encode())
    assert isinstance(answer, Answer)
    assert json.loads(ANTHROPIC.write("req-1", PEEK, ASKED, answer))["usage"] == USAGE


STREAM = (
    event("message_start", message={"id": "msg_1", "model": "m", "usage": USAGE})
    + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"})
    + event("content_block_stop", index=0)
    + event("message_delta", delta={"stop_reason": "end_turn"}, usage={**USAGE, "output_tokens": 40, "cache_creation": None})
    + event("message_stop")
)
BILLED = Usage(630, 40, 500, 30, cache_write_1h_tokens=20)


def test_d10_the_last_report_replaces_the_first() -> None:
    """`message_delta` repeats the input; added to `message_start` it would double the prompt."""
    decoder = ANTHROPIC.decoder()
    assert fold(decoder.feed(STREAM)).usage == BILLED
    relay = MessagesRelay()
    relay.feed(STREAM)
    assert relay.usage == BILLED


def test_f1_written_and_read_tokens_are_billed_once_and_at_their_own_price() -> None:
    """Streamed as well as whole: 100 plain, 500 read, 10 written for five minutes, 20 for an hour, 40 out."""
    price = Price(input=5_000_000, output=25_000_000, cached=500_000, cache_write=6_250_000, cache_write_1h=10_000_000)
    cost = -(-(100 * 5_000_000 + 500 * 500_000 + 10 * 6_250_000 + 20 * 10_000_000 + 40 * 25_000_000) // 1_000_000)
    relay = MessagesRelay()
    relay.feed(STREAM)
    assert relay.usage is not None and price.cost(relay.usage) == cost
    whole = MessagesRelay()
    whole.whole(json.dumps({"content": [], "usage": {**USAGE, "output_tokens": 40}}).encode())
    assert whole.usage is not None and price.cost(whole.usage) == cost


def test_f2_what_was_written_was_not_read() -> None:
    """`cached_tokens` are those read from a cache, and no others."""
    relay = MessagesRelay()
    relay.feed(STREAM)
    assert relay.usage is not None
    assert (relay.usage.cached_tokens, relay.usage.cache_write_tokens) == (500, 30)


def test_g3_an_overload_stays_one() -> None:
    """529 is nobody's rate limit: Anthropic's clients see 529 again, with its own type."""
    error = ANTHROPIC.read_error(529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', None)
    assert isinstance(error, UpstreamOverloaded)
    status, _, body = ANTHROPIC.error(error, "req-1")
    assert (status, json.loads(body)["error"]["type"]) == (529, "overloaded_error")


@pytest.mark.parametrize(
    ("status", "kind", "message", "code"),
    [
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
            None,
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", None),
        (429, "rate_limit_error", "Spend limit reached.", "enforced_spend_limit_reached"),
        (429, "rate_limit_error", "Spend limit reached.", "contract_spend_limit_reached"),
        (402, "billing_error", "Payment required.", None),
    ],
)
def test_g4_a_spent_account_is_the_operators_matter_and_no_retry_helps(
    status: int, kind: str, message: str, code: str | None
) -> None:
    """It comes as 400, 402 or 429; it is never the caller's bad request, and waiting does not end it."""
    body = {"type": "error", "error": {"type": kind, "message": message, "details": {"error_code": code}}}
    error = ANTHROPIC.read_error(status, json.dumps(body).encode(), None)
    assert isinstance(error, UpstreamLimited) and error.retry_after_s is None
    headers = dict(ANTHROPIC.error(error, "req-1")[1])
    assert headers[b"x-should-retry"] == b"false" and b"retry-after" not in headers


def test_h2_the_first_event_says_who_speaks() -> None:
    """`message_start` has the role and a whole, empty message, before any content."""
    first = encoded(TextDelta("x"), Finished("stop"))[0]
    assert first["type"] == "message_start"
    assert (first["message"]["role"], first["message"]["content"], first["message"]["stop_reason"]) == ("assistant", [], None)
