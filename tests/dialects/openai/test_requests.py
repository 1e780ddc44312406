import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Peek
from aldgate.core.errors import InvalidRequest
from aldgate.core.principals import Operation
from aldgate.dialects.openai.requests import outgoing, peek

HELLO = [{"role": "user", "content": "hello"}]
CHAT = {"model": "m", "messages": HELLO}


def body(**fields: Any) -> bytes:
    return json.dumps({**CHAT, **fields}).encode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"stream": True}, {"stream": True}),
        ({"stream": None, "n": None, "max_tokens": None, "stream_options": None}, {}),
        ({"max_tokens": 7}, {"cap": 7, "cap_field": "max_tokens"}),
        ({"max_completion_tokens": 7}, {"cap": 7, "cap_field": "max_completion_tokens"}),
        ({"max_completion_tokens": 7, "max_tokens": 9}, {"cap": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 7}, {"cap": 9}),
        ({"n": 3}, {"choices": 3}),
        ({"stream_options": {"include_usage": True}}, {"wants_usage": True, "has_stream_options": True}),
        ({"stream_options": {"include_usage": None}}, {"has_stream_options": True}),
        ({"temperature": "hot", "unknown": [{}]}, {}),
    ],
)
def test_a_chat_is_read_as_far_as_it_matters(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    sent = body(**fields)
    names_cap = "max_tokens" in fields or "max_completion_tokens" in fields
    assert peek("chat", sent) == Peek(sent, "m", names_cap=names_cap, **expected)


@pytest.mark.parametrize(
    ("fields", "choices"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": ["a", "b", "c"]}, 3),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]], "n": 2}, 4),
        ({"prompt": "a", "n": 2, "best_of": 5}, 5),
        ({"prompt": []}, 1),
    ],
)
def test_a_completion_generates_for_each_prompt_and_candidate(fields: dict[str, Any], choices: int) -> None:
    seen = peek("complete", json.dumps({"model": "m", "max_tokens": 4, "stream": True, **fields}).encode())
    assert (seen.choices, seen.cap, seen.stream, seen.wants_usage) == (choices, 4, True, False)


def test_an_embedding_has_nothing_to_govern_but_its_model() -> None:
    sent = b'{"input":["a"],"model":"m","stream":true,"n":5}'
    assert peek("embed", sent) == Peek(sent, "m")


@pytest.mark.parametrize(
    ("operation", "sent", "param", "message"),
    [
        ("chat", b"", None, "not valid JSON"),
        ("chat", b"[]", None, "Expected `object`"),
        ("chat", b"null", None, "Expected `object`"),
        ("chat", b'{"model":"m"', None, "not valid JSON"),
        ("chat", b'{"model":"m","messages":[{"role":"user"}]} x', None, "not valid JSON"),
        ("chat", b'{"model":"m","messages":"\xff"}', None, "is not UTF-8"),
        ("chat", b"\xff\xfe{\x00}\x00", None, "is not UTF-8"),
        ("chat", b"{\x00}\x00", None, "not valid JSON"),
        ("chat", b'{"x":' + b"[" * 200_000, None, "nested too deep"),
        ("chat", b'{"n":1,"x":{"n":' + b"[" * 200_000, None, "nested too deep"),
        ("chat", b"{}", "model", "missing required field"),
        ("chat", b'{"model":"m"}', "messages", "missing required field"),
        ("chat", body(model=""), "model", "length >= 1"),
        ("chat", body(model=None), "model", "Expected `str`"),
        ("chat", body(messages=[]), "messages", "length >= 1"),
        ("chat", body(messages=[{}]), "messages[0]", "missing required field `role`"),
        ("chat", body(n=0), "n", ">= 1"),
        ("chat", body(n=129), "n", "<= 128"),
        ("chat", body(n=1.5), "n", "Expected `int | null`"),
        ("chat", body(max_tokens=0), "max_tokens", ">= 1"),
        ("chat", body(max_tokens=-1), "max_tokens", ">= 1"),
        ("chat", body(max_completion_tokens=True), "max_completion_tokens", "Expected `int | null`"),
        ("chat", body(stream="yes"), "stream", "Expected `bool | null`"),
        ("chat", body(stream_options=[]), "stream_options", "Expected `object | null`"),
        ("chat", body(stream_options={"include_usage": 1}), "stream_options.include_usage", "Expected `bool | null`"),
        ("chat", body()[:-1] + b',"n":2,"n":3}', "n", "stands twice"),
        ("chat", body()[:-1] + b',"MAX_TOKENS":3}', "max_tokens", "is not spelled"),
        ("complete", b'{"model":"m"}', "prompt", "missing required field"),
        ("complete", b'{"model":"m","prompt":"a","best_of":0}', "best_of", ">= 1"),
        ("embed", b'{"model":"m"}', "input", "missing required field"),
    ],
)
def test_what_is_wrong_is_named(operation: Operation, sent: bytes, param: str | None, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        peek(operation, sent)
    assert (raised.value.param, message in raised.value.message) == (param, True), raised.value.message


@given(st.sampled_from(["chat", "complete", "embed"]), st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_no_bytes_break_it(operation: Operation, sent: bytes) -> None:
    with pytest.raises(InvalidRequest):
        peek(operation, sent)


def sent_on(sent: bytes, **changes: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {"model": "upstream", "cap_field": "max_tokens", "cap": None, "ask_usage": False, **changes}
    body = outgoing(peek("chat", sent), **wanted)
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    assert len(dict(pairs)) == len(pairs), "a key stands twice"
    decoded: dict[str, Any] = json.loads(body)
    return decoded


def test_the_same_name_passes_the_very_bytes() -> None:
    seen = peek("chat", b' {"model" :"m","messages":[{"role":"user"}]}\n')
    assert outgoing(seen, model="m", cap_field="max_tokens", cap=None, ask_usage=True) is seen.body


nested = st.sampled_from(["model", "n", "stream_options", "max_tokens"]).flatmap(
    lambda key: st.sampled_from([{}, {"metadata": {key: "x"}}, {"user": key}, {"metadata": {key: None}, "user": key}])
)
streams = st.sampled_from(
    [{}, {"stream": True}]
    + [
        {"stream": True, "stream_options": options}
        for options in (None, {}, {"include_usage": False}, {"x": 1, "include_usage": True})
    ]
)
caps = st.sampled_from(
    [{}, {"max_tokens": None}, {"max_completion_tokens": None}, {"max_tokens": None, "max_completion_tokens": None}]
)


@given(
    nested, streams, caps, st.booleans(), st.booleans(), st.sampled_from(["max_tokens", "max_completion_tokens"]), st.booleans()
)
def test_only_what_must_change_changes_and_no_key_stands_twice(
    extra: dict[str, Any], stream: dict[str, Any], cap: dict[str, Any], is_last: bool, asks: bool, field: str, injects: bool
) -> None:
    before = {**extra, **stream, **cap, **CHAT} if is_last else {**CHAT, **stream, **cap, **extra}
    after = sent_on(json.dumps(before).encode(), cap_field=field, cap=9 if injects else None, ask_usage=asks)
    expected = {**before, "model": "upstream"}
    if injects:
        expected[field] = 9
    if asks and stream.get("stream"):
        expected["stream_options"] = {**(stream.get("stream_options") or {}), "include_usage": True}
    assert after == expected
