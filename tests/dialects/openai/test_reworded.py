"""Words of providers that OpenAI never says, put into OpenAI's while replies pass through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import GatewayError, UpstreamError
from aldgate.dialects.openai.dialect import OPENAI, OpenAI
from aldgate.dialects.openai.reworded import Reworded
from aldgate.dialects.openai.usage import PassThrough

THINKS = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Hi"}]


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    said = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "x_own": 1}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


CALL = {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}
STREAM = b": ping\n\n" + chunk(content=THINKS) + chunk(tool_calls=[CALL]) + chunk("model_length") + b"data: [DONE]\n\n"


def told(stream: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: {")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_where_the_wire_cuts_a_stream_changes_nothing(cuts: list[int]) -> None:
    relay = Reworded(wants_usage=False)
    places = [0, *sorted(cuts), len(STREAM)]
    passed = b"".join(relay.feed(STREAM[a:b]) for a, b in zip(places, places[1:], strict=False) if a < b)
    first, second, third = told(passed)
    assert first["choices"][0]["delta"] == {"content": "Hi", "reasoning_content": "Hm"} and first["x_own"] == 1
    assert second["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] == '{"x":1}'
    assert third["choices"][0]["finish_reason"] == "length"
    assert passed.startswith(b": ping\n\n") and passed.endswith(b"data: [DONE]\n\n") and relay.is_done


def test_what_openai_would_say_passes_as_the_bytes_that_came() -> None:
    stream = chunk(content='"finish_reason":"eos" "content":[') + chunk("stop") + b"data: [DONE]\n\n"
    assert Reworded(wants_usage=False).feed(stream) == stream
    body = b'{ "choices" : [{"message":{"content":"x"},"finish_reason":"stop"}] }'
    assert Reworded(wants_usage=False).whole(body) is body


def test_every_choice_is_put_right_and_the_rest_is_kept() -> None:
    choices = [
        {"index": index, "message": {"content": "x"}, "finish_reason": "eos", "logprobs": {"content": []}} for index in (0, 1)
    ]
    said = json.loads(Reworded(wants_usage=False).whole(json.dumps({"choices": choices, "usage": None}).encode()))
    assert said == {"choices": [{**choice, "finish_reason": "stop"} for choice in choices], "usage": None}


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource"])
def test_an_answer_that_was_given_up_is_raised_behind_what_was_said(reason: str) -> None:
    relay = Reworded(wants_usage=False)
    assert relay.feed(chunk(content="Hi") + chunk(reason)) == chunk(content="Hi")
    assert isinstance(relay.failure, UpstreamError)
    with pytest.raises(UpstreamError):
        Reworded(wants_usage=False).feed(chunk(reason))
    with pytest.raises(UpstreamError):
        Reworded(wants_usage=False).whole(json.dumps({"choices": [{"finish_reason": reason}]}).encode())


@given(st.binary(max_size=60), st.sampled_from([b'"content":[', b'"finish_reason":"eos"', b'"arguments":{']))
def test_no_bytes_break_it(noise: bytes, odd: bytes) -> None:
    for data in (noise, b"data: {" + odd + noise + b"\n\n", b"{" + odd + noise):
        for read in (Reworded(wants_usage=False).feed, Reworded(wants_usage=False).whole):
            try:
                assert isinstance(read(data), bytes)
            except GatewayError as error:
                assert isinstance(error, UpstreamError)


def test_only_a_provider_that_needs_it_has_its_replies_looked_through() -> None:
    peek = OPENAI.peek("chat", b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}')
    assert type(OPENAI.relay("c", "chat", peek, OpenAI())) is PassThrough
    assert type(OPENAI.relay("c", "chat", peek, OpenAI(has_own_words=True))) is Reworded
