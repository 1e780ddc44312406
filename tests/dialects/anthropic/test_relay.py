"""Replies that pass through: what is followed in them, and when they have failed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.relay import MessagesRelay


def event(kind: str, **data: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **data}).encode())


FIRST_USAGE = {"input_tokens": 4, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 6, "output_tokens": 1}
FIRST_USAGE |= {"cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 4}}  # type: ignore[dict-item]
START = event("message_start", message={"id": "msg_1", "usage": FIRST_USAGE})
SAID = (
    event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + event("ping")
    + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})
    + event("content_block_stop", index=0)
)
ENDED = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 25})
STOP = event("message_stop")
STREAM = START + SAID + ENDED + STOP
ERROR = event("error", error={"type": "overloaded_error", "message": "Overloaded"})


@given(st.integers(1, len(STREAM)))
def test_all_bytes_pass_and_the_usage_is_read(step: int) -> None:
    relay = MessagesRelay()
    passed = b"".join(relay.feed(STREAM[start : start + step]) for start in range(0, len(STREAM), step))
    assert passed == STREAM
    assert relay.is_done and relay.failure is None and relay.end() == b""
    assert relay.usage == Usage(20, 25, 10, 6, cache_write_1h_tokens=4)


def test_the_start_waits_for_what_follows() -> None:
    relay = MessagesRelay()
    assert relay.feed(START) == b""
    assert relay.feed(event("ping")) == b""
    assert relay.feed(SAID) == START + event("ping") + SAID


def test_an_error_before_anything_is_said_can_still_be_answered_elsewhere() -> None:
    relay = MessagesRelay()
    relay.feed(START)
    with pytest.raises(UpstreamOverloaded):
        relay.feed(ERROR)


def test_an_error_later_follows_what_was_said() -> None:
    relay = MessagesRelay()
    assert relay.feed(START + SAID + ERROR + STOP) == START + SAID
    assert isinstance(relay.failure, UpstreamOverloaded) and not relay.is_done


def test_a_stream_that_was_cut_tells_its_input_and_what_was_delivered() -> None:
    relay = MessagesRelay()
    relay.feed(START + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x" * 400}))
    assert relay.usage == Usage(20, 1, 10, 6, cache_write_1h_tokens=4)
    assert 90 <= relay.delivered <= 110


def test_a_stream_that_ends_early_is_broken() -> None:
    relay = MessagesRelay()
    relay.feed(START + SAID)
    with pytest.raises(UpstreamBroken):
        relay.end()


def test_the_last_event_is_added_where_only_it_is_missing() -> None:
    relay = MessagesRelay()
    passed = relay.feed(START + SAID + ENDED)
    assert passed + relay.end() == STREAM.replace(STOP, b"") + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert relay.is_done


def test_an_error_without_its_blank_line_is_an_error() -> None:
    relay = MessagesRelay()
    relay.feed(START + SAID + ERROR.rstrip(b"\n"))
    with pytest.raises(UpstreamOverloaded):
        relay.end()


def test_events_without_their_names_get_them() -> None:
    nameless = b"".join(b"data: " + event.partition(b"data: ")[2] + b"\n\n" for event in STREAM.split(b"\n\n") if event)
    relay = MessagesRelay()
    assert relay.feed(nameless) == STREAM
    assert relay.is_done


def test_odd_events_pass_and_what_is_no_json_does_not() -> None:
    relay = MessagesRelay()
    odd = event("content_block_start", index="zero") + b'data: {"type": 7}\n\n'
    assert relay.feed(odd) == odd
    with pytest.raises(UpstreamInvalid):
        MessagesRelay().feed(b"data: {\n\n")


def test_a_whole_reply_passes_as_it_came() -> None:
    body = json.dumps({"type": "message", "content": [{"type": "text", "text": "Hi"}], "usage": FIRST_USAGE}).encode()
    relay = MessagesRelay()
    assert relay.whole(body) is body
    assert relay.usage == Usage(20, 1, 10, 6, cache_write_1h_tokens=4)


def test_a_whole_reply_without_usage_is_counted() -> None:
    relay = MessagesRelay()
    relay.whole(b'{"type":"message","content":[{"type":"text","text":"12345678"}]}')
    assert relay.usage is None and relay.delivered > 0
    odd = MessagesRelay()
    odd.whole(b'{"content":"a text where a list belongs"}')
    assert odd.delivered == 10


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"<html>", b'{"type":"error","error":{"type":"api_error","message":"x"}}', b'{"error":"x"}']
)
def test_what_is_no_answer_is_not_passed_off_as_one(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        MessagesRelay().whole(body)
