"""What the gate reads of a Messages request, and what goes on to an upstream of the same dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Named
from aldgate.core.errors import InvalidRequest, ThreadNotFound
from aldgate.core.routes import Deployment
from aldgate.dialects.anthropic.carried import carried, carried_of_call
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.anthropic.requests import betas_of, peek_count

CLAUDE = Deployment("anthropic/claude-opus-5", "anthropic", "claude-opus-5", None, "file")


def body(**changes: Any) -> bytes:
    asked = {"model": "opus", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}], **changes}
    return json.dumps({name: value for name, value in asked.items() if value is not ...}).encode()


def test_the_governed_fields_are_read() -> None:
    seen = ANTHROPIC.peek("chat", body(stream=True))
    assert (seen.model, seen.stream, seen.cap, seen.choices) == ("opus", True, 64, 1)


def test_a_bound_of_nothing_is_a_bound() -> None:
    assert ANTHROPIC.peek("chat", body(max_tokens=0)).cap == 0


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"max_tokens": ...}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": ...}, "messages"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ANTHROPIC.peek("chat", body(**changes))
    assert caught.value.param == param


@pytest.mark.parametrize("peeked", [lambda asked: ANTHROPIC.peek("chat", asked), peek_count])
def test_a_thread_may_begin_but_is_not_continued(peeked: Any) -> None:
    """What stands in it would be neither bounded nor known to be this caller's; Anthropic's SDKs send everything after a 404."""
    assert peeked(body(thread={"type": "create"})).model == "opus"
    assert peeked(body(thread=None)).model == "opus"
    with pytest.raises(ThreadNotFound) as caught:
        peeked(body(thread={"type": "continue", "previous_message_id": "msg_1"}))
    assert (caught.value.status, caught.value.code) == (404, "thread_not_found")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"model": "a', b"\xff", b'{"model":"a","model":"b","max_tokens":1,"messages":[{"role":"user"}]}']
)
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        ANTHROPIC.peek("chat", text)


def test_counting_needs_no_bound() -> None:
    assert peek_count(body(max_tokens=...)).cap == 0


def test_version_and_betas_go_on_byte_for_byte_and_credentials_do_not() -> None:
    headers = (
        (b"anthropic-version", b"2026-10-21"),
        (b"x-api-key", b"secret"),
        (b"anthropic-beta", b"a-1,  b-2"),
        (b"anthropic-beta", b"c-3"),
    )
    seen = ANTHROPIC.peek("chat", body(), Named(headers=headers))
    assert seen.forward == b"anthropic-version: 2026-10-21\r\nanthropic-beta: a-1,  b-2\r\nanthropic-beta: c-3\r\n"


def test_the_same_model_goes_on_to_the_byte() -> None:
    given_body = body(model="claude-opus-5", metadata={"odd": 1.50})
    assert ANTHROPIC.outgoing("chat", ANTHROPIC.peek("chat", given_body), CLAUDE, cap=None, warnings=[]) is given_body


def test_model_and_bound_are_put_in() -> None:
    sent = json.loads(ANTHROPIC.outgoing("chat", ANTHROPIC.peek("chat", body()), CLAUDE, cap=7, warnings=[]))
    assert (sent["model"], sent["max_tokens"]) == ("claude-opus-5", 7)


def test_thoughts_of_other_models_are_not_sent_to_claude() -> None:
    own = {"type": "thinking", "thinking": "mine", "signature": "c2ln"}
    foreign = {"type": "thinking", "thinking": "theirs", "signature": carried("openai", None)}
    call = {"type": "tool_use", "id": "c", "name": "look", "input": {}}
    said = [own, foreign, carried_of_call("gemini", "proof"), call]
    asked = body(messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": said}])
    sent = json.loads(ANTHROPIC.outgoing("chat", ANTHROPIC.peek("chat", asked), CLAUDE, cap=None, warnings=[]))
    assert sent["messages"] == [{"role": "user", "content": "x"}, {"role": "assistant", "content": [own, call]}]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        ANTHROPIC.peek("chat", data)


@pytest.mark.parametrize(
    ("forward", "betas"),
    [
        (b"", []),
        (b"anthropic-version: 2023-06-01\r\n", []),
        (b"anthropic-beta: a-1, b-2,,a-1\r\nanthropic-version: x\r\nanthropic-beta: c-3\r\n", ["a-1", "b-2", "c-3"]),
    ],
)
def test_betas_are_read_from_every_header_that_names_any(forward: bytes, betas: list[str]) -> None:
    assert betas_of(forward) == betas
