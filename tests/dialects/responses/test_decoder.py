"""What providers' streams look like that are not written by ourselves."""

import json
from typing import Any

import pytest

from aldgate.core.conversation import Answer, Reasoning, Text, ToolCall
from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamRejected
from aldgate.core.events import fold
from aldgate.core.usage import Usage
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.responses.relay import ResponsesRelay
from aldgate.dialects.responses.requests import peek

BEGUN = {"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}}


def ended(**more: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed", "output": [], **more}}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: x\r\ndata: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events)


def answer(*events: dict[str, Any]) -> Answer:
    decoder = RESPONSES.decoder()
    told = decoder.feed(b": ping\n\n" + stream(BEGUN, *events))
    return fold([*told, *decoder.end()])


def test_parts_of_a_summary_are_told_apart():
    parts = [{"type": "summary_text", "text": "One"}, {"type": "summary_text", "text": "Two"}]
    delta = {"type": "response.reasoning_summary_text.delta", "output_index": 0}
    item = {"type": "reasoning", "summary": parts, "encrypted_content": "gAAA"}
    streamed = answer(
        {**delta, "summary_index": 0, "delta": "One"},
        {**delta, "summary_index": 1, "delta": "Tw"},
        {**delta, "summary_index": 1, "delta": "o"},
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "raw"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        ended(),
    )
    assert streamed.parts == [Reasoning("One\n\nTwo", "gAAA", origin="responses")]
    whole = RESPONSES.read("chat", json.dumps({**ended()["response"], "output": [item]}).encode())
    assert isinstance(whole, Answer) and whole.parts == streamed.parts


def test_a_call_that_comes_only_whole_is_a_call():
    item = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    streamed = answer({"type": "response.output_item.done", "output_index": 0, "item": item}, ended())
    assert (streamed.parts, streamed.finish) == ([ToolCall("c", "look", "{}")], "tool_calls")


def test_usage_is_read_with_its_details():
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {
            "cached_tokens": 4,
            "cache_write_tokens": 3,
            "cache_write_tokens_details": {"ttl_12h_tokens": 2},
        },
        "output_tokens": 5.0,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 14,
    }
    expected = Usage(9, 5, 4, 3, 1, cache_write_1h_tokens=2)
    assert answer(ended(usage=usage)).usage == expected


@pytest.mark.parametrize("reason", ["max_output_tokens", None])
def test_what_is_cut_is_cut_even_if_a_tool_was_called(reason: str | None):
    item = {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"a'}
    last = {**ended(status="incomplete", incomplete_details={"reason": reason}), "type": "response.incomplete"}
    assert answer({"type": "response.output_item.done", "output_index": 0, "item": item}, last).finish == "length"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"status":"failed"}', b'{"status":"cancelled"}', b'{"error":{"message":"No"}}'])
def test_what_is_no_answer_is_refused(body: bytes):
    with pytest.raises(UpstreamError):
        RESPONSES.read("chat", body)


@pytest.mark.parametrize(("code", "kind"), [("invalid_prompt", UpstreamRejected), ("image_too_large", UpstreamRejected)])
def test_failures_are_classed_by_who_has_to_act(code: str, kind: type[UpstreamError]):
    body = json.dumps({"status": "failed", "error": {"code": code, "message": "No"}}).encode()
    with pytest.raises(kind):
        RESPONSES.read("chat", body)


def test_bytes_that_are_no_event_are_invalid():
    with pytest.raises(UpstreamInvalid):
        RESPONSES.decoder().feed(b"data: nonsense\n\n")


def relay(**more: Any) -> ResponsesRelay:
    return ResponsesRelay(
        "req-0123456789abcdef01234567", peek(json.dumps({"model": "m", "input": "Hi", "stream": True, **more}).encode())
    )


def test_a_relay_passes_events_on_and_names_what_was_continued():
    passing = relay(previous_response_id="resp_0")
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}
    out = passing.feed(stream(BEGUN, delta, ended(previous_response_id=None, usage={"input_tokens": 3, "output_tokens": 1})))
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in out.split(b"\n\n")[:-2]]
    assert events[1] == delta
    assert [event["response"]["previous_response_id"] for event in (events[0], events[2])] == ["resp_0", "resp_0"]
    assert (passing.is_done, passing.usage, passing.delivered) == (True, Usage(3, 1), 1)
    assert out.endswith(b"data: [DONE]\n\n")
    assert passing.feed(stream(delta)) == b"" and passing.end() == b""


def test_a_relay_gives_what_runs_in_the_background_its_first_id():
    passed = relay(background=True).feed(stream(BEGUN)).decode()
    response = json.loads(passed.split("data: ")[1])["response"]
    assert (response["id"], response["background"]) == ("resp_0123456789abcdef01234567", True)


def test_a_relay_raises_what_came_before_anything_and_leaves_what_came_later():
    error = {"type": "error", "code": "server_error", "message": "It broke"}
    with pytest.raises(UpstreamError):
        relay().feed(stream(BEGUN, error))
    passing = relay()
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}
    assert b"Hi" in passing.feed(stream(BEGUN, delta, error, delta))
    assert passing.failure is not None
    with pytest.raises(UpstreamBroken):
        relay().end()


def test_a_relay_counts_what_a_provider_does_not():
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hello there"}]}
    passing = relay(previous_response_id="resp_0")
    body = passing.whole(json.dumps({**ended()["response"], "output": [item]}).encode())
    assert passing.usage is None and passing.delivered > 2
    assert json.loads(body)["previous_response_id"] == "resp_0"


def test_text_survives_however_it_is_cut():
    data = stream(BEGUN, {"type": "response.output_text.delta", "delta": "Grüße"}, ended())
    decoder = RESPONSES.decoder()
    events = [event for byte in data for event in decoder.feed(bytes([byte]))]
    assert fold(events).parts == [Text("Grüße")]
