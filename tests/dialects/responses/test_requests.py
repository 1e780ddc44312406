"""What is read of a request before anything else, and the bytes that go on to a provider of the same dialect."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import Reasoning
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.responses.requests import outgoing, peek
from aldgate.dialects.responses.sealed import seal_thought

BODY = b'{"model":"m","input":"Hi"}'
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def test_the_governed_fields_are_read():
    seen = peek(b'{"model":"m","input":"Hi","stream":true,"max_output_tokens":7}')
    assert (seen.model, seen.stream, seen.cap, seen.choices) == ("m", True, 7, 1)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"input":"Hi"}', "model"),
        (b'{"model":"","input":"Hi"}', "model"),
        (b'{"model":"m","max_output_tokens":0}', "max_output_tokens"),
        (b'{"model":"m","store":"no"}', "store"),
        (b'{"model":"m","model":"n"}', "model"),
        (b'{"model":"m","Model":"n"}', "model"),
        (b"[]", None),
        (b"{", None),
        (b'{"model":"m\xff"}', None),
        (b'{"model":"m","input":' + b"[" * 5_000 + b"]" * 5_000 + b"}", None),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, param: str | None):
    with pytest.raises(InvalidRequest) as refused:
        peek(body)
    assert refused.value.param == param


def test_a_key_in_an_odd_spelling_is_written_anew():
    seen = peek(b'{"mod\\u0065l":"m","input":"Hi"}')
    assert (seen.body, seen.model) == (BODY, "m")


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name.casefold() != "model"), json_values, max_size=4))
def test_unknown_fields_pass_to_the_byte(more: dict[str, Any]):
    body = json.dumps({"model": "m", "unheard_of": more}).encode()
    assert outgoing(peek(body), model="m", cap=None) == peek(body).body
    assert json.loads(outgoing(peek(body), model="other", cap=None)) == {"model": "other", "unheard_of": more}


@pytest.mark.parametrize("body", [BODY, b'{"model":"m","input":"Hi","max_output_tokens":null}'])
def test_a_cap_is_put_in_where_a_budget_needs_one(body: bytes):
    assert json.loads(outgoing(peek(body), model="m", cap=5)) == {"model": "m", "input": "Hi", "max_output_tokens": 5}


def test_what_only_the_gate_knows_does_not_go_on():
    sealed = seal_thought(Reasoning("Hm", "sig", origin="anthropic"))
    items = [{"type": "reasoning", "summary": [], "encrypted_content": each} for each in (sealed, "gAAA")]
    body = json.dumps({"model": "m", "input": items, "previous_response_id": "resp_1"}).encode()
    assert json.loads(outgoing(peek(body), model="m", cap=None)) == {"model": "m", "input": items[1:]}
